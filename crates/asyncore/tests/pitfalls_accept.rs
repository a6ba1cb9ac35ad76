//! Accepting: limits per pass, and failures of the system and of handlers.

mod util;

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use asyncore::sim::{Faults, Network};
use asyncore::{Channel, Dispatcher, Domain, EventLoop, Result, Socket, SocketMap, Type};
use util::{PASS, Recorder, Remote, Seen, World, on_every_network, run_until};

const EMFILE: i32 = 24;
const ENFILE: i32 = 23;
const ENOMEM: i32 = 12;
const ENOBUFS: i32 = 105;
const ECONNABORTED: i32 = 103;

/// Adds a recorder for each connection; uses the default `handle_accept`.
struct Server {
    visitors: Seen,
}

impl Dispatcher for Server {
    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        _: Option<SocketAddr>,
    ) -> Result {
        ch.add(Recorder::new(&self.visitors), sock);
        Ok(())
    }
}

/// Connects `count` remote ends, which all wait in the backlog.
fn visitors(world: &mut World, addr: SocketAddr, count: usize) -> Vec<Remote> {
    let remotes = (0..count).map(|_| world.visit(addr)).collect();
    if let Some(net) = &world.net {
        while net.step() {}
    }
    remotes
}

#[test]
fn many_connections_are_accepted_in_one_pass() {
    on_every_network(|world| {
        let (_, addr) = world.listen(Server { visitors: Seen::default() });
        let _remotes = visitors(world, addr, 50);
        world.run_until(|world| world.map.stats().events > 0);
        assert_eq!(world.map.stats().accepted, 50);
        assert_eq!(world.map.len(), 51);
    });
}

#[test]
fn a_flood_of_connections_does_not_starve_other_channels() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (_, bystander) = world.connect(Recorder::new(&seen));
        let (_, addr) = world.listen(Server { visitors: Seen::default() });
        let _remotes = visitors(world, addr, 300);
        bystander.send(b"me too");
        if let Some(net) = &world.net {
            while net.step() {}
        }
        let mut before_the_bystander = 0;
        while world.map.stats().accepted < 300 {
            let before = world.map.stats().accepted;
            let _ = world.pass(PASS);
            let accepted = world.map.stats().accepted - before;
            assert!(accepted <= 64, "{accepted} in one pass");
            if seen.received_len() == 0 {
                before_the_bystander = world.map.stats().accepted;
            }
        }
        world.run_until(|_| seen.received() == b"me too");
        assert!(before_the_bystander < 300, "the bystander had to wait for the whole flood");
    });
}

/// Returns a map with a listener on a simulated network, and `count` peers in its backlog.
fn simulated(net: &Network, handler: impl Dispatcher, count: usize) -> (EventLoop, Vec<Remote>) {
    let mut map = SocketMap::simulated(net);
    let addr: SocketAddr = "127.0.0.1:80".parse().unwrap();
    map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.bind(addr)?;
        ch.listen(64)?;
        Ok(handler)
    })
    .unwrap();
    let peers = (0..count).map(|_| Remote::Simulated(net.connect(addr))).collect();
    while net.step() {}
    (map, peers)
}

#[test]
fn a_listener_out_of_descriptors_backs_off_and_resumes() {
    for errno in [EMFILE, ENFILE, ENOMEM, ENOBUFS] {
        let net = Network::with_faults(1, Faults::none());
        net.fail_accept_with(errno, 12);
        let lines = util::log::captured(|| {
            let (mut map, _peers) = simulated(&net, Server { visitors: Seen::default() }, 3);
            run_until(&mut map, |map| map.stats().accepted == 3);
            let stats = map.stats();
            // Twelve failures of accept, with a pause after each.
            assert_eq!(stats.events, 13, "{stats:?}");
            assert_eq!((map.len(), stats.errors), (4, 0));
        });
        let lines: Vec<_> = lines.iter().filter(|line| line.contains("accept")).collect();
        let [refused, resumed] = &lines[..] else { panic!("{lines:#?}") };
        let cause = std::io::Error::from_raw_os_error(errno).to_string();
        assert!(refused.starts_with("ERROR <") && refused.contains(&cause), "{refused}");
        assert!(refused.contains("Server listening 127.0.0.1:80"), "{refused}");
        assert!(
            resumed.starts_with("INFO <") && resumed.contains("accepts connections again"),
            "{resumed}"
        );
        // Pauses of 10 ms, 20 ms, … 640 ms, then five of 1 s: the listener neither spins nor gives
        // up.
        assert_eq!(net.elapsed().as_millis() / 10, 627);
    }
}

#[test]
fn running_out_of_descriptors_is_logged_once_a_minute() {
    let net = Network::with_faults(1, Faults::none());
    let lines = util::log::complaints(|| {
        let (mut map, mut peers) = simulated(&net, Server { visitors: Seen::default() }, 0);
        for accepted in 1..=130 {
            net.fail_accept_with(EMFILE, 1);
            peers.push(Remote::Simulated(net.connect("127.0.0.1:80".parse().unwrap())));
            run_until(&mut map, |map| map.stats().accepted == accepted);
            let _ = map.poll(Some(Duration::from_secs(1))).unwrap();
        }
    });
    // Once in each of the first three minutes.
    assert_eq!(lines.len(), 3, "{lines:#?}");
}

