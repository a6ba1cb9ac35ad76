//! The loop: running it, leaving it, and closing all channels.

mod util;

use std::io::{ErrorKind, Write};
use std::time::Duration;

use asyncore::sim::Network;
use asyncore::{Channel, Dispatcher, Domain, ExitNow, LoopOptions, Result, SocketMap, Token, Type};
use util::{Recorder, Remote, Seen, World, on_every_network, on_every_poller, tcp_pair};

const HOUR: Duration = Duration::from_secs(3600);

/// A handler with all defaults.
struct Plain;

impl Dispatcher for Plain {}

#[test]
fn run_returns_when_the_map_is_empty() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        map.run().unwrap();
        let seen = Seen::default();
        let (socket, mut remote) = tcp_pair();
        map.add(Recorder::new(&seen), socket);
        remote.write_all(b"all").unwrap();
        drop(remote);
        map.run().unwrap();
        assert!(map.is_empty());
        assert_eq!(seen.received(), b"all");
    });
}

#[test]
fn the_run_function_runs_a_map_until_it_is_empty() {
    let seen = Seen::default();
    let (socket, remote) = tcp_pair();
    drop(remote);
    let outcome = asyncore::run(|map| {
        map.add(Recorder::new(&seen), socket);
        Ok(())
    });
    outcome.unwrap();
    assert!(seen.is_closed());

    let failed = asyncore::run(|_| Err(asyncore::Error::msg("nothing to serve")));
    assert_eq!(failed.unwrap_err().to_string(), "nothing to serve");
}

#[test]
fn run_with_limits_the_passes_and_their_waits() {
    let net = Network::new(1);
    let mut map = SocketMap::simulated(&net);
    map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.listen(1)?;
        Ok(Plain)
    })
    .unwrap();
    for (count, timeout) in [(3, HOUR), (1, HOUR / 2), (0, HOUR)] {
        let (passes, start) = (map.stats().passes, net.elapsed());
        map.run_with(LoopOptions { timeout: Some(timeout), count: Some(count) }).unwrap();
        assert_eq!(map.stats().passes - passes, count);
        assert_eq!(net.elapsed() - start, timeout * count as u32);
    }
}

#[test]
fn a_pass_returns_the_number_of_ready_sockets() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let mut remotes = Vec::new();
        for _ in 0..3 {
            let (socket, mut remote) = tcp_pair();
            map.add(Recorder::new(&Seen::default()), socket);
            remote.write_all(b"x").unwrap();
            remotes.push(remote);
        }
        let pass = map.poll(None).unwrap();
        assert_eq!((pass.events, pass.exit), (3, false));
        let pass = map.poll(Some(Duration::ZERO)).unwrap();
        assert_eq!((pass.events, pass.exit), (0, false));
        assert_eq!((map.stats().passes, map.stats().events), (2, 3));
    });
}

#[test]
fn a_simulated_deadlock_is_an_error() {
    let net = Network::new(1);
    let mut map = SocketMap::simulated(&net);
    map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.listen(1)?;
        Ok(Plain)
    })
    .unwrap();
    let error = map.run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadlock);
    assert!(error.to_string().contains("1 wait to read"), "{error}");
}

/// Checks that the callback that `provoke` triggers leaves the loop with `ExitNow`.
#[track_caller]
fn leaves_the_loop(callback: &'static str, provoke: impl Fn(&mut World, Token<Recorder>, &Remote)) {
    on_every_network(|world| {
        let seen = Seen::default();
        let leaving = Recorder::new(&seen).on(callback, move |ch| {
            ch.set_timeout(None);
            if callback == "handle_read" {
                ch.recv(&mut [0; 8])?;
            }
            Err(ExitNow.into())
        });
        let (token, remote) = world.connect(leaving);
        provoke(world, token, &remote);
        world.map.run().unwrap();
        assert_eq!((seen.calls().last().unwrap().as_str(), seen.errors().len()), (callback, 0));
        assert!(world.map.contains(token), "the channels stay");
        assert_eq!(world.map.stats().errors, 0);
        assert!(!world.map.poll(Some(Duration::ZERO)).unwrap().exit, "it is left once");
    });
}

#[test]
fn exit_now_leaves_the_loop_from_any_callback() {
    leaves_the_loop("handle_read", |_, _, remote| remote.send(b"x"));
    leaves_the_loop("handle_eof", |_, _, remote| remote.shutdown());
    leaves_the_loop("handle_timeout", |world, token, _| {
        world.map.channel(token).unwrap().set_timeout(Duration::from_millis(1));
    });
}

