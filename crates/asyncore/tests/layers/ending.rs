//! How a stream with layers ends: by a closing message, cut off, or by a failure.

use std::time::Duration;

use asyncore::{Channel, Dispatcher, Result, Token};

use crate::cipher::CipherEnd;
use crate::ends::server_with_cipher;
use crate::util::{Recorder, Seen, World, on_every_network};

const RECORD: usize = 5;
const MESSAGE: &[u8] = b"thirteen byte";

/// A recorder that notes in `handle_eof` how the input ended.
fn recorder(seen: &Seen) -> Recorder {
    let noted = seen.clone();
    Recorder::new(seen).on("handle_eof", move |ch| {
        noted.note(if ch.input_truncated() { "truncated" } else { "orderly" });
        ch.close_when_done();
        Ok(())
    })
}

/// A channel and its peer that have shaken hands.
fn connected<T: Dispatcher>(
    world: &mut World,
    make: impl FnOnce(&mut Channel<'_>) -> T,
) -> (Token<T>, CipherEnd) {
    let (token, mut peer) = server_with_cipher(world, RECORD, make);
    world.run_until(|world| {
        peer.is_ready() && world.map.channel(token).is_some_and(|ch| ch.is_connected())
    });
    (token, peer)
}

#[test]
fn an_end_at_any_byte_but_after_the_closing_message_is_a_truncation() {
    on_every_network(|world| {
        let mut end = 0;
        for cut in 0.. {
            let seen = Seen::default();
            let (_, mut peer) = connected(world, |_| recorder(&seen));
            let stream = [peer.encrypted(MESSAGE), peer.closing_message()].concat();
            peer.remote.send(&stream[..cut]);
            peer.remote.shutdown();
            world.run_until(|_| seen.is_closed());
            let how = if cut < stream.len() { "truncated" } else { "orderly" };
            assert_eq!((seen.count(how), seen.count("handle_eof")), (1, 1), "{cut}");
            assert!(MESSAGE.starts_with(&seen.received()) && seen.received_len() >= end, "{cut}");
            assert!(seen.errors().is_empty());
            end = seen.received_len();
            world.run_until(|_| peer.was_closed());
            if cut == stream.len() {
                break;
            }
        }
        assert_eq!(end, MESSAGE.len());
    });
}

#[test]
fn a_reset_at_any_byte_is_no_orderly_end() {
    on_every_network(|world| {
        for cut in 0..20 {
            let seen = Seen::default();
            let (_, mut peer) = connected(world, |_| recorder(&seen));
            let stream = [peer.encrypted(MESSAGE), peer.closing_message()].concat();
            peer.remote.send(&stream[..cut]);
            world.settle();
            peer.remote.reset();
            world.run_until(|_| seen.is_closed());
            assert_eq!(seen.count("orderly"), 0, "{cut}");
            assert!(MESSAGE.starts_with(&seen.received()));
        }
    });
}

#[test]
fn the_stream_can_end_by_the_closing_message_alone() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (_, mut peer) = connected(world, |_| recorder(&seen));
        let stream = [peer.encrypted(MESSAGE), peer.closing_message()].concat();
        peer.remote.send(&stream);
        world.run_until(|_| seen.count("orderly") == 1);
        assert_eq!(seen.received(), MESSAGE);
        world.run_until(|_| peer.was_closed());
        peer.remote.shutdown();
        world.run_until(|_| seen.is_closed());
        assert!(seen.cause().is_none() && peer.failure.is_none());
    });
}

/// Leaves everything to the defaults.
struct Defaults;

impl Dispatcher for Defaults {
    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        ch.recv(&mut [0; 64])?;
        Ok(())
    }
}

#[test]
fn every_end_but_an_abort_sends_the_closing_message() {
    type End = fn(&mut World, Token<Defaults>);
    let ends: [(&str, End); 6] = [
        ("close_when_done", |world, token| channel(world, token).close_when_done()),
        ("shutdown_write", |world, token| channel(world, token).shutdown_write()),
        ("drain", |world, _| world.map.drain(Duration::from_secs(5))),
        ("a timeout", |world, token| {
            channel(world, token).set_timeout(Some(Duration::from_millis(20)));
        }),
        ("close", |world, token| channel(world, token).close()),
        ("abort", |world, token| channel(world, token).abort()),
    ];
    on_every_network(|world| {
        for (name, end) in ends {
            let (token, mut peer) = connected(world, |_| Defaults);
            channel(world, token).push(MESSAGE);
            world.run_until(|_| peer.received() == MESSAGE);
            end(world, token);
            world.run_until(|_| {
                peer.pump();
                peer.remote.saw_eof() || peer.remote.was_reset()
            });
            assert_eq!(peer.was_closed(), name != "abort", "{name}");
            assert_eq!(peer.remote.was_reset(), name == "abort", "{name}");
            assert_eq!((peer.failure.clone(), peer.received()), (None, MESSAGE), "{name}");
            drop(peer);
            world.run_until(|world| world.map.is_empty());
        }
    });
}

fn channel(world: &mut World, token: Token<Defaults>) -> Channel<'_> {
    world.map.channel(token).expect("open")
}

#[test]
fn queued_output_precedes_the_closing_message() {
    on_every_network(|world| {
        for half_closes in [false, true] {
            let (token, mut peer) = connected(world, |_| Defaults);
            peer.remote.pause_reading();
            let mut ch = channel(world, token);
            ch.push(vec![b'm'; 30_000]);
            if half_closes {
                ch.shutdown_write()
            } else {
                ch.close_when_done()
            }
            world.settle();
            peer.remote.resume_reading();
            world.run_until(|_| peer.was_closed());
            assert_eq!(peer.received().len(), 30_000);
            world.run_until(|_| peer.remote.saw_eof());
            if half_closes {
                peer.send(b"still read");
                world.run_until(|world| channel(world, token).stats().bytes_in == 10);
            }
        }
    });
}

#[test]
fn what_came_before_a_malformed_record_is_read_before_the_failure() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (_, mut peer) = connected(world, |_| recorder(&seen));
        let mut stream = peer.encrypted(MESSAGE);
        stream.extend_from_slice(b"\x09 this is no record");
        peer.remote.send(&stream);
        world.run_until(|_| seen.is_closed());
        assert_eq!(seen.received(), MESSAGE);
        assert_eq!(seen.errors(), ["a malformed record"]);
        // What the layer had to say about it is sent, and nothing after it.
        world.run_until(|_| {
            peer.pump();
            peer.failure.is_some() || peer.remote.was_reset()
        });
        assert!(peer.failure.as_deref().is_none_or(|it| it == "the peer reports a failure"));
        assert!(!peer.engine.closed);
    });
}

#[test]
fn a_handler_that_survives_a_failure_finds_the_input_truncated() {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = recorder(&seen).on("handle_error", |_| Ok(()));
        let (_, mut peer) = connected(world, |_| handler);
        peer.remote.send(b"\x09 this is no record");
        world.run_until(|_| seen.count("truncated") == 1);
        assert_eq!(seen.errors(), ["a malformed record"]);
        world.run_until(|_| {
            peer.pump();
            // Input that it has not received resets the connection, which can cost the reason.
            peer.failure.is_some() || peer.remote.was_reset()
        });
        drop(peer);
        world.run_until(|_| seen.is_closed());
    });
}
