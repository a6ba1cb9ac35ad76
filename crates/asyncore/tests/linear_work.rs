//! Long input and long queues cost work and memory in proportion to their length.
//!
//! These tests measure no time. A quadratic implementation repeatedly copies or shifts the rest of
//! its data. Copies show in the number of allocated bytes, which this binary counts, and shifts in
//! the addresses of the data.

mod util;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::FileExt as _;
use std::rc::Rc;
use std::thread;

use asyncore::{AsyncChat, Channel, EventLoop, Result, Token};
use util::{PASS, Recorder, Seen, on_every_network, on_every_poller, run_until};

const MIB: usize = 1 << 20;

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// The system allocator, with a count of the bytes that each thread allocates.
struct Counting;

fn count(freed: usize, allocated: usize) {
    ALLOCATED.set(ALLOCATED.get() + allocated);
    LIVE.set(LIVE.get() - freed as isize + allocated as isize);
    PEAK.set(PEAK.get().max(LIVE.get()));
}

// SAFETY: every call is forwarded unchanged to the system allocator.
#[allow(unsafe_code, reason = "an allocator cannot be written without")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(0, layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(layout.size(), 0);
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(layout.size(), size);
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `act`; returns its result, the bytes that it allocated on this thread, and the peak increase
/// of memory in use.
fn counted<R>(act: impl FnOnce() -> R) -> (R, usize, isize) {
    let (allocated, live) = (ALLOCATED.get(), LIVE.get());
    PEAK.set(live);
    let result = act();
    (result, ALLOCATED.get() - allocated, PEAK.get() - live)
}

/// Counts lines, and jumps: pieces that do not directly follow the previous one in memory.
#[derive(Default)]
struct LineCounter {
    lines: usize,
    pieces: usize,
    jumps: usize,
    last_end: usize,
}

impl AsyncChat for LineCounter {
    fn collect_incoming_data(&mut self, _: &mut Channel<'_>, data: &[u8]) -> Result {
        let begin = data.as_ptr() as usize;
        self.pieces += 1;
        // The one-byte terminator lies between the two pieces.
        self.jumps += usize::from(begin != self.last_end + 1);
        self.last_end = begin + data.len();
        Ok(())
    }

    fn found_terminator(&mut self, _: &mut Channel<'_>) -> Result {
        self.lines += 1;
        Ok(())
    }
}

fn chat(map: &mut EventLoop, input: Vec<u8>) -> (Token<LineCounter>, thread::JoinHandle<()>) {
    let (ours, mut theirs) = util::tcp_pair();
    let token = map.add(LineCounter::default(), ours);
    map.channel(token).unwrap().set_terminator(b"\n");
    (token, thread::spawn(move || theirs.write_all(&input).unwrap()))
}

#[test]
fn a_megabyte_of_newlines_is_parsed_without_copying() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (token, writer) = chat(&mut map, vec![b'\n'; MIB]);
        let (lines, allocated, _) = counted(|| {
            // Reads only a counter of the map: reaching the channel would allocate, too.
            while map.stats().bytes_in < MIB as u64 {
                let _ = map.poll(PASS).unwrap();
            }
            map.get(token).unwrap().lines
        });
        writer.join().unwrap();
        assert_eq!((lines, map.get(token).unwrap().pieces), (MIB, 0));
        assert!(allocated < MIB / 4, "{allocated} bytes allocated");
    });
}

#[test]
fn short_lines_are_slices_of_the_read_buffer() {
    const LINES: usize = 100_000;
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (token, writer) = chat(&mut map, b"x\n".repeat(LINES));
        let ((), allocated, _) = counted(|| {
            while map.stats().bytes_in < 2 * LINES as u64 {
                let _ = map.poll(PASS).unwrap();
            }
        });
        writer.join().unwrap();
        let reads = usize::try_from(map.stats().events).unwrap();
        let chat = map.get(token).unwrap();
        assert_eq!((chat.lines, chat.pieces), (LINES, LINES));
        assert!(allocated < MIB / 4, "{allocated} bytes allocated");
        // Moving the rest to the front after each line would make each line a jump.
        assert!(chat.jumps <= reads, "{} jumps in {reads} reads", chat.jumps);
    });
}

const LONG: usize = 20 * MIB;

/// Returns `LONG` bytes in chunks of `size`, each beginning with its index.
fn numbered(size: usize) -> Vec<u8> {
    let mut data = vec![9; LONG];
    for (number, chunk) in data.chunks_mut(size).enumerate() {
        chunk[..8].copy_from_slice(&number.to_le_bytes());
    }
    data
}

