//! Channels that wait for one another: in a chain, in a circle, and a thousand for one.

mod util;

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use asyncore::sim::{Faults, Network, Peer};
use asyncore::{Channel, Dispatcher, Domain, Result, Socket, SocketMap, Token, Type};
use util::flow::{Counter, fill, full_sink};
use util::{PASS, Recorder, Seen, World, assert_rests, on_every_network, run_until};

#[test]
fn a_channel_of_a_chain_waits_for_the_next_and_for_no_other() {
    on_every_network(|world| {
        let (c, c_end) = full_sink(world);
        let (a_counter, a_count) = Counter::new(0);
        let (b_counter, b_count) = Counter::new(0);
        let (b, b_end) = world.connect(b_counter);
        let (a, a_end) = world.connect(a_counter);
        world.map.channel(b).unwrap().set_sink(c);
        world.map.channel(a).unwrap().set_sink(b);
        a_end.send(b"1");
        b_end.send(b"1");
        world.run_until(|_| a_count.get() == 1);
        world.settle();
        assert_eq!(b_count.get(), 0, "c is full");

        fill(world, b, &b_end);
        a_end.send(b"2");
        world.settle();
        c_end.resume_reading();
        world.run_until(|_| b_count.get() == 1);
        world.settle();
        assert_eq!(a_count.get(), 1, "b is full");
        b_end.resume_reading();
        world.run_until(|_| a_count.get() == 2);
    });
}

/// One half of a relay without predicates of its own.
struct Half {
    other: Option<Token<Half>>,
    /// Moves the bytes inside the kernel.
    splices: bool,
    longest: usize,
}

impl Half {
    fn new(splices: bool) -> Self {
        Half { other: None, splices, longest: 0 }
    }

    fn join(world: &mut World, left: Token<Half>, right: Token<Half>) {
        for (half, other) in [(left, right), (right, left)] {
            world.map.with(half, |this, ch| {
                this.other = Some(other);
                ch.set_sink(other);
            });
        }
    }
}

const MARK: usize = 64 * 1024;

/// How much a half reads at once.
const READ: usize = 32 * 1024;

impl Dispatcher for Half {
    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        let Some(other) = self.other else { return Ok(()) };
        #[cfg(target_os = "linux")]
        if self.splices {
            ch.splice_to(other, READ)?;
            self.longest = self.longest.max(ch.output_len_of(other));
            return Ok(());
        }
        let mut buf = vec![0; READ];
        let n = ch.recv(&mut buf)?;
        if let Some(mut other) = ch.channel(other) {
            other.push(&buf[..n]);
            self.longest = self.longest.max(other.output_len());
        }
        Ok(())
    }

    fn handle_eof(&mut self, ch: &mut Channel<'_>) -> Result {
        if let Some(mut other) = self.other.and_then(|other| ch.channel(other)) {
            other.shutdown_write();
        }
        Ok(())
    }
}

/// Sends a flood each way through a relay whose peers read late, then ends both.
fn relays_both_ways(world: &mut World, splices: bool) {
    let (left, left_end) = world.connect(Half::new(splices));
    let (right, right_end) = world.connect(Half::new(splices));
    Half::join(world, left, right);
    let size = world.flood;
    let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
    for end in [&left_end, &right_end] {
        end.pause_reading();
        end.send(&bytes);
        end.shutdown();
    }
    for _ in 0..300 {
        let _ = world.pass(PASS);
    }
    for end in [&left_end, &right_end] {
        end.resume_reading();
    }
    let mut received = [Vec::new(), Vec::new()];
    world.run_until(|world| {
        received[0].extend(left_end.received());
        received[1].extend(right_end.received());
        for half in [left, right] {
            let longest = world.map.get(half).map_or(0, |half| half.longest);
            assert!(longest < MARK + READ, "{longest} bytes were queued");
        }
        world.map.is_empty() && received.iter().all(|it| it.len() >= size)
    });
    assert!(received == [bytes.clone(), bytes], "what arrives is what was sent");
}

#[test]
fn a_relay_of_two_that_feed_each_other_delivers_all() {
    on_every_network(|world| relays_both_ways(world, false));
}

#[test]
#[cfg(target_os = "linux")]
fn a_spliced_relay_waits_for_its_sinks_and_delivers_all() {
    on_every_network(|world| {
        if world.net.is_none() {
            relays_both_ways(world, true);
        }
    });
}

/// Accepts sources of one sink.
struct Sources {
    sink: Option<Token<Recorder>>,
    seen: Seen,
    asked: Rc<Cell<usize>>,
}

impl Dispatcher for Sources {
    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        _: Option<SocketAddr>,
    ) -> Result {
        let asked = Rc::clone(&self.asked);
        let source = Recorder::new(&self.seen).readable(move |_| {
            asked.set(asked.get() + 1);
            true
        });
        let source = ch.add(source, sock);
        ch.channel(source).unwrap().set_sink(self.sink.unwrap());
        Ok(())
    }
}

#[test]
fn a_thousand_sources_of_one_sink_are_each_asked_a_few_times() {
    const SOURCES: usize = 1_000;
    let net = Network::with_faults(1, Faults::none());
    let mut map = SocketMap::simulated(&net);
    let (seen, asked) = (Seen::default(), Rc::<Cell<usize>>::default());
    let handler = Sources { sink: None, seen: seen.clone(), asked: Rc::clone(&asked) };
    let addr = "127.0.0.1:7".parse::<SocketAddr>().unwrap();
    let listener = map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.bind(addr)?;
        ch.listen(1024)?;
        Ok(handler)
    });
    let listener = listener.unwrap();
    let sink_listener = net.listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let sink = map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.connect(sink_listener.local_addr())?;
        ch.set_high_water(1);
        Ok(Recorder::default())
    });
    let sink = sink.unwrap();
    run_until(&mut map, |map| map.channel(sink).unwrap().connected());
    let sink_end = sink_listener.accept().unwrap();
    sink_end.pause_reading();
    map.channel(sink).unwrap().push(vec![9; 100_000]);
    map.get_mut(listener).unwrap().sink = Some(sink);

    let peers: Vec<Peer> = (0..SOURCES).map(|_| net.connect(addr)).collect();
    peers.iter().for_each(|peer| peer.send(b"x"));
    run_until(&mut map, |map| map.len() == SOURCES + 2);
    assert_rests(&mut map);
    assert_eq!(seen.received_len(), 0);
    assert!(asked.get() <= 5 * SOURCES, "{SOURCES} were asked {} times at first", asked.get());

    asked.set(0);
    // Empty and full many times over, and then empty.
    for _ in 0..1_000 {
        let mut channel = map.channel(sink).unwrap();
        channel.discard_buffers();
        channel.push(vec![9; 100_000]);
    }
    sink_end.resume_reading();
    run_until(&mut map, |_| seen.received_len() == SOURCES);
    assert_rests(&mut map);
    assert!(asked.get() <= 5 * SOURCES, "{SOURCES} were asked {} times", asked.get());
}
