//! Memory is bounded on both sides of a layer, and what would pass it by is refused.

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::time::Duration;

use asyncore::{Channel, Dispatcher, Producer, Result};

use crate::cipher::Cipher;
use crate::ends::{Accept, Stack, connect, server_with_cipher};
use crate::engine::Side;
use crate::util::{Recorder, Seen, World, on_every_network};

/// One piece of output, and what the cipher makes of it with the smallest records.
const WORST_PIECE: usize = 8 * 16 * 1024;

#[test]
fn output_of_a_stalled_peer_counts_on_both_sides_of_the_layer() {
    on_every_network(|world| {
        let (seen, flood) = (Seen::default(), world.flood);
        let (token, mut peer) = server_with_cipher(world, 1, |_| Recorder::new(&seen));
        world.run_until(|_| peer.is_ready() && seen.count("handle_connect") == 1);
        peer.remote.pause_reading();
        let mut pushed = 0;
        while pushed < flood / 4 {
            let mut ch = world.map.channel(token).unwrap();
            ch.set_high_water(200_000);
            if ch.output_len() < ch.high_water() {
                ch.push(vec![b'x'; 10_000]);
                pushed += 10_000;
            } else {
                break;
            }
            world.settle();
            let len = world.map.channel(token).unwrap().output_len();
            assert!(len < 210_000 + WORST_PIECE, "{len}");
        }
        // It is full, so that it is not read.
        let ch = world.map.channel(token).unwrap();
        if ch.output_len() >= ch.high_water() {
            peer.send(b"?");
            world.settle();
            assert_eq!(seen.received_len(), 0);
        }
        peer.remote.resume_reading();
        peer.send(b"!");
        world.run_until(|_| peer.received().len() == pushed && seen.received().ends_with(b"!"));
        world.settle();
        assert_eq!(world.map.channel(token).unwrap().output_len(), 0);
    });
}

#[test]
fn bytes_below_the_layer_of_a_sink_hold_its_source_back() {
    on_every_network(|world| {
        let flood = world.flood;
        let (sink, mut peer) = server_with_cipher(world, 1, |ch| {
            ch.set_high_water(1000);
            Recorder::default()
        });
        world.run_until(|_| peer.is_ready());
        peer.remote.pause_reading();
        let most = Rc::new(Cell::new(0));
        let max = Rc::clone(&most);
        let relay = Recorder::default().on("handle_read", move |ch| {
            let mut buf = [0; 4096];
            let n = ch.recv(&mut buf)?;
            max.set(max.get().max(ch.output_len_of(sink)));
            if let Some(mut sink) = ch.channel(sink) {
                sink.push(&buf[..n]);
            }
            Ok(())
        });
        let (_, source) = world.connect_with(|ch| {
            ch.set_sink(sink);
            relay
        });
        let total = flood.min(2 << 20);
        source.send(&vec![b's'; total]);
        world.settle();
        assert!(most.get() < 1000, "read with {} bytes queued", most.get());
        let queued = world.map.channel(sink).unwrap().output_len();
        assert!((1000..5000 + WORST_PIECE).contains(&queued), "{queued}");
        peer.remote.resume_reading();
        world.run_until(|_| peer.received().len() == total);
    });
}

#[test]
fn the_output_limit_counts_what_is_queued_above_the_layer() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, _peer) = server_with_cipher(world, 100, |ch| {
            ch.set_output_limit(1000);
            Recorder::new(&seen)
        });
        let mut ch = world.map.channel(token).unwrap();
        ch.push(vec![0; 600]);
        ch.push(vec![0; 600]);
        world.run_until(|_| seen.is_closed());
        assert!(seen.errors()[0].contains("over its limit of 1000"), "{:?}", seen.errors());
    });
}

