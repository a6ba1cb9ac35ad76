//! Datagrams over UDP, on every poller and on simulated networks that lose none.

mod util;

use std::io::ErrorKind;
use std::net::SocketAddr;

use asyncore::sim::{Faults, Network};
use asyncore::{
    Address, Channel, Dispatcher, Domain, Error, EventLoop, Result, SocketMap, Token, Type,
};
use util::{Seen, assert_rests, on_every_poller, run_until};

fn on_every_network(test: impl Fn(&mut EventLoop)) {
    on_every_poller(|builder| test(&mut builder.build().unwrap()));
    for seed in 0..4 {
        let net = Network::with_faults(seed, Faults { loss: 0.0, ..Faults::mild() });
        test(&mut SocketMap::simulated(&net));
    }
}

/// Records each datagram with its sender; sends it back if `echoes` is set.
struct Receiver {
    seen: Seen,
    echoes: bool,
}

impl Dispatcher for Receiver {
    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        let mut buf = [0; 16];
        let (n, from) = ch.recv_from(&mut buf)?;
        self.seen.note(format!("{} from {from}", String::from_utf8_lossy(&buf[..n])));
        if self.echoes {
            ch.send_to(&buf[..n], from)?;
        }
        Ok(())
    }

    fn handle_connect(&mut self, _: &mut Channel<'_>) -> Result {
        self.seen.note("handle_connect");
        Ok(())
    }

    fn handle_eof(&mut self, _: &mut Channel<'_>) -> Result {
        unreachable!("datagrams have no end");
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, error: Error) {
        self.seen.note(format!("handle_error: {error}"));
        ch.close();
    }

    fn handle_close(&mut self, _: &mut Channel<'_>) {
        self.seen.note("handle_close");
    }
}

/// Adds a bound socket and returns its address.
fn bound(map: &mut EventLoop, seen: &Seen, echoes: bool) -> (Token<Receiver>, SocketAddr) {
    let added = map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::DGRAM)?;
        ch.bind(([127, 0, 0, 1], 0))?;
        Ok(Receiver { seen: seen.clone(), echoes })
    });
    let token = added.unwrap();
    let addr = map.channel(token).unwrap().local_addr().unwrap();
    (token, addr.inet().unwrap())
}

#[test]
fn a_datagram_is_received_with_its_sender() {
    on_every_network(|map| {
        let (server, client) = (Seen::default(), Seen::default());
        let (_, server_addr) = bound(map, &server, true);
        let (token, client_addr) = bound(map, &client, false);
        assert_eq!(map.channel(token).unwrap().send_to(b"hello", server_addr).unwrap(), 5);
        run_until(map, |_| !client.calls().is_empty());
        assert_eq!(server.calls(), [format!("hello from {client_addr}")]);
        assert_eq!(client.calls(), [format!("hello from {server_addr}")]);
    });
}

#[test]
fn each_push_on_a_connected_socket_is_one_datagram() {
    on_every_network(|map| {
        let (server, client) = (Seen::default(), Seen::default());
        let (_, server_addr) = bound(map, &server, true);
        let (token, _) = bound(map, &client, false);
        let mut channel = map.channel(token).unwrap();
        channel.connect(server_addr).unwrap();
        assert!(channel.is_connected() && channel.addr() == Some(&Address::Inet(server_addr)));
        for datagram in ["one", "two", "three"] {
            channel.push(datagram.as_bytes());
        }
        assert_eq!(channel.output_len(), 11);
        run_until(map, |_| client.calls().len() == 4);
        let mut calls = client.calls();
        assert_eq!(calls.remove(0), "handle_connect");
        // Datagrams may arrive in any order.
        calls.sort();
        let expected = ["one", "three", "two"].map(|it| format!("{it} from {server_addr}"));
        assert_eq!(calls, expected);
    });
}

