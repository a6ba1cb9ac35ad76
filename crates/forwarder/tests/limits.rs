//! What a rule allows: how long, how many, how fast, and whom.

mod util;

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use test_needs::needs;
use util::random::random;
use util::tool::{SS, tool};
use util::{Forwarder, PATIENCE, accept, connect, connect_from, ending, free_port, pair, target};

#[test]
fn a_connection_that_is_silent_for_the_idle_timeout_is_reset_at_both_ends() {
    let (forwarder, mut client, mut server) = pair(&["--idle-timeout", "50ms"]);
    assert_eq!(ending(&mut client), Err(ErrorKind::ConnectionReset));
    assert_eq!(ending(&mut server), Err(ErrorKind::ConnectionReset));
    forwarder.wait_for("ending=idle for too long");
}

#[test]
fn a_connection_is_ended_when_its_lifetime_is_over_however_busy_it_is() {
    let (forwarder, mut client, server) = pair(&["--lifetime", "100ms"]);
    let echo = thread::spawn(move || std::io::copy(&mut &server, &mut &server));
    let mut exchange = || client.write_all(b"x").and_then(|()| client.read_exact(&mut [0]));
    while exchange().is_ok() {}
    forwarder.wait_for("ending=open for too long");
    // Either it was told or it found out.
    let _ = echo.join().expect("no panic");
}

#[test]
fn a_udp_session_ends_after_its_silence() {
    let target = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = free_port();
    let rule = format!("udp:{port}={}", target.local_addr().expect("bound"));
    let forwarder = Forwarder::start(&["--rule", &rule, "--udp-session", "50ms"]);
    let client = UdpSocket::bind("127.0.0.1:0").expect("a port");
    client.send_to(b"hello", port).expect("sent");
    target.recv(&mut [0; 16]).expect("received");
    let line = forwarder.wait_for("ending=idle for too long");
    assert!(line.contains("bytes_up=5 bytes_down=0"), "{line}");
}

