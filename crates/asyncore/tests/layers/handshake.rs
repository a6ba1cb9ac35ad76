//! Handshakes: when they are done, that they end in time, and how they fail.

use std::time::Duration;

use asyncore::{Layer, LayerIo, Token};

use crate::cipher::{Cipher, CipherEnd};
use crate::ends::{raw_server, server_with_cipher};
use crate::engine::{HEADER, HELLO, Side};
use crate::proxy;
use crate::util::{Recorder, Remote, Seen, World, on_every_network};

/// Number of bytes that a client sends in its handshake.
const CLIENT_FLIGHT: usize = HELLO + HEADER;

/// A channel with the cipher that has connected to the test's own server.
fn client_with_cipher(world: &mut World, seen: &Seen) -> (Token<Recorder>, Remote) {
    world.connect_layered(Cipher::new(Side::Client, 100), |_| Recorder::new(seen))
}

#[test]
fn handle_connect_is_called_once_when_the_handshake_is_done() {
    on_every_network(|world| {
        let (seen, client_seen) = (Seen::default(), Seen::default());
        let (token, mut peer) = server_with_cipher(world, 100, |_| Recorder::new(&seen));
        assert!(
            world.map.channel(token).is_some_and(|ch| ch.is_connecting() && !ch.is_connected())
        );
        world.run_until(|_| peer.is_ready() && seen.count("handle_connect") == 1);
        peer.send(b"data");
        world.run_until(|_| seen.received() == b"data");
        assert_eq!(seen.order(), "handle_connect handle_read");

        let (client, remote) = client_with_cipher(world, &client_seen);
        let mut server = CipherEnd::new(remote, Side::Server, 100);
        world.run_until(|_| server.is_ready() && client_seen.count("handle_connect") == 1);
        server.send(b"data");
        world.run_until(|_| client_seen.received() == b"data");
        assert_eq!(client_seen.order(), "handle_connect handle_read");
        assert!(world.map.channel(client).is_some_and(|ch| ch.is_connected()));
    });
}

#[test]
fn a_handshake_that_takes_too_long_goes_to_handle_error_only() {
    on_every_network(|world| {
        let seen = Seen::default();
        let limit = Duration::from_millis(if world.net.is_some() { 3000 } else { 30 });
        let (_, _remote) = raw_server(world, 100, |ch| {
            ch.set_handshake_timeout(limit);
            Recorder::new(&seen)
        });
        world.run_until(|_| seen.is_closed());
        let errors = seen.errors();
        assert!(errors[0].contains("the handshake failed: not done in"), "{errors:?}");
        assert_eq!((errors.len(), seen.calls().len()), (1, 2), "{:?}", seen.calls());
    });
}

#[test]
fn the_map_limits_handshakes_to_its_own_time() {
    let limit = Duration::from_millis(20);
    crate::util::on_every_network_with(
        |builder| builder.handshake_timeout(limit),
        |world| {
            let seen = Seen::default();
            let (_, _remote) = raw_server(world, 100, |_| Recorder::new(&seen));
            world.run_until(|_| seen.is_closed());
            assert_eq!(seen.count("handle_error: the handshake failed"), 1);
        },
    );
}

#[test]
fn a_malformed_handshake_goes_to_handle_error_once() {
    on_every_network(|world| {
        for wrong in
            [&b"GET / HTTP/1.0\r\n\r\n"[..], b"TOY2....", b"TOY1aaaa\x09", b"TOY1aaaa\0\0\0????"]
        {
            let seen = Seen::default();
            let (_, remote) = raw_server(world, 100, |_| Recorder::new(&seen));
            remote.send(wrong);
            world.run_until(|_| seen.is_closed());
            let errors = seen.errors();
            assert_eq!((errors.len(), seen.calls().len()), (1, 2), "{:?}", seen.calls());
            assert!(errors[0].starts_with("the handshake failed: "), "{errors:?}");
        }
    });
}