#[test]
fn what_would_pass_a_layer_by_is_unsupported() {
    on_every_network(|world| {
        let (token, mut peer) = server_with_cipher(world, 100, |_| Recorder::default());
        let (plain, _remote) = world.connect(Recorder::default());
        world.run_until(|_| peer.is_ready());
        let mut ch = world.map.channel(token).unwrap();
        assert_eq!(ch.send_oob(b"!").unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(ch.recv_oob(&mut [0]).unwrap_err().kind(), ErrorKind::Unsupported);
        #[cfg(target_os = "linux")]
        {
            assert_eq!(ch.splice_to(plain, 10).unwrap_err().kind(), ErrorKind::Unsupported);
            let mut ch = world.map.channel(plain).unwrap();
            assert_eq!(ch.splice_to(token, 10).unwrap_err().kind(), ErrorKind::Unsupported);
        }
        peer.send(b"?");
        world.map.channel(token).unwrap().push(b"still sound");
        world.run_until(|_| peer.received() == b"still sound");
    });
}

/// Produces so many bytes, of which each tells its place.
struct Counted {
    next: usize,
    end: usize,
}

impl Producer for Counted {
    fn more(&mut self, buf: &mut Vec<u8>) -> io::Result<()> {
        let to = self.end.min(self.next + 5000);
        buf.extend((self.next..to).map(|place| (place % 251) as u8));
        self.next = to;
        Ok(())
    }
}

/// Sends and receives at once, checks what comes, and rests from reading now and then.
struct Both {
    received: usize,
    expected: usize,
    pauses: bool,
    max_output: Rc<Cell<usize>>,
    /// Number of ends that have received everything.
    complete: Rc<Cell<usize>>,
}

impl Dispatcher for Both {
    fn readable(&self, _: &Channel<'_>) -> bool {
        true
    }

    fn ac_in_buffer_size(&self) -> usize {
        64 * 1024
    }

    fn handle_data(&mut self, ch: &mut Channel<'_>, data: &[u8]) -> Result {
        for byte in data {
            assert_eq!(*byte, (self.received % 251) as u8, "at {}", self.received);
            self.received += 1;
        }
        self.max_output.set(self.max_output.get().max(ch.output_len()));
        if self.pauses && self.received / 50_000 % 2 == 1 {
            ch.pause_reading();
            let this = ch.token::<Self>();
            ch.call_later(Duration::from_millis(1), move |map| {
                if let Some(mut ch) = map.channel(this) {
                    ch.resume_reading();
                }
                Ok(())
            });
        }
        if self.received == self.expected {
            self.complete.set(self.complete.get() + 1);
            ch.close_when_done();
        }
        Ok(())
    }
}

fn both_ways(world: &mut World, stack: Stack, total: usize) {
    let (most, complete) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let (max_output, counted) = (Rc::clone(&most), Rc::clone(&complete));
    let make = Rc::new(move |ch: &mut Channel<'_>, side: Side| {
        stack.insert(ch, side);
        ch.push_with_producer(Counted { next: 0, end: total });
        Both {
            received: 0,
            expected: total,
            pauses: side == Side::Client,
            max_output: Rc::clone(&max_output),
            complete: Rc::clone(&counted),
        }
    });
    let accept = Rc::clone(&make);
    let (listener, addr) =
        world.listen(Accept(move |ch: &mut Channel<'_>| accept(ch, Side::Server)));
    let token = connect(world, addr, |ch| make(ch, Side::Client));
    // Only the listener stays. Each channel closes when all has come, and all was sent.
    world.run_until(|world| {
        if let Some(ch) = world.map.channel(token) {
            let held = ch.layer::<Cipher>().map_or(0, |it| it.engine.max_held);
            assert!(held < 64 * 1024);
        }
        world.map.len() == 1
    });
    assert_eq!(complete.get(), 2);
    assert!(most.get() < 64 * 1024 + WORST_PIECE, "{}", most.get());
    world.map.channel(listener).unwrap().close();
    world.run_until(|world| world.map.is_empty());
}

#[test]
fn both_directions_move_at_once_with_records_of_any_size() {
    on_every_network(|world| {
        for record in [1, 16 * 1024] {
            let total = if world.net.is_some() { 6_000 } else { 400_000 };
            both_ways(world, Stack { proxy: false, cipher: Some(record) }, total);
        }
    });
}

#[test]
fn a_large_transfer_with_a_reader_that_stalls_needs_little_memory() {
    on_every_network(|world| {
        let total = if world.net.is_some() { 100_000 } else { 8 << 20 };
        both_ways(world, Stack { proxy: true, cipher: Some(4096) }, total);
    });
}