#[test]
fn a_closing_channel_wakes_a_listener_out_of_descriptors() {
    let net = Network::with_faults(1, Faults::none());
    let visitors = Seen::default();
    let (mut map, mut peers) = simulated(&net, Server { visitors: visitors.clone() }, 1);
    run_until(&mut map, |map| map.stats().accepted == 1);
    net.fail_accept_with(EMFILE, 8);
    peers.push(Remote::Simulated(net.connect("127.0.0.1:80".parse().unwrap())));
    // The pause has grown to 1 s.
    run_until(&mut map, |_| net.elapsed().as_millis() > 1500);
    assert_eq!(map.stats().accepted, 1);
    let before = net.elapsed();
    peers.swap_remove(0).shutdown();
    run_until(&mut map, |map| map.stats().accepted == 2);
    assert!(visitors.is_closed());
    assert!((net.elapsed() - before).as_millis() < 50, "{:?}", net.elapsed() - before);
}

#[test]
fn an_aborted_connection_in_the_backlog_is_skipped() {
    let net = Network::with_faults(1, Faults::none());
    net.fail_accept_with(ECONNABORTED, 2);
    let lines = util::log::complaints(|| {
        let (mut map, _peers) = simulated(&net, Server { visitors: Seen::default() }, 5);
        run_until(&mut map, |map| map.stats().accepted == 3);
        assert_eq!(map.stats().events, 1, "all in one go");
        assert_eq!(map.len(), 4);
    });
    assert_eq!(lines, [""; 0]);
}

/// Opens a second connection for each client, as a relay does; it always fails.
struct Relay;

impl Dispatcher for Relay {
    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        _: Option<SocketAddr>,
    ) -> Result {
        ch.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            // An address of the wrong family is refused at once, on every network.
            ch.connect("[::1]:9".parse::<SocketAddr>().unwrap())?;
            Ok(Recorder::default())
        })?;
        ch.add(Recorder::default(), sock);
        Ok(())
    }
}

#[test]
fn a_failed_connect_in_handle_accepted_spares_the_listener() {
    on_every_network(|world| {
        let lines = util::log::complaints(|| {
            let (token, addr) = world.listen(Relay);
            for _ in 0..3 {
                let remote = world.visit(addr);
                world.run_until(|_| remote.saw_eof() || remote.was_reset());
            }
            assert!(world.map.contains(token));
            assert_eq!((world.map.len(), world.map.stats().accepted), (1, 3));
        });
        assert_eq!(lines.len(), 3, "{lines:#?}");
        assert!(lines[0].contains("Relay listening 127.0.0.1:"), "{}", lines[0]);
        assert!(lines[0].contains("cannot connect to [::1]:9: "), "{}", lines[0]);
    });
}

#[test]
fn a_failing_handle_accepted_still_gets_later_connections() {
    on_every_network(|world| {
        let calls = Rc::new(Cell::new(0));
        let counter = Rc::clone(&calls);
        let seen = Seen::default();
        let handler = Recorder::new(&seen).on("handle_accepted", move |_| {
            counter.set(counter.get() + 1);
            match counter.get() % 3 {
                0 => Err(asyncore::Error::msg("every third")),
                1 => panic!("every third too"),
                _ => Ok(()),
            }
        });
        let (token, addr) = world.listen(handler);
        let _remotes = visitors(world, addr, 9);
        world.run_until(|_| calls.get() == 9);
        world.settle();
        assert!(world.map.contains(token));
        assert_eq!(seen.errors().len(), 6);
    });
}

#[test]
fn a_listener_at_max_channels_pauses_and_resumes() {
    util::on_every_network_with(
        |builder| builder.max_channels(3),
        |world| {
            let seen = Seen::default();
            let (_, addr) = world.listen(Server { visitors: seen.clone() });
            let remotes = visitors(world, addr, 10);
            world.run_until(|world| world.map.stats().accepted == 3);
            world.settle();
            assert_eq!((world.map.len(), world.map.stats().accepted), (4, 3));
            remotes.iter().for_each(Remote::shutdown);
            world.run_until(|world| {
                assert!(world.map.len() <= 4);
                seen.count("handle_close") == 10
            });
            assert_eq!((world.map.len(), world.map.stats().accepted), (1, 10));
        },
    );
}

#[test]
fn a_listener_that_closes_itself_accepts_nothing_more() {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = Recorder::new(&seen).on("handle_accepted", |ch| {
            ch.close();
            Ok(())
        });
        let (_, addr) = world.listen(handler);
        let _remotes = visitors(world, addr, 3);
        world.run_until(|_| seen.is_closed());
        world.settle();
        assert_eq!(seen.calls(), ["handle_accepted", "handle_close"]);
        assert!(world.map.is_empty());
    });
}
