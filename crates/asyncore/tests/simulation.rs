//! The simulated network: unchanged handlers, faults, and reproducible runs.

mod util;

use std::env;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use asyncore::sim::{self, Faults, Network, Peer};
use asyncore::{
    Accumulator, AsyncChat, Channel, Dispatcher, Domain, EventLoop, Result, Socket, SocketMap, Type,
};
use util::{MAX_PASSES, Recorder, Seen, on_every_network, run_until};

/// Echoes its input, then closes.
struct Echo;

impl Dispatcher for Echo {
    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        let mut buf = [0; 100];
        let n = ch.recv(&mut buf)?;
        ch.push(&buf[..n]);
        Ok(())
    }
}

/// A dialogue that returns each line with its number.
struct Numbered {
    line: Accumulator,
    count: u32,
}

impl AsyncChat for Numbered {
    fn collect_incoming_data(&mut self, _: &mut Channel<'_>, data: &[u8]) -> Result {
        Ok(self.line.collect(data)?)
    }

    fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
        self.count += 1;
        let line = String::from_utf8(self.line.take())?;
        ch.push(format!("{} {line}\n", self.count).into_bytes());
        Ok(())
    }
}

/// Adds a listener for echoes and one for numbered lines.
struct Server {
    numbers: bool,
}

impl Dispatcher for Server {
    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        _: Option<SocketAddr>,
    ) -> Result {
        if self.numbers {
            let token = ch.add(Numbered { line: Accumulator::new(), count: 0 }, sock);
            if let Some(mut dialogue) = ch.channel(token) {
                dialogue.set_terminator(b"\n");
            }
        } else {
            ch.add(Echo, sock);
        }
        Ok(())
    }
}

fn listen(map: &mut EventLoop, numbers: bool) -> SocketAddr {
    let added = map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.bind(([127, 0, 0, 1], 0))?;
        ch.listen(64)?;
        Ok(Server { numbers })
    });
    let addr = map.channel(added.unwrap()).unwrap().local_addr().unwrap();
    addr.inet().unwrap()
}

/// Runs the map until all peers have seen the end of their stream or a reset.
fn finish(map: &mut EventLoop, peers: &[Peer]) {
    run_until(map, |_| peers.iter().all(|peer| peer.saw_eof() || peer.error().is_some()));
}

/// Runs echoes and dialogues; returns what each peer has received.
fn run_scenario(net: &Network) -> Vec<Vec<u8>> {
    let mut map = SocketMap::simulated(net);
    let (echo, numbered) = (listen(&mut map, false), listen(&mut map, true));
    let mut rng = fastrand::Rng::with_seed(net.seed());
    let visitors: Vec<Peer> = (0..4)
        .map(|at| {
            let peer = net.connect(if at % 2 == 0 { echo } else { numbered });
            for number in 0..rng.u64(..8) {
                peer.send(format!("{number} from {at}\n").repeat(3).as_bytes());
            }
            peer.shutdown();
            peer
        })
        .collect();
    finish(&mut map, &visitors);
    visitors.iter().map(Peer::received).collect()
}

#[test]
fn one_handler_type_runs_on_simulated_and_real_networks() {
    on_every_network(|world| {
        let (_, addr) = world.listen(Server { numbers: true });
        let visitor = world.visit(addr);
        visitor.send(b"one\ntwo\n");
        visitor.shutdown();
        let mut answer = Vec::new();
        world.run_until(|_| {
            answer.extend(visitor.received());
            visitor.saw_eof()
        });
        assert_eq!(answer, b"1 one\n2 two\n");
    });
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed, faults: &Faults| {
        let net = Network::with_faults(seed, faults.clone());
        net.keep_trace();
        let received = run_scenario(&net);
        (received, net.trace(), net.fingerprint(), net.elapsed())
    };
    for faults in [Faults::none(), Faults::mild(), Faults::harsh()] {
        for seed in 0..10 {
            let (first, second) = (run(seed, &faults), run(seed, &faults));
            assert!(first == second, "seed {seed} of {faults:?} differs");
            assert!(!first.1.is_empty());
            assert_ne!(first.2, run(seed + 100, &faults).2, "another seed, the same run");
        }
    }
}

#[test]
fn a_harsh_network_keeps_every_byte_in_order() {
    sim::check(0..200, |net| {
        let net = Network::with_faults(net.seed(), Faults { reset: 0.0, ..Faults::harsh() });
        let mut map = SocketMap::simulated(&net);
        let addr = listen(&mut map, false);
        let peer = net.connect(addr);
        let mut rng = fastrand::Rng::with_seed(net.seed());
        let sent: Vec<u8> = (0..rng.u64(..1500)).map(|_| rng.u8(..)).collect();
        peer.send(&sent);
        peer.shutdown();
        finish(&mut map, std::slice::from_ref(&peer));
        assert!(peer.received() == sent);
        assert_eq!(map.stats().errors, 0);
    });
}

#[test]
fn a_small_window_costs_passes_per_read_not_per_byte() {
    // A slow input from the fuzzer: a script of 49 bytes took 31,150 passes for 33,024 bytes.
    let faults = Faults {
        partial: 0.98,
        would_block: 0.89,
        subset: 0.18,
        latency: Duration::ZERO..Duration::from_millis(79),
        window: 129,
        segment: 33_211,
        ..Faults::none()
    };
    let net = Network::with_faults(15_150_640_627_290_996_518, faults);
    let mut map = SocketMap::simulated(&net);
    let addr = listen(&mut map, false);
    let peer = net.connect(addr);
    peer.send(&vec![b'x'; 33_024]);
    peer.shutdown();
    while !peer.saw_eof() {
        let passes = map.stats().passes;
        assert!(passes < 33_024 / 3, "{passes} passes, {} bytes read", map.stats().bytes_in);
        let _ = map.poll(None).unwrap();
    }
    assert_eq!(map.stats().bytes_in, 33_024);
}