#[test]
fn exit_now_leaves_the_loop_from_an_accepting_listener() {
    struct Once;
    impl Dispatcher for Once {
        fn handle_accept(&mut self, ch: &mut Channel<'_>) -> Result {
            assert!(ch.accept()?.is_some());
            Err(ExitNow.into())
        }
    }
    on_every_network(|world| {
        let (token, addr) = world.listen(Once);
        let _visitor = world.visit(addr);
        world.map.run().unwrap();
        assert!(world.map.contains(token));
    });
}

#[test]
fn drain_stops_accepting_sends_what_is_queued_and_closes() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (listener, addr) = world.listen(Recorder::new(&seen));
        let (token, remote) = world.connect(Recorder::new(&seen));
        world.map.channel(token).unwrap().push(vec![7; 2_000]);
        world.map.call_later(HOUR, |_| panic!("put off beyond the end"));
        world.map.drain(HOUR);
        assert!(world.map.channel(listener).unwrap().is_closing(), "it accepts no more");
        let mut received = 0;
        world.run_until(|_| {
            received += remote.received().len();
            remote.saw_eof()
        });
        assert_eq!(received, 2_000);
        let late = world.net.clone().map(|net| net.connect(addr));
        remote.close();
        world.map.run().unwrap();
        assert!(world.map.is_empty());
        assert!(late.is_none_or(|late| !late.is_connected()));
    });
}

#[test]
fn drain_waits_for_a_stalled_peer_until_the_deadline() {
    let net = Network::new(1);
    let builder = SocketMap::builder().send_timeout(10 * HOUR);
    let mut map = builder.build_simulated(&net);
    let listener = net.listen("127.0.0.1:7".parse().unwrap()).unwrap();
    let seen = Seen::default();
    let connecting = map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.connect(listener.local_addr())?;
        ch.push(vec![0; 1_000_000]);
        Ok(Recorder::new(&seen))
    });
    connecting.unwrap();
    let mut peer = None;
    util::run_until(&mut map, |_| {
        peer = peer.take().or_else(|| listener.accept());
        peer.is_some()
    });
    peer.as_ref().unwrap().pause_reading();
    let start = net.elapsed();
    map.drain(HOUR);
    map.run().unwrap();
    assert_eq!(net.elapsed() - start, HOUR);
    assert!(seen.is_closed() && map.is_empty());
}

#[test]
fn a_drained_map_can_be_reused() {
    let net = Network::new(1);
    let mut map = SocketMap::simulated(&net);
    map.drain(HOUR);
    map.run().unwrap();
    assert_eq!(net.elapsed(), Duration::ZERO);
    // The deadline of the drain must not apply to later channels.
    let seen = Seen::default();
    map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.listen(1)?;
        Ok(Recorder::new(&seen))
    })
    .unwrap();
    map.run_with(LoopOptions { timeout: Some(2 * HOUR), count: Some(2) }).unwrap();
    assert!(!seen.is_closed());
}

#[test]
fn a_callback_can_start_a_drain() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (_, _other) = world.connect(Recorder::new(&seen));
        let drains = Recorder::new(&seen).on("handle_read", |ch| {
            ch.recv(&mut [0; 8])?;
            ch.drain(Duration::ZERO);
            Ok(())
        });
        let (_, remote) = world.connect(drains);
        remote.send(b"x");
        world.map.run().unwrap();
        assert_eq!(seen.count("handle_close"), 2);
    });
}

#[test]
fn max_channels_can_be_raised_while_the_listener_is_paused() {
    util::on_every_network_with(
        |builder| builder.max_channels(1),
        |world| {
            let seen = Seen::default();
            let (_, addr) = world.listen(Recorder::new(&seen));
            let _visitors: Vec<_> = (0..3).map(|_| world.visit(addr)).collect();
            world.run_until(|world| world.map.stats().accepted == 1);
            world.settle();
            assert_eq!(world.map.len(), 2, "the listener and the one that it may have");
            world.map.set_max_channels(2);
            world.run_until(|world| world.map.stats().accepted == 2);
            world.settle();
            assert_eq!(world.map.len(), 3);
        },
    );
}

#[test]
fn dropping_a_map_closes_its_sockets_without_callbacks() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (_, remote) = world.connect(Recorder::new(&seen));
        world.settle();
        let calls = seen.calls();
        world.map = match &world.net {
            Some(net) => SocketMap::simulated(net),
            None => SocketMap::new().unwrap(),
        };
        world.run_until(|_| remote.saw_eof());
        assert_eq!(seen.calls(), calls);
    });
}