fn output_len(map: &EventLoop, token: Token<Recorder>) -> usize {
    map.channel_stats(token).map_or(0, |stats| stats.output_len)
}

/// Receives `LONG` bytes, and calls `look` after each pass.
fn take_all(map: &mut EventLoop, theirs: &mut TcpStream, look: impl Fn(&EventLoop)) -> Vec<u8> {
    theirs.set_nonblocking(true).unwrap();
    let (mut taken, mut at) = (vec![0; LONG], 0);
    let ((), allocated, _) = counted(|| {
        while at < LONG {
            at += theirs.read(&mut taken[at..]).unwrap_or(0);
            let _ = map.poll(PASS).unwrap();
            look(map);
        }
    });
    assert!(allocated < MIB, "{allocated} bytes allocated while sending");
    taken
}

/// Reads the first bytes of a memory block of this process, if it is still mapped.
fn bytes_at(address: usize) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    let memory = std::fs::File::open("/proc/self/mem").unwrap();
    memory.read_exact_at(&mut bytes, address as u64).ok()?;
    Some(bytes)
}

#[test]
#[cfg(target_os = "linux")]
fn a_long_piece_for_a_stalled_peer_is_neither_copied_nor_shifted() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (ours, mut theirs) = util::tcp_pair();
        let token = map.add(Recorder::default(), ours);
        let piece = numbered(4096);
        let (address, beginning) = (piece.as_ptr() as usize, bytes_at(piece.as_ptr() as usize));
        let ((), allocated, _) = counted(|| {
            map.channel(token).unwrap().push(piece);
            util::assert_rests(&mut map);
        });
        assert!(allocated < MIB, "{allocated} bytes allocated");
        let left = output_len(&map, token);
        assert!(left > LONG / 4 && left < LONG, "the peer stalls: {left} left");
        let taken = take_all(&mut map, &mut theirs, |map| {
            if output_len(map, token) > 0 {
                assert_eq!(bytes_at(address), beginning, "what is left was moved to the front");
            }
        });
        assert!(taken == numbered(4096), "what arrived is what was pushed");
    });
}

#[test]
fn short_pieces_for_a_stalled_peer_are_joined_once() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (ours, mut theirs) = util::tcp_pair();
        let token = map.add(Recorder::default(), ours);
        let pieces = numbered(160);
        let ((), allocated, peak) = counted(|| {
            let mut channel = map.channel(token).unwrap();
            pieces.chunks(160).for_each(|piece| channel.push(piece));
        });
        // Each buffer grows a few times to its final size and is then reused.
        assert!(allocated < 5 * LONG / 2, "{allocated} bytes allocated");
        assert!(peak < 9 * LONG as isize / 8, "{peak} bytes for {LONG}");
        let taken = take_all(&mut map, &mut theirs, |_| ());
        assert!(taken == pieces, "what arrived is what was pushed");
    });
}

#[test]
fn unbounded_pushes_use_no_more_memory_than_the_limit() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, _remote) = world.connect(Recorder::new(&seen));
        let mut channel = world.map.channel(token).unwrap();
        channel.set_output_limit(MIB);
        let piece = [9; 1000];
        let ((), _, peak) = counted(|| {
            for _ in 0..100_000 {
                channel.push(&piece[..]);
            }
        });
        assert!(peak < 5 * MIB as isize / 4, "{peak} bytes at a time for a limit of a MiB");
        world.run_until(|_| seen.is_closed());
        assert_eq!(seen.errors().len(), 1);
    });
}

#[test]
fn a_producer_of_any_length_uses_the_memory_of_one_piece() {
    const PIECES: usize = 2_000;
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (ours, mut theirs) = util::tcp_pair();
        let token = map.add(Recorder::default(), ours);
        let made = Rc::new(Cell::new(0));
        let counter = Rc::clone(&made);
        let pieces = (0..PIECES).map(move |_| {
            counter.set(counter.get() + 1);
            vec![9; 10_000]
        });
        let (mut taken, mut buf) = (0, vec![0; MIB]);
        theirs.set_nonblocking(true).unwrap();
        let ((), _, peak) = counted(|| {
            let producer = asyncore::IterProducer::new(pieces);
            map.channel(token).unwrap().push_with_producer(producer);
            run_until(&mut map, |_| {
                let n = theirs.read(&mut buf).unwrap_or(0);
                taken += n;
                taken == PIECES * 10_000
            });
        });
        assert_eq!(made.get(), PIECES);
        assert!(peak < MIB as isize / 4, "{peak} bytes at a time");
    });
}
