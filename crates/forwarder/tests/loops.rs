//! Forwarding loops through several processes, which no configuration shows: they end by themselves.

mod util;

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;

use util::{Forwarder, accept, connect, ending, free_port, target};

/// Two processes that forward to each other; the first one's port.
fn looping(more: &[&str]) -> ([Forwarder; 2], SocketAddr) {
    let ports = [free_port(), free_port()];
    let start = |from: SocketAddr, to: SocketAddr| {
        Forwarder::start(&[&[from.to_string().as_str(), &to.to_string()], more].concat())
    };
    ([start(ports[0], ports[1]), start(ports[1], ports[0])], ports[0])
}

#[test]
fn a_loop_of_proxy_headers_ends_after_as_many_hops_as_are_allowed() {
    let more = ["--proxy-send", "v2", "--proxy-accept-from", "127.0.0.0/8"];
    let (forwarders, port) = looping(&more);
    let mut client = connect(port);
    client.write_all(b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 443\r\nhello").expect("sent");
    assert_eq!(ending(&mut client), Err(ErrorKind::ConnectionReset));
    forwarders[0].wait_for("through 16 forwarders");
}

#[test]
fn a_loop_without_headers_ends_when_a_limit_has_been_reached_for_a_while() {
    for version in [&[][..], &["--proxy-send", "v1"]] {
        let (forwarders, port) = looping(&[&["--max-connections", "40"], version].concat());
        let mut client = connect(port);
        client.write_all(b"hello").expect("sent");
        assert_eq!(ending(&mut client), Err(ErrorKind::ConnectionReset));
        drop(forwarders);
    }
}

#[test]
fn idle_connections_at_the_limit_are_no_loop_when_they_are_of_several_clients_or_few() {
    let (listener, addr) = target();
    let port = free_port();
    let args = [&port.to_string(), &addr.to_string(), "--max-connections", "4"];
    let forwarder = Forwarder::start(&args);
    let mut open: Vec<_> = (0..4).map(|_| (connect(port), accept(&listener))).collect();
    let mut waiting = connect(port);
    forwarder.wait_for("clients wait until others have gone");
    // Nothing can be waited for that does not happen; the next client is served as soon as one ends.
    drop(open.pop());
    let _server = accept(&listener);
    waiting.write_all(b"hello").expect("sent");
    for (client, server) in &mut open {
        client.write_all(b"x").expect("sent");
        std::io::Read::read_exact(server, &mut [0]).expect("received");
    }
}
