//! Connecting to addresses and to hosts, and failures to connect.

mod util;

use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::time::Duration;

use asyncore::sim::{Faults, Network};
use asyncore::{Channel, Domain, EventLoop, SocketMap, Token, Type};
use util::{Recorder, Seen, on_every_network, on_every_poller, run_until};

const SECOND: Duration = Duration::from_secs(1);

/// Adds a channel that connects to a host by name.
fn connect_host(map: &mut EventLoop, seen: &Seen, host: &str, port: u16) -> Token<Recorder> {
    connect_host_as(map, Recorder::new(seen), host, port)
}

fn connect_host_as(
    map: &mut EventLoop,
    handler: Recorder,
    host: &str,
    port: u16,
) -> Token<Recorder> {
    let added = map.add_with(|ch| {
        ch.connect_host(host, port)?;
        assert!(ch.is_connecting());
        Ok(handler)
    });
    added.unwrap()
}

/// Returns a network without latency, so that all delays are the library's.
fn prompt() -> (Network, EventLoop) {
    let net = Network::with_faults(1, Faults::none());
    let map = SocketMap::simulated(&net);
    (net, map)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn localhost_is_reached_over_either_family() {
    on_every_poller(|builder| {
        for addr in ["127.0.0.1:0", "[::1]:0"] {
            let names = ("localhost", 0).to_socket_addrs().unwrap().collect::<Vec<_>>();
            let listener =
                TcpListener::bind(addr).ok().filter(|_| names.contains(&addr.parse().unwrap()));
            let Some(listener) = listener else {
                println!("skipped: {addr} is no address of localhost on this machine");
                continue;
            };
            let mut map = builder.clone().build().unwrap();
            let (server, client) = (Seen::default(), Seen::default());
            let addr = listener.local_addr().unwrap();
            map.add(Recorder::new(&server), listener.try_into().unwrap());
            let token = connect_host(&mut map, &client, "localhost", addr.port());
            map.channel(token).unwrap().push(b"hello");
            run_until(&mut map, |_| server.received() == b"hello");
            assert_eq!(client.calls(), ["handle_connect"]);
            assert_eq!(map.channel(token).unwrap().addr().unwrap().inet(), Some(addr));
            assert_eq!(map.len(), 3, "the listener and the two ends");
        }
    });
}

#[test]
fn a_numeric_address_needs_no_lookup() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (_, addr) = world.listen(Recorder::new(&Seen::default()));
        let added = world.map.add_with(|ch| {
            ch.connect_host("127.0.0.1", addr.port())?;
            assert_eq!(ch.addr().and_then(|it| it.inet()), Some(addr));
            Ok(Recorder::new(&seen))
        });
        added.unwrap();
        world.run_until(|_| seen.calls() == ["handle_connect"]);
    });
}

#[test]
fn a_refused_connection_gives_one_error_with_the_address() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let seen = Seen::default();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let added = map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.connect(free)?;
            ch.push(b"never sent");
            Ok(Recorder::new(&seen))
        });
        added.unwrap();
        map.run().unwrap();
        let expected = format!("handle_error: cannot connect to {free}: Connection refused");
        let calls = seen.calls();
        assert!(calls[0].starts_with(&expected), "{calls:?}");
        assert_eq!(calls[1..], ["handle_close"]);
    });
}

#[test]
fn an_unresolvable_name_gives_one_clear_error() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let seen = Seen::default();
        // A label this long is invalid, so the look-up fails without a name server.
        let name = "x".repeat(70);
        connect_host(&mut map, &seen, &name, 80);
        map.run().unwrap();
        let errors = seen.errors();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].starts_with(&format!("cannot resolve host {name:?}: ")), "{errors:?}");
        assert_eq!(seen.count("handle_close"), 1);
    });
    let (_net, mut map) = prompt();
    let seen = Seen::default();
    connect_host(&mut map, &seen, "nowhere.example", 80);
    map.run().unwrap();
    let errors = seen.errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].starts_with("cannot resolve host \"nowhere.example\": "), "{errors:?}");
}

#[test]
fn many_names_are_looked_up_at_once() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (server, client) = (Seen::default(), Seen::default());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        map.add(Recorder::new(&server), listener.try_into().unwrap());
        for _ in 0..30 {
            connect_host(&mut map, &client, "localhost", port);
        }
        run_until(&mut map, |_| client.count("handle_connect") == 30);
    });
}

#[test]
fn a_silent_address_fails_after_the_connect_timeout() {
    let (net, mut map) = prompt();
    let addr: SocketAddr = "192.0.2.1:80".parse().unwrap();
    net.blackhole(addr);
    for limit in [5 * SECOND, 30 * SECOND] {
        let (start, seen) = (net.elapsed(), Seen::default());
        let added = map.add_with(|ch: &mut Channel<'_>| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            if limit != 30 * SECOND {
                ch.set_connect_timeout(limit);
            }
            ch.connect(addr)?;
            Ok(Recorder::new(&seen))
        });
        added.unwrap();
        map.run().unwrap();
        assert_eq!(net.elapsed() - start, limit);
        let expected = format!("cannot connect to 192.0.2.1:80: no answer in {limit:?}");
        assert_eq!(seen.errors(), [expected]);
        assert_eq!(seen.count("handle_close"), 1);
    }
}