/// What ss(8) says of the sockets that are asked for.
fn sockets(args: &[&str]) -> String {
    let output = tool(SS).args(args).output().expect("ss");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn both_sockets_of_a_connection_are_probed_once_it_was_silent_for_as_long_as_keepalive_says() {
    needs!(SS);
    // ss(8) tells how long until the next probe.
    let is_probed = |end: &TcpStream| {
        // The forwarder's socket is the one that is connected to this end.
        let filter = format!("dst {}", end.local_addr().expect("connected"));
        let text = sockets(&["-tnoH", "state", "established", &filter]);
        assert_eq!(text.lines().count(), 1, "{text}");
        text.contains("timer:(keepalive,")
    };
    let (_forwarder, client, server) = pair(&["--keepalive", "1s"]);
    let start = Instant::now();
    while !(is_probed(&client) && is_probed(&server)) {
        assert!(start.elapsed() < PATIENCE, "not probed");
        thread::yield_now();
    }
    for time in ["2h", "none"] {
        let (_forwarder, client, server) = pair(&["--keepalive", time]);
        assert!(!is_probed(&client) && !is_probed(&server), "{time}");
    }
}

#[test]
fn the_system_queues_as_many_connections_as_the_backlog_says() {
    needs!(SS);
    let port = free_port();
    let _forwarder = Forwarder::start(&[&port.to_string(), "9", "--backlog", "77"]);
    let text = sockets(&["-tlnH", &format!("sport = :{}", port.port())]);
    assert_eq!(text.split_whitespace().nth(2), Some("77"), "{text}");
}

#[test]
fn clients_over_the_limit_of_their_rule_wait_and_each_is_served_as_soon_as_another_has_ended() {
    for workers in ["1", "2"] {
        let (listener, addr) = target();
        let (port, other) = (free_port(), free_port());
        let rules = [port, other].map(|port| format!("{port}={addr}"));
        let args = ["--rule", &rules[0], "--rule", &rules[1], "--max-connections", "1"];
        let more = ["--workers", workers, "--log-level", "debug"];
        let forwarder = Forwarder::start(&[&args[..], &more].concat());
        let mut clients: Vec<_> = (0..8).map(|_| connect(port)).collect();
        let mut server = accept(&listener);
        forwarder.wait_for("clients wait until others have gone: the rule has as many");
        // The other rule has a limit of its own.
        let _other = (connect(other), accept(&listener));
        listener.set_nonblocking(true).expect("an option");
        for _ in 1..clients.len() {
            assert!(listener.accept().is_err(), "one more than there may be");
            server.write_all(b"x").expect("sent");
            end_one_served(&mut clients);
            assert_eq!(server.read(&mut [0]).expect("the end of its client"), 0);
            drop(server);
            listener.set_nonblocking(false).expect("an option");
            server = accept(&listener);
            listener.set_nonblocking(true).expect("an option");
        }
        assert_eq!(clients.len(), 1, "the last one is served now");
        forwarder.signal(Signal::KILL);
        assert!(!forwarder.rest_of_log().iter().any(|line| line.contains("refused")));
    }
}

/// Waits until one of them has received something, and ends it; with two workers it is the system
/// that says which.
fn end_one_served(clients: &mut Vec<TcpStream>) {
    let start = Instant::now();
    loop {
        for index in 0..clients.len() {
            let client = &clients[index];
            client.set_nonblocking(true).expect("an option");
            match (&mut &*client).read(&mut [0]).map_err(|error| error.kind()) {
                Ok(1) => return drop(clients.remove(index)),
                waits => assert_eq!(waits, Err(ErrorKind::WouldBlock), "refused"),
            }
        }
        assert!(start.elapsed() < PATIENCE, "nobody is served");
        thread::yield_now();
    }
}

#[test]
fn a_client_address_may_have_so_many_connections_and_another_one_too() {
    let (listener, addr) = target();
    let port = free_port();
    let (port_arg, addr_arg) = (port.to_string(), addr.to_string());
    let _forwarder = Forwarder::start(&[&port_arg, &addr_arg, "--max-connections-per-client", "1"]);
    let _one = (connect_from("127.0.0.1", port), accept(&listener));
    assert_eq!(ending(&mut connect_from("127.0.0.1", port)), Ok(0));
    let _other = (connect_from("127.0.0.2", port), accept(&listener));
}

#[test]
fn the_addresses_of_an_ipv6_network_are_one_client_unless_told_otherwise() {
    for (more, is_other) in [(&[][..], false), (&["--ipv6-client-prefix", "128"], true)] {
        let (listener, addr) = target();
        let port = free_port();
        let (port_arg, addr_arg) = (port.to_string(), addr.to_string());
        let args = [&port_arg, &addr_arg, "--max-connections-per-client", "1"];
        let by_proxy = ["--proxy-accept-from", "127.0.0.1"];
        let _forwarder = Forwarder::start(&[&args[..], &by_proxy, more].concat());
        // A proxy says whom it comes for, so that this needs no network of its own.
        let connect_for = |ip: &str| {
            let mut client = connect(port);
            let header = format!("PROXY TCP6 {ip} 2001:db8::80 4000 80\r\n");
            client.write_all(header.as_bytes()).expect("sent");
            client
        };
        let _one = (connect_for("2001:db8:1::1"), accept(&listener));
        let mut same_network = connect_for("2001:db8:1::2");
        if is_other {
            accept(&listener);
        } else {
            assert_eq!(ending(&mut same_network), Err(ErrorKind::ConnectionReset));
        }
        let _other_network = (connect_for("2001:db8:1:1::1"), accept(&listener));
    }
}

#[test]
fn who_is_not_allowed_or_denied_is_let_go_at_once() {
    let (listener, addr) = target();
    let port = free_port();
    let (port_arg, addr_arg) = (port.to_string(), addr.to_string());
    let args = [&port_arg, &addr_arg, "--allow", "127.0.0.0/30", "--deny", "127.0.0.2"];
    let _forwarder = Forwarder::start(&args);
    for (ip, is_let_in) in
        [("127.0.0.1", true), ("127.0.0.2", false), ("127.0.0.3", true), ("127.0.0.4", false)]
    {
        let mut client = connect_from(ip, port);
        if is_let_in {
            let mut server = accept(&listener);
            client.write_all(b"x").expect("sent");
            server.read_exact(&mut [0]).expect("passed on");
        } else {
            assert_eq!(ending(&mut client), Ok(0), "{ip}");
        }
    }
}

#[test]
fn no_more_connections_a_second_are_taken_than_the_rule_allows() {
    let (listener, addr) = target();
    let port = free_port();
    let (port_arg, addr_arg) = (port.to_string(), addr.to_string());
    let _forwarder = Forwarder::start(&[&port_arg, &addr_arg, "--connections-per-second", "20"]);
    let start = Instant::now();
    // What may come at once is a second's worth.
    let clients: Vec<_> = (0..30).map(|_| connect(port)).collect();
    for _ in &clients {
        accept(&listener);
    }
    // Not an estimate of time but the limit itself.
    assert!(start.elapsed() >= Duration::from_millis(450), "{:?}", start.elapsed());
}

/// How long it takes to send `len` bytes up and as many down, on each of these connections.
fn time_to_exchange(pairs: Vec<(TcpStream, TcpStream)>, len: usize) -> Duration {
    let bytes = random(len, 1);
    let start = Instant::now();
    thread::scope(|scope| {
        for (client, server) in &pairs {
            for (from, to) in [(client, server), (server, client)] {
                let bytes = &bytes;
                scope.spawn(move || (&mut &*from).write_all(bytes).expect("sent"));
                scope.spawn(move || {
                    let mut received = vec![0; bytes.len()];
                    (&mut &*to).read_exact(&mut received).expect("received");
                    assert!(received == *bytes, "the bytes came otherwise");
                });
            }
        }
    });
    start.elapsed()
}

#[test]
fn a_rules_bytes_a_second_are_those_of_all_its_connections_both_ways() {
    let (listener, addr) = target();
    let port = free_port();
    let (port_arg, addr_arg) = (port.to_string(), addr.to_string());
    let _forwarder = Forwarder::start(&[&port_arg, &addr_arg, "--rate", "2MiB"]);
    let pairs = (0..2).map(|_| (connect(port), accept(&listener))).collect();
    // Four times 700 KiB, of which 2 MiB may come at once.
    let took = time_to_exchange(pairs, 700 * 1024);
    assert!(took >= Duration::from_millis(300), "{took:?}");
}

#[test]
fn a_connections_bytes_a_second_are_its_own() {
    let (listener, addr) = target();
    let port = free_port();
    let (port_arg, addr_arg) = (port.to_string(), addr.to_string());
    let _forwarder = Forwarder::start(&[&port_arg, &addr_arg, "--rate-per-connection", "1MiB"]);
    let pairs = vec![(connect(port), accept(&listener))];
    // Twice 700 KiB, of which 1 MiB may come at once.
    let took = time_to_exchange(pairs, 700 * 1024);
    assert!(took >= Duration::from_millis(300), "{took:?}");
}