#[test]
fn a_connection_lost_at_every_byte_of_the_handshake_is_one_error() {
    on_every_network(|world| {
        for sent in 0..CLIENT_FLIGHT {
            for resets in [false, true] {
                let seen = Seen::default();
                let (_, peer) = server_with_cipher_after(world, &seen, sent);
                world.settle();
                peer.remote.received();
                match resets {
                    true => peer.remote.reset(),
                    false => peer.remote.shutdown(),
                }
                world.run_until(|_| seen.is_closed());
                assert_eq!(seen.count("handle_error: the handshake failed: "), 1, "{sent}");
                assert_eq!(seen.calls().len(), 2, "{sent} {resets}: {:?}", seen.calls());
            }
        }
    });
}

/// A channel that has been sent the first bytes of the client's handshake.
fn server_with_cipher_after(
    world: &mut World,
    seen: &Seen,
    sent: usize,
) -> (Token<Recorder>, CipherEnd) {
    let (token, remote) = raw_server(world, 100, |_| Recorder::new(seen));
    let mut flight = Vec::new();
    let mut engine = crate::engine::Engine::new(Side::Client, 7, 100);
    engine.start(&mut flight);
    remote.send(&flight[..sent.min(HELLO)]);
    let mut end = CipherEnd::silent(remote, engine);
    if sent > HELLO {
        let mut finished = Vec::new();
        world.run_until(|_| {
            finished.append(&mut end.answer());
            !finished.is_empty()
        });
        end.remote.send(&finished[..sent - HELLO]);
    }
    (token, end)
}

#[test]
fn a_connection_lost_by_a_client_at_every_byte_is_one_error() {
    on_every_network(|world| {
        for sent in 0..HELLO {
            for resets in [false, true] {
                let seen = Seen::default();
                let (_, remote) = client_with_cipher(world, &seen);
                remote.send(&b"TOY1abcd"[..sent]);
                world.settle();
                match resets {
                    true => remote.reset(),
                    false => remote.shutdown(),
                }
                world.run_until(|_| seen.is_closed());
                assert_eq!(seen.count("handle_error: the handshake failed: "), 1);
                assert_eq!(seen.calls().len(), 2, "{sent} {resets}: {:?}", seen.calls());
            }
        }
    });
}

#[test]
fn a_malformed_proxy_header_is_an_error_and_a_whole_one_is_enough_at_once() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = world.connect(Recorder::new(&seen));
        let (layer, source) = proxy::ReadHeader::new();
        let unread = [proxy::HEADER, b"rest"].concat();
        world.map.channel(token).unwrap().insert_layer(layer, &unread).unwrap();
        world.run_until(|_| seen.received() == b"rest");
        assert_eq!(source.get().unwrap(), "192.0.2.1:56324");
        assert_eq!(seen.order(), "handle_connect handle_read");
        assert_eq!(seen.count("handle_connect"), 2, "connected, and then shaken hands");
        remote.send(b"!");
        world.run_until(|_| seen.received() == b"rest!");

        let (seen, (layer, _)) = (Seen::default(), proxy::ReadHeader::new());
        let (token, remote) = world.connect(Recorder::new(&seen));
        world.map.channel(token).unwrap().insert_layer(layer, &[]).unwrap();
        remote.send(b"PROXY nonsense\r\n");
        world.run_until(|_| seen.is_closed());
        assert_eq!(seen.errors(), ["the handshake failed: a malformed PROXY header"]);
    });
}

/// Fails in a way that no layer should.
struct Panics;

impl Layer for Panics {
    fn receive(&mut self, _: &[u8], _: &mut LayerIo<'_>) -> std::io::Result<()> {
        panic!("a bug in the layer");
    }

    fn send(&mut self, _: &[u8], _: &mut LayerIo<'_>) -> std::io::Result<()> {
        panic!("a bug in the layer");
    }
}

#[test]
fn a_panic_of_a_layer_is_a_failure_of_its_channel() {
    on_every_network(|world| {
        for sends in [false, true] {
            let seen = Seen::default();
            let (token, remote) = world.connect(Recorder::new(&seen));
            let mut ch = world.map.channel(token).unwrap();
            ch.insert_layer(Panics, &[]).unwrap();
            match sends {
                true => ch.push(b"x"),
                false => remote.send(b"x"),
            }
            world.run_until(|_| seen.is_closed());
            assert!(seen.errors()[0].contains("a bug in the layer"), "{:?}", seen.errors());
            assert_eq!(seen.errors().len(), 1);
        }
    });
}