#[test]
fn an_injected_reset_delivers_a_prefix() {
    let mut resets = 0;
    sim::check(0..50, |net| {
        let net = Network::with_faults(net.seed(), Faults { reset: 0.02, ..Faults::harsh() });
        let mut map = SocketMap::simulated(&net);
        let addr = listen(&mut map, false);
        let sent: Vec<u8> = (0..400).map(|at| at as u8).collect();
        let peers: Vec<Peer> = (0..3).map(|_| net.connect(addr)).collect();
        for peer in &peers {
            peer.send(&sent);
            peer.shutdown();
        }
        finish(&mut map, &peers);
        for peer in &peers {
            let received = peer.received();
            assert!(sent.starts_with(&received));
            assert!(peer.was_reset() || received == sent);
        }
        run_until(&mut map, |map| map.len() == 1);
        resets += net.injected_resets();
    });
    assert!(resets > 10, "{resets} resets do not test much");
}

#[test]
fn a_reset_at_any_byte_ends_only_its_channel() {
    let message = b"a message that breaks off somewhere";
    for cut in 0..=message.len() {
        let net = Network::with_faults(cut as u64, Faults::none());
        let mut map = SocketMap::simulated(&net);
        let listener = net.listen("127.0.0.1:7".parse().unwrap()).unwrap();
        let (broken, spared) = (Seen::default(), Seen::default());
        for seen in [&broken, &spared] {
            let added = map.add_with(|ch| {
                ch.create_socket(Domain::IPV4, Type::STREAM)?;
                ch.connect(listener.local_addr())?;
                Ok(Recorder::new(seen))
            });
            added.unwrap();
            run_until(&mut map, |_| seen.count("handle_connect") == 1);
        }
        let (first, second) = (listener.accept().unwrap(), listener.accept().unwrap());
        first.send(&message[..cut]);
        run_until(&mut map, |_| broken.received_len() == cut);
        first.reset();
        second.send(message);
        run_until(&mut map, |_| broken.is_closed() && spared.received() == message);
        assert_eq!(broken.received(), message[..cut]);
        assert_eq!((broken.count("handle_eof"), broken.count("handle_close")), (0, 1));
        assert!(broken.cause().unwrap().to_lowercase().contains("connection reset"));
        assert!(!spared.is_closed());
    }
}

#[test]
fn each_half_closes_independently() {
    sim::check(0..20, |net| {
        let mut map = SocketMap::simulated(&net);
        let listener = net.listen("127.0.0.1:7".parse().unwrap()).unwrap();
        let seen = Seen::default();
        let stays = Recorder::new(&seen).on("handle_eof", |ch| {
            ch.push(b"after the end of the other half");
            ch.shutdown_write();
            Ok(())
        });
        let added = map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.connect(listener.local_addr())?;
            Ok(stays)
        });
        added.unwrap();
        run_until(&mut map, |_| seen.count("handle_connect") == 1);
        let peer = listener.accept().unwrap();
        peer.send(b"all of it");
        peer.shutdown();
        finish(&mut map, std::slice::from_ref(&peer));
        assert_eq!(seen.received(), b"all of it");
        assert_eq!(peer.received(), b"after the end of the other half");
        run_until(&mut map, |map| map.is_empty());
    });
}

#[test]
fn an_idle_hour_on_a_hundred_channels_takes_few_passes() {
    let net = Network::with_faults(1, Faults::none());
    let mut map = SocketMap::simulated(&net);
    let addr = listen(&mut map, false);
    let peers: Vec<Peer> = (0..100).map(|_| net.connect(addr)).collect();
    run_until(&mut map, |map| map.stats().accepted == 100);
    for token in map.tokens().collect::<Vec<_>>() {
        map.channel(token).unwrap().set_timeout(Duration::from_secs(3600));
    }
    let passes = map.stats().passes;
    map.run().unwrap();
    assert!(net.elapsed() >= Duration::from_secs(3600));
    assert!(map.stats().passes - passes < MAX_PASSES as u64 / 10);
    while net.step() {}
    assert!(peers.iter().all(Peer::saw_eof));
}

/// Fails with seed 13 only. The test below runs it in a process of its own.
#[test]
#[ignore = "fails on purpose; run by another test"]
fn fails_with_seed_13() {
    sim::check(10..20, |net| {
        println!("ran seed {}", net.seed());
        assert_ne!(net.seed(), 13, "seed 13 fails");
    });
}

#[test]
fn a_failing_seed_is_printed_and_can_be_run_alone() {
    let run = |seed: Option<&str>| {
        let mut test = Command::new(env::current_exe().unwrap());
        test.args(["--exact", "fails_with_seed_13", "--ignored", "--nocapture"])
            .env_remove("ASYNCORE_SIM_SEED");
        test.envs(seed.map(|seed| ("ASYNCORE_SIM_SEED", seed)));
        let output = test.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let (passed, text) = run(None);
    assert!(!passed && text.contains("ran seed 13") && !text.contains("ran seed 14"), "{text}");
    let line = "the simulation failed with seed 13; to run it alone: ASYNCORE_SIM_SEED=13 cargo test fails_with_seed_13";
    assert!(text.contains(line), "{text}");

    let (passed, text) = run(Some("13"));
    assert!(!passed && text.contains("ran seed 13") && !text.contains("ran seed 10"), "{text}");
    let (passed, text) = run(Some("14"));
    assert!(passed && text.contains("ran seed 14") && !text.contains("ran seed 13"), "{text}");
}