#[test]
fn a_custom_connect_timeout_applies_to_each_address() {
    for limit in [SECOND / 2, 60 * SECOND] {
        let (net, mut map) = prompt();
        net.add_host("far.example", [ip("192.0.2.1"), ip("192.0.2.2")]);
        net.blackhole("192.0.2.1:80".parse().unwrap());
        net.blackhole("192.0.2.2:80".parse().unwrap());
        let start = net.elapsed();
        let seen = Seen::default();
        let added = map.add_with(|ch| {
            ch.set_connect_timeout(limit);
            ch.connect_host("far.example", 80)?;
            Ok(Recorder::new(&seen))
        });
        added.unwrap();
        map.run().unwrap();
        assert_eq!(net.elapsed() - start, limit);
        let expected = format!("cannot connect to far.example:80: no answer in {limit:?}");
        assert_eq!(seen.errors(), [expected]);
        assert!(map.is_empty());
    }
}

#[test]
fn a_second_address_is_tried_after_250_milliseconds() {
    let (net, mut map) = prompt();
    net.add_host("two.example", [ip("2001:db8::1"), ip("192.0.2.1")]);
    net.blackhole("[2001:db8::1]:80".parse().unwrap());
    let listener = net.listen("192.0.2.1:80".parse().unwrap()).unwrap();
    let (seen, start) = (Seen::default(), net.elapsed());
    let token = connect_host(&mut map, &seen, "two.example", 80);
    run_until(&mut map, |_| seen.count("handle_connect") == 1);
    let took = net.elapsed() - start;
    assert!(took >= SECOND / 4 && took < SECOND / 4 + SECOND / 1000, "{took:?}");
    assert_eq!(map.channel(token).unwrap().addr().unwrap().to_string(), "192.0.2.1:80");
    assert_eq!(map.len(), 1, "the attempt that was overtaken is gone");
    assert!(listener.accept().unwrap().is_connected());
}

#[test]
fn the_next_address_is_tried_at_once_when_one_is_refused() {
    let (net, mut map) = prompt();
    net.add_host("two.example", [ip("192.0.2.1"), ip("192.0.2.2")]);
    let _listener = net.listen("192.0.2.2:80".parse().unwrap()).unwrap();
    let (seen, start) = (Seen::default(), net.elapsed());
    connect_host(&mut map, &seen, "two.example", 80);
    run_until(&mut map, |_| !seen.calls().is_empty());
    assert_eq!(seen.calls(), ["handle_connect"]);
    assert!(net.elapsed() - start < SECOND / 4);
}

#[test]
fn address_families_are_tried_alternately() {
    let (net, mut map) = prompt();
    net.keep_trace();
    let six = (1..=3).map(|at| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, at)));
    net.add_host("many.example", six.chain([ip("192.0.2.1"), ip("192.0.2.2")]));
    let seen = Seen::default();
    connect_host(&mut map, &seen, "many.example", 80);
    map.run().unwrap();
    let attempts: Vec<String> = net
        .trace()
        .iter()
        .filter_map(|line| line.split_once(" connects to ")?.1.split_once(", "))
        .map(|(addr, _)| addr.to_owned())
        .collect();
    let expected = [
        "[2001:db8::1]:80",
        "192.0.2.1:80",
        "[2001:db8::2]:80",
        "192.0.2.2:80",
        "[2001:db8::3]:80",
    ];
    assert_eq!(attempts, expected);
    let errors = seen.errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    let expected = "cannot connect to many.example:80: all 5 addresses failed, last error: ";
    assert!(errors[0].starts_with(expected), "{errors:?}");
}

#[test]
fn closing_cancels_a_pending_connection() {
    let (net, mut map) = prompt();
    net.add_host("silent.example", [ip("192.0.2.1"), ip("192.0.2.2")]);
    net.blackhole("192.0.2.1:80".parse().unwrap());
    net.blackhole("192.0.2.2:80".parse().unwrap());
    for delay in [Duration::ZERO, SECOND / 8, SECOND / 2] {
        let (seen, start) = (Seen::default(), net.elapsed());
        let token = connect_host(&mut map, &seen, "silent.example", 80);
        map.call_later(delay, move |map| {
            map.channel(token).unwrap().close();
            Ok(())
        });
        map.run().unwrap();
        assert_eq!(seen.calls(), ["handle_close"]);
        assert_eq!(net.elapsed() - start, delay.max(Duration::from_micros(1)));
    }
}

#[test]
fn a_channel_kept_open_can_connect_again() {
    let (net, mut map) = prompt();
    net.add_host("there.example", [ip("192.0.2.1")]);
    let listener = net.listen("192.0.2.1:80".parse().unwrap()).unwrap();
    let seen = Seen::default();
    let handler = Recorder::new(&seen).on("handle_error", |ch| {
        assert!(!ch.is_connecting() && !ch.is_connected() && !ch.is_closing());
        Ok(ch.connect_host("there.example", 80)?)
    });
    connect_host_as(&mut map, handler, "not-there.example", 80);
    run_until(&mut map, |_| seen.count("handle_connect") == 1);
    assert_eq!(seen.errors().len(), 1);
    assert!(listener.accept().is_some());
}

#[test]
fn output_pushed_while_connecting_is_sent_before_the_close() {
    on_every_network(|world| {
        let (server, client) = (Seen::default(), Seen::default());
        let (_, addr) = world.listen(Recorder::new(&server));
        let added = world.map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.connect(addr)?;
            ch.push(b"all of it");
            ch.close_when_done();
            Ok(Recorder::new(&client))
        });
        added.unwrap();
        world.run_until(|_| client.is_closed() && server.is_closed());
        assert_eq!(server.received(), b"all of it");
        assert_eq!(client.calls(), ["handle_close"]);
    });
}