#[test]
fn an_empty_datagram_is_not_the_end_of_a_stream() {
    on_every_network(|map| {
        let seen = Seen::default();
        let (_, server_addr) = bound(map, &seen, false);
        let (token, client_addr) = bound(map, &Seen::default(), false);
        let mut channel = map.channel(token).unwrap();
        channel.send_to(b"", server_addr).unwrap();
        channel.connect(server_addr).unwrap();
        channel.push(b"");
        run_until(map, |_| seen.calls().len() == 2);
        assert_eq!(seen.calls(), [format!(" from {client_addr}"), format!(" from {client_addr}")]);
        assert_rests(map);
    });
}

#[test]
fn a_datagram_longer_than_the_buffer_is_truncated() {
    on_every_network(|map| {
        let seen = Seen::default();
        let (_, server_addr) = bound(map, &seen, false);
        let (token, client_addr) = bound(map, &Seen::default(), false);
        map.channel(token).unwrap().send_to(&[b'x'; 20], server_addr).unwrap();
        run_until(map, |_| !seen.calls().is_empty());
        assert_eq!(seen.calls(), [format!("{} from {client_addr}", "x".repeat(16))]);
    });
}

#[test]
fn close_when_done_sends_the_queue_without_lingering() {
    on_every_network(|map| {
        let (server, client) = (Seen::default(), Seen::default());
        let (_, server_addr) = bound(map, &server, false);
        let (token, client_addr) = bound(map, &client, false);
        let mut channel = map.channel(token).unwrap();
        channel.connect(server_addr).unwrap();
        channel.push(b"bye");
        channel.close_when_done();
        run_until(map, |map| !map.contains(token) && !server.calls().is_empty());
        assert_eq!(server.calls(), [format!("bye from {client_addr}")]);
    });
}

#[test]
fn an_oversized_datagram_is_an_error_and_not_retried() {
    on_every_network(|map| {
        let seen = Seen::default();
        let (_, server_addr) = bound(map, &Seen::default(), false);
        let (token, _) = bound(map, &seen, false);
        let mut channel = map.channel(token).unwrap();
        let refused = channel.send_to(&[0; 70_000], server_addr).unwrap_err();
        assert!(refused.raw_os_error().is_some(), "{refused}");
        channel.connect(server_addr).unwrap();
        channel.push(vec![0; 70_000]);
        run_until(map, |map| !map.contains(token));
        let calls = seen.calls();
        assert!(calls[1].starts_with("handle_error: cannot send: "), "{calls:?}");
        assert_eq!(calls[2..], ["handle_close"]);
    });
}

#[test]
fn an_unused_port_is_an_error_only_for_connected_sockets() {
    on_every_network(|map| {
        let seen = Seen::default();
        let (gone, gone_addr) = bound(map, &Seen::default(), false);
        map.channel(gone).unwrap().close();
        let (token, _) = bound(map, &seen, false);
        map.channel(token).unwrap().send_to(b"unread", gone_addr).unwrap();
        assert_rests(map);
        assert_eq!(seen.calls(), [""; 0]);

        map.channel(token).unwrap().connect(gone_addr).unwrap();
        map.channel(token).unwrap().push(b"unread");
        run_until(map, |map| !map.contains(token));
        let calls = seen.calls();
        assert!(calls[1].to_lowercase().contains("connection refused"), "{calls:?}");
        assert_eq!(calls[2..], ["handle_close"]);
    });
}

#[test]
fn an_unconnected_datagram_socket_cannot_push() {
    on_every_network(|map| {
        let seen = Seen::default();
        let (token, _) = bound(map, &seen, false);
        map.channel(token).unwrap().push(b"to whom?");
        run_until(map, |map| !map.contains(token));
        let calls = seen.calls();
        assert!(calls[0].starts_with("handle_error: cannot send: "), "{calls:?}");
    });
}

