//! Output pushed in a callback is sent when the callback returns, in one piece.

mod util;

use asyncore::{Channel, Error, Result, SimpleProducer, Token};
use util::{Recorder, Remote, Seen, World, on_every_network};

/// Adds a channel that runs `answer` on its first input; returns it and its remote end.
fn answering(
    world: &mut World,
    seen: &Seen,
    mut answer: impl FnMut(&mut Channel<'_>) -> Result + 'static,
) -> (Token<Recorder>, Remote) {
    let handler = Recorder::new(seen)
        .on("handle_read", move |ch| {
            let n = ch.recv(&mut [0; 100])?;
            if n == 0 { Ok(()) } else { answer(ch) }
        })
        .on("handle_error", |ch| {
            ch.close_when_done();
            Ok(())
        });
    let (token, remote) = world.connect(handler);
    remote.send(b"?");
    (token, remote)
}

/// Returns what `remote` has received once it has `size` bytes.
fn read(world: &mut World, remote: &Remote, size: usize) -> Vec<u8> {
    let mut received = Vec::new();
    world.run_until(|_| {
        received.extend(remote.received());
        received.len() >= size
    });
    received
}

#[test]
fn pieces_pushed_in_one_callback_arrive_in_order() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = answering(world, &seen, |ch| {
            ch.push(b"one ");
            ch.push(b"");
            ch.push(b"two ".to_vec());
            assert_eq!((ch.output_len(), ch.has_output()), (8, true));
            assert_eq!(ch.send(b"overtaking").unwrap(), 0);
            ch.push(b"three");
            Ok(())
        });
        assert_eq!(read(world, &remote, 13), b"one two three");
        world.settle();
        assert_eq!(world.map.channel(token).unwrap().output_len(), 0);
        assert_eq!(world.map.channel_stats(token).unwrap().bytes_out, 13);
    });
}

#[test]
fn small_pieces_large_pieces_and_producers_keep_their_order() {
    on_every_network(|world| {
        let seen = Seen::default();
        let big = vec![b'b'; 40_000];
        let expected = [b"first ", &big[..], b" then ", b"produced", b" last"].concat();
        let (_, remote) = answering(world, &seen, move |ch| {
            ch.push(b"first ");
            ch.push(&big[..]);
            ch.push(b" then ");
            ch.push_with_producer(SimpleProducer::new(b"produced".to_vec()));
            ch.push(b" last");
            Ok(())
        });
        assert!(read(world, &remote, expected.len()) == expected, "the order is lost");
        world.settle();
    });
}

#[test]
fn output_waits_until_the_socket_has_room() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = world.connect(Recorder::new(&seen).on("handle_read", |ch| {
            let mut buf = [0; 8000];
            let n = ch.recv(&mut buf)?;
            ch.push(&buf[..n]);
            Ok(())
        }));
        world.map.channel(token).unwrap().set_high_water(usize::MAX);
        remote.pause_reading();
        let sent: Vec<u8> = (0..world.flood).map(|at| (at % 251) as u8).collect();
        remote.send(&sent);
        world.run_until(|world| world.map.channel(token).unwrap().output_len() > 0);
        remote.resume_reading();
        assert!(read(world, &remote, sent.len()) == sent, "the echo differs");
        world.settle();
    });
}

#[test]
fn an_answer_before_close_when_done_arrives_whole() {
    on_every_network(|world| {
        for closes in [true, false] {
            let seen = Seen::default();
            let (_, remote) = answering(world, &seen, move |ch| {
                ch.push(b"the end");
                if closes {
                    ch.close_when_done()
                } else {
                    ch.shutdown_write()
                }
                Ok(())
            });
            assert_eq!(read(world, &remote, 7), b"the end");
            world.run_until(|_| remote.saw_eof());
            remote.close();
            world.run_until(|_| seen.is_closed());
        }
    });
}

#[test]
fn a_discarded_or_closed_answer_is_not_sent() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (_, remote) = answering(world, &seen, |ch| {
            ch.push(b"never");
            ch.discard_buffers();
            assert!(!ch.has_output());
            ch.push(b"instead");
            Ok(())
        });
        assert_eq!(read(world, &remote, 7), b"instead");
        let (_, remote) = answering(world, &seen, |ch| {
            ch.push(b"never");
            ch.close();
            ch.push(b"too late");
            Ok(())
        });
        world.run_until(|_| seen.is_closed());
        world.settle();
        assert_eq!(remote.received(), b"");
    });
}

#[test]
fn an_answer_is_sent_although_the_callback_fails_later() {
    on_every_network(|world| {
        for panics in [false, true] {
            let seen = Seen::default();
            let (_, remote) = answering(world, &seen, move |ch| {
                ch.push(b"sorry");
                if panics { panic!("scripted") } else { Err(Error::msg("scripted")) }
            });
            assert_eq!(read(world, &remote, 5), b"sorry");
            remote.close();
            world.run_until(|_| seen.is_closed());
            assert!(seen.errors()[0].contains("scripted"), "{:?}", seen.errors());
        }
    });
}

#[test]
fn answers_to_another_channel_keep_their_order() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (to, other) = world.connect(Recorder::new(&seen));
        let (_, remote) = answering(world, &seen, move |ch| {
            for piece in [b"a1", b"a2"] {
                ch.channel(to).unwrap().push(piece);
            }
            ch.push(b"mine");
            ch.channel(to).unwrap().push(b"a3");
            assert_eq!(ch.output_len_of(to), 6);
            Ok(())
        });
        assert_eq!(read(world, &remote, 4), b"mine");
        assert_eq!(read(world, &other, 6), b"a1a2a3");
        world.settle();
    });
}

#[test]
fn an_answer_over_the_limit_is_dropped_and_reported() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (_, remote) = answering(world, &seen, |ch| {
            ch.set_output_limit(10);
            ch.push(b"12345678");
            ch.push(b"90ab");
            ch.push(b"c");
            Ok(())
        });
        world.settle();
        assert_eq!(remote.received(), b"");
        assert!(seen.errors()[0].contains("over its limit of 10"), "{:?}", seen.errors());
    });
}
