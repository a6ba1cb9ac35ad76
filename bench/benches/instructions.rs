//! Instruction counts of the library's hot paths, each with a limit, so that a change which makes
//! one of them slower does not go unseen.
//!
//! `cargo bench -p bench --bench instructions` needs valgrind, and gungraun-runner in the version
//! that `Cargo.toml` names. What the system does in its calls is not counted. The limits leave
//! room of about 30 % above what was measured (Rust 1.95, x86-64) for other compilers; whoever
//! makes the library quicker should lower them.

#![allow(missing_docs, reason = "the macros make public modules")]

use std::hint::black_box;
use std::io::{Read, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::Duration;

use asyncore::{
    Channel, Dispatcher, EventLoop, Framer, Result, SimpleProducer, Socket, SocketMap, Step,
    Terminator, Token,
};
use gungraun::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const SIZE: usize = 64 * 1024;

fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::default();
    callgrind.hard_limits([(EventKind::Ir, instructions)]);
    LibraryBenchmarkConfig::default().tool(callgrind).to_owned()
}

struct Echo;

impl Dispatcher for Echo {
    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        // Small, or clearing it would be most of what is counted.
        let mut buf = [0; 64];
        let n = ch.recv(&mut buf)?;
        ch.push(&buf[..n]);
        Ok(())
    }
}

/// The same by `handle_data`, the way that the loop has inlined.
struct Told;

impl Dispatcher for Told {
    fn ac_in_buffer_size(&self) -> usize {
        8192
    }

    fn handle_data(&mut self, ch: &mut Channel<'_>, data: &[u8]) -> Result {
        ch.push(data);
        Ok(())
    }
}

/// A map, and the other ends of its channels.
struct World {
    map: EventLoop,
    peers: Vec<UnixStream>,
}

impl World {
    fn new() -> World {
        World { map: SocketMap::new().expect("an epoll descriptor"), peers: Vec::new() }
    }

    fn connect<T: Dispatcher>(&mut self, handler: T) -> Token<T> {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        self.peers.push(theirs);
        self.map.add(handler, Socket::try_from(ours).expect("a socket that is open"))
    }

    fn pass(&mut self) -> usize {
        self.map.poll(Some(Duration::ZERO)).expect("epoll waits").events
    }
}

/// Channels of which `ready` have a message to echo, after a round that warms the buffers up.
fn echoes<T: Dispatcher>(handler: fn() -> T, ready: usize, idle: usize) -> World {
    // The idle need more descriptors than systems give by default.
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).expect("below the limit");
    let mut world = World::new();
    for _ in 0..idle {
        let socket = UnixDatagram::unbound().expect("a socket");
        world.map.add(handler(), Socket::try_from(socket).expect("a socket that is open"));
    }
    for _ in 0..ready {
        world.connect(handler());
    }
    for round in 0..2 {
        for peer in &mut world.peers {
            peer.write_all(&[round; 64]).expect("room for a message");
        }
        if round == 0 {
            assert_eq!(world.pass(), ready);
        }
    }
    world
}

/// One limit for a pass with and without idle channels, which must cost it nothing.
const TEN_READY: u64 = 7_800;

#[library_benchmark]
#[bench::fifty_ready(args = (echoes(|| Echo, 50, 0)), config = at_most(36_500))]
#[bench::fifty_told(args = (echoes(|| Told, 50, 0)), config = at_most(34_500))]
#[bench::ten_ready(args = (echoes(|| Echo, 10, 0)), config = at_most(TEN_READY))]
#[bench::ten_ready_and_1000_idle(args = (echoes(|| Echo, 10, 1000)), config = at_most(TEN_READY))]
fn dispatch(mut world: World) -> World {
    black_box(world.pass());
    world
}

/// A framer with a terminator, and `SIZE` bytes of short lines.
fn lines(terminator: impl Into<Terminator>) -> (Framer, Vec<u8>) {
    let mut framer = Framer::new();
    framer.set_terminator(terminator.into());
    let line = b"a line of thirty-two bytes, CRLF\r\n";
    (framer, line.iter().copied().cycle().take(SIZE).collect())
}

/// Feeds `input` in pieces, and counts what comes of it.
fn feed(framer: &mut Framer, input: &[u8], piece: usize) -> (usize, usize) {
    let (mut collected, mut found) = (0, 0);
    for mut piece in input.chunks(piece) {
        while let Some(step) = framer.step(&mut piece) {
            match step {
                Step::Collect(data) => collected += data.len(),
                Step::Found => found += 1,
            }
        }
    }
    (collected, found)
}

#[library_benchmark]
#[bench::lines_at_once(args = (lines("\r\n"), SIZE), config = at_most(870_000))]
#[bench::lines_byte_by_byte(args = (lines("\r\n"), 1), config = at_most(20_200_000))]
#[bench::body_by_length(args = (lines(SIZE), 4096), config = at_most(4_000))]
fn framing((mut framer, input): (Framer, Vec<u8>), piece: usize) -> (Framer, Vec<u8>) {
    black_box(feed(&mut framer, black_box(&input), piece));
    (framer, input)
}

/// Puts data into an output queue.
type Fill = fn(&mut Channel<'_>, Vec<u8>);

fn small_pieces(ch: &mut Channel<'_>, data: Vec<u8>) {
    for piece in data.chunks(64) {
        ch.push(piece);
    }
}

fn big_piece(ch: &mut Channel<'_>, data: Vec<u8>) {
    ch.push(data);
}

fn producer(ch: &mut Channel<'_>, data: Vec<u8>) {
    ch.push_with_producer(SimpleProducer::new(data));
}

struct Sending {
    world: World,
    token: Token<Echo>,
    fill: Fill,
    data: Vec<u8>,
    received: Vec<u8>,
}

fn sending(fill: Fill, size: usize) -> Sending {
    let mut world = World::new();
    let token = world.connect(Echo);
    world.peers[0].set_nonblocking(true).expect("a socket that is open");
    Sending { world, token, fill, data: vec![1; size], received: vec![0; SIZE] }
}

// Fills the queue, and lets the peer read until all of it was sent.
#[library_benchmark]
#[bench::small_pieces(args = (sending(small_pieces, SIZE)), config = at_most(290_000))]
#[bench::big_piece(args = (sending(big_piece, 64 * SIZE)), config = at_most(41_000))]
#[bench::producer(args = (sending(producer, 4 * SIZE)), config = at_most(260_000))]
fn queue(mut it: Sending) -> Sending {
    let map = &mut it.world.map;
    (it.fill)(&mut map.channel(it.token).expect("it is open"), std::mem::take(&mut it.data));
    while it.world.map.channel(it.token).is_some_and(|ch| ch.has_output()) {
        black_box(it.world.pass());
        while it.world.peers[0].read(&mut it.received).is_ok() {}
    }
    it
}

library_benchmark_group!(name = passes, benchmarks = dispatch);
library_benchmark_group!(name = input, benchmarks = framing);
library_benchmark_group!(name = output, benchmarks = queue);
main!(library_benchmark_groups = [passes, input, output]);