#[test]
fn a_burst_is_received_one_datagram_at_a_time() {
    on_every_network(|map| {
        let seen = Seen::default();
        let (_, server_addr) = bound(map, &seen, false);
        let (token, _) = bound(map, &Seen::default(), false);
        for number in 0..50 {
            let sent = map.channel(token).unwrap().send_to(&[number], server_addr);
            assert_eq!(sent.unwrap(), 1);
        }
        run_until(map, |_| seen.calls().len() == 50);
        assert_eq!(map.stats().bytes_in, 50);
        let error = map.channel(token).unwrap().recv_from(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    });
}

/// A socket that is connected to a port on which no socket is bound, with the default
/// `handle_error`.
fn refused(map: &mut EventLoop) -> (Token<Quiet>, SocketAddr) {
    let (gone, gone_addr) = bound(map, &Seen::default(), false);
    // While the port is taken, so that the socket is not given the same one.
    let added = map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::DGRAM)?;
        ch.bind(([127, 0, 0, 1], 0))?;
        ch.connect(gone_addr)?;
        Ok(Quiet::default())
    });
    map.channel(gone).unwrap().close();
    assert_rests(map);
    (added.unwrap(), gone_addr)
}

/// Keeps what it receives, and every default.
#[derive(Default)]
struct Quiet {
    received: Vec<u8>,
    closed: bool,
}

impl Dispatcher for Quiet {
    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        let mut buf = [0; 16];
        let n = ch.recv(&mut buf)?;
        self.received.extend_from_slice(&buf[..n]);
        Ok(())
    }

    fn handle_close(&mut self, _: &mut Channel<'_>) {
        self.closed = true;
    }
}

/// Binds a socket to the port that refused before, and checks that the channel still exchanges
/// datagrams with it.
fn still_works(map: &mut EventLoop, token: Token<Quiet>, addr: SocketAddr) {
    let server = Seen::default();
    let late = map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::DGRAM)?;
        ch.bind(addr)?;
        Ok(Receiver { seen: server.clone(), echoes: true })
    });
    late.unwrap();
    map.channel(token).unwrap().push(b"now?");
    // An earlier datagram can arrive late on a simulated network.
    run_until(map, |map| {
        let received = &map.get(token).expect("still open").received;
        received.windows(4).any(|part| part == b"now?")
    });
}

/// Makes passes until the channel has learned of `count` more refusals.
#[track_caller]
fn refusals(map: &mut EventLoop, count: u64) {
    let before = map.stats().errors;
    run_until(map, |map| map.stats().errors >= before + count);
    assert_rests(map);
}

#[test]
fn a_refused_datagram_does_not_close_a_connected_socket() {
    on_every_network(|map| {
        let (token, addr) = refused(map);
        let lines = util::log::captured(|| {
            for _ in 0..3 {
                map.channel(token).unwrap().push(b"undeliverable");
                refusals(map, 1);
            }
        });
        assert!(map.contains(token));
        assert_eq!(lines.len(), 3, "{lines:#?}");
        for line in &lines {
            assert!(line.starts_with("INFO a datagram was lost on channel <udp::Quiet"), "{line}");
        }
        still_works(map, token, addr);
    });
}

#[test]
fn a_refused_datagram_does_not_close_a_paused_socket() {
    on_every_network(|map| {
        let (token, addr) = refused(map);
        map.channel(token).unwrap().pause_reading();
        for _ in 0..3 {
            map.channel(token).unwrap().push(b"undeliverable");
            assert_rests(map);
        }
        assert!(map.contains(token));
        map.channel(token).unwrap().resume_reading();
        // The last datagram's refusal waited to be read.
        refusals(map, 1);
        still_works(map, token, addr);
    });
}

#[test]
fn a_refusal_reported_by_a_send_does_not_close_the_socket() {
    on_every_network(|map| {
        let (token, addr) = refused(map);
        for _ in 0..3 {
            // The kernel refuses the first at once, and the next send finds that.
            let mut channel = map.channel(token).unwrap();
            channel.push(b"first");
            channel.push(b"second");
            channel.push(b"third");
            refusals(map, 1);
        }
        still_works(map, token, addr);
    });
}

#[test]
fn a_datagram_that_is_too_long_costs_only_itself() {
    on_every_network(|map| {
        let (token, addr) = refused(map);
        map.channel(token).unwrap().push(vec![0; 70_000]);
        refusals(map, 1);
        still_works(map, token, addr);
    });
}
