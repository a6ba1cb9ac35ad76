//! How connections end while something else is under way on them.

mod util;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use asyncore::{Channel, Dispatcher, SocketMap};
use util::{
    Recorder, Remote, Seen, World, on_every_network, on_every_network_with, on_every_poller,
};

/// A channel whose peer has reset the connection, with `tail` still to be read.
///
/// Real sockets only: the simulated network drops what was not read, as some systems do.
#[cfg(target_os = "linux")]
fn reset_with_a_tail(map: &mut SocketMap, handler: impl Dispatcher, tail: &[u8]) {
    let (ours, theirs) = util::tcp_pair();
    std::io::Write::write_all(&mut &theirs, tail).unwrap();
    socket2::SockRef::from(&theirs).set_linger(Some(Duration::ZERO)).unwrap();
    drop(theirs);
    map.add(handler, ours);
}

#[test]
#[cfg(target_os = "linux")]
fn a_failed_send_does_not_cost_what_was_received_before() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let seen = Seen::default();
        reset_with_a_tail(&mut map, Recorder::new(&seen), &[7; 50_000]);
        let token = map.tokens().next().unwrap();
        map.channel(token).unwrap().push(b"into the void");
        util::run_until(&mut map, |_| seen.is_closed());
        assert_eq!(seen.received_len(), 50_000);
        assert_eq!((seen.count("handle_eof"), seen.count("handle_close")), (0, 1));
        assert!(seen.errors().is_empty(), "a connection that is gone is an end, not a failure");
        assert!(seen.cause().is_some());
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_failed_send_is_read_after_also_by_a_channel_that_did_not_want_to_read() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let seen = Seen::default();
        let handler = Recorder::new(&seen).readable(|_| false).writable(|_| true);
        let handler = handler.on("handle_write", |ch| {
            ch.send(b"into the void")?;
            Ok(())
        });
        reset_with_a_tail(&mut map, handler, &[7; 50_000]);
        util::run_until(&mut map, |_| seen.is_closed());
        assert_eq!(seen.received_len(), 50_000);
        assert_eq!(seen.count("handle_close"), 1);
    });
}

#[test]
fn a_channel_that_only_sends_ends_when_its_peer_is_gone() {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = Recorder::new(&seen).on("handle_read", |_| Ok(()));
        let (token, remote) = world.connect(handler);
        remote.reset();
        world.settle();
        for _ in 0..3 {
            if let Some(mut channel) = world.map.channel(token) {
                channel.push(b"news");
            }
            world.settle();
        }
        assert!(seen.is_closed(), "{}", seen.order());
    });
}

#[test]
fn a_channel_can_go_on_sending_after_its_peer_has_ended_its_half() {
    on_every_network(|world| {
        let (seen, flood) = (Seen::default(), world.flood);
        let handler = Recorder::new(&seen).on("handle_eof", move |ch| {
            ch.push(vec![9; flood]);
            ch.close_when_done();
            Ok(())
        });
        let (_, remote) = world.connect(handler);
        remote.send(b"question");
        remote.shutdown();
        let mut answer = 0;
        world.run_until(|_| {
            answer += remote.received().len();
            remote.saw_eof()
        });
        assert_eq!(answer, flood);
        world.run_until(|_| seen.is_closed());
        assert_eq!(seen.received(), b"question");
        assert!(!remote.was_reset() && seen.cause().is_none());
    });
}

#[test]
fn a_channel_can_go_on_receiving_after_it_has_ended_its_own_half() {
    on_every_network(|world| {
        let (seen, flood) = (Seen::default(), world.flood);
        let (token, remote) = world.connect(Recorder::new(&seen));
        let mut channel = world.map.channel(token).unwrap();
        channel.push(vec![9; flood]);
        channel.shutdown_write();
        let mut question = 0;
        world.run_until(|_| {
            question += remote.received().len();
            remote.saw_eof()
        });
        assert_eq!(question, flood);
        remote.send(&[7; 3_000]);
        world.run_until(|_| seen.received_len() == 3_000);
        remote.shutdown();
        world.run_until(|_| seen.is_closed());
        assert_eq!(
            seen.order().rsplit(' ').take(2).collect::<Vec<_>>(),
            ["handle_close", "handle_eof"]
        );
    });
}

#[test]
fn a_half_that_is_ended_while_still_connecting_ends_once_connected() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = shut_while_connecting(world, Recorder::new(&seen));
        world.run_until(|_| remote.saw_eof());
        assert!(world.map.contains(token));
        remote.send(b"answer");
        remote.shutdown();
        world.run_until(|_| seen.is_closed());
        assert_eq!(seen.received(), b"answer");
    });
}

fn shut_while_connecting(world: &mut World, handler: Recorder) -> (asyncore::Token, Remote) {
    let (token, remote) = world.connect_with(|ch| {
        ch.shutdown_write();
        handler
    });
    (token.untyped(), remote)
}

#[test]
fn a_channel_both_halves_of_which_have_ended_is_closed() {
    on_every_network(|world| {
        for shut_first in [true, false] {
            let seen = Seen::default();
            let handler = Recorder::new(&seen).on("handle_eof", |_| Ok(()));
            let (token, remote) = world.connect(handler);
            if shut_first {
                world.map.channel(token).unwrap().shutdown_write();
            }
            remote.shutdown();
            world.run_until(|_| seen.count("handle_eof") == 1);
            if let Some(mut channel) = world.map.channel(token) {
                channel.push(b"");
                channel.shutdown_write();
            }
            world.run_until(|_| seen.is_closed());
            assert_eq!((seen.count("handle_eof"), seen.count("handle_close")), (1, 1));
        }
    });
}

#[test]
fn a_peer_that_resets_while_output_waits_for_a_stalled_reader_ends_the_channel() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = world.connect(Recorder::new(&seen));
        remote.pause_reading();
        world.map.channel(token).unwrap().push(vec![9; world.flood]);
        world.settle();
        assert!(world.map.channel(token).unwrap().has_output());
        remote.reset();
        world.run_until(|_| seen.is_closed());
        world.settle();
        assert!(world.map.is_empty() && seen.errors().is_empty());
        assert!(seen.cause().is_some());
    });
}

#[test]
fn closing_with_unread_input_does_not_cost_the_peer_the_answer() {
    on_every_network(|world| {
        let (seen, flood) = (Seen::default(), world.flood);
        let handler = Recorder::new(&seen).on("handle_read", move |ch| {
            ch.recv(&mut [0; 1])?;
            ch.push(vec![9; flood]);
            ch.close_when_done();
            Ok(())
        });
        let (_, remote) = world.connect(handler);
        remote.pause_reading();
        remote.send(&vec![7; flood]);
        world.run_until(|_| seen.count("handle_read") > 0);
        world.settle();
        remote.resume_reading();
        let mut answer = 0;
        world.run_until(|_| {
            answer += remote.received().len();
            remote.saw_eof() || remote.was_reset()
        });
        assert!(!remote.was_reset(), "after {answer} bytes");
        assert_eq!(answer, flood);
        remote.close();
        world.run_until(|_| seen.is_closed());
        assert_eq!((seen.count("handle_read"), seen.count("handle_close")), (1, 1));
    });
}

#[test]
fn a_peer_that_reads_only_when_it_has_sent_all_gets_the_answer_of_a_channel_that_read_nothing() {
    on_every_network(|world| {
        let flood = world.flood;
        let handler = Recorder::new(&Seen::default()).on("handle_read", move |ch| {
            ch.push(vec![9; flood]);
            ch.close_when_done();
            Ok(())
        });
        let (token, remote) = world.connect(handler);
        remote.pause_reading();
        remote.send(&vec![7; flood]);
        world.run_until(|world| {
            world.map.channel_stats(token).is_none_or(|stats| stats.bytes_in >= flood as u64)
        });
        remote.resume_reading();
        let mut answer = 0;
        world.run_until(|_| {
            answer += remote.received().len();
            remote.saw_eof() || remote.was_reset()
        });
        assert_eq!(answer, flood);
    });
}

#[test]
fn close_after_close_when_done_closes_at_once_and_is_told_once() {
    on_every_network(|world| {
        let (seen, flood) = (Seen::default(), world.flood);
        let (token, remote) = world.connect(Recorder::new(&seen));
        remote.pause_reading();
        let mut channel = world.map.channel(token).unwrap();
        channel.push(vec![9; flood]);
        channel.close_when_done();
        world.settle();
        assert!(!seen.is_closed() && world.map.channel(token).unwrap().closing());
        let mut channel = world.map.channel(token).unwrap();
        channel.close();
        channel.close();
        channel.close_when_done();
        world.settle();
        assert_eq!(seen.count("handle_close"), 1);
        assert!(world.map.is_empty());
    });
}

#[test]
fn a_channel_without_a_connection_closes_when_done_at_once() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (listener, _) = world.listen(Recorder::new(&seen));
        world.map.channel(listener).unwrap().close_when_done();
        let unconnected = world.map.add_with(|ch| {
            ch.create_socket(asyncore::Domain::IPV4, asyncore::Type::STREAM)?;
            ch.push(b"to nobody");
            ch.close_when_done();
            Ok(Recorder::new(&seen))
        });
        unconnected.unwrap();
        let without_socket = world.map.add_with(|ch| {
            ch.close_when_done();
            Ok(Recorder::new(&seen))
        });
        without_socket.unwrap();
        world.settle();
        assert_eq!(seen.count("handle_close"), 3);
        assert_eq!(seen.cause(), None);
        assert!(world.map.is_empty());
    });
}

#[test]
fn a_channel_that_closes_in_handle_connect_hears_nothing_more() {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = Recorder::new(&seen).writable(|_| true).on("handle_connect", |ch| {
            ch.push(b"never sent");
            ch.close();
            ch.push(b"dropped");
            assert!(ch.recv(&mut [0; 8]).is_err());
            Ok(())
        });
        let (token, remote) = world.connect(handler);
        remote.send(b"x");
        world.settle();
        assert_eq!(seen.order(), "handle_connect handle_close");
        assert!(!world.map.contains(token));
    });
}

#[test]
fn a_socket_that_was_taken_out_goes_on_in_another_channel() {
    on_every_network(|world| {
        let (first, second) = (Seen::default(), Seen::default());
        let heir = second.clone();
        let handler = Recorder::new(&first).on("handle_read", move |ch| {
            let sock = ch.take_socket().expect("open");
            assert!(ch.take_socket().is_none());
            ch.add(Recorder::new(&heir), sock);
            Ok(())
        });
        let (token, remote) = world.connect(handler);
        remote.send(b"for the heir");
        world.run_until(|_| second.received() == b"for the heir");
        assert_eq!(first.order(), "handle_connect handle_read handle_close");
        assert!(!world.map.contains(token));
        remote.shutdown();
        world.run_until(|_| second.is_closed());
        assert!(!remote.was_reset());
    });
}

#[test]
fn a_channel_given_a_new_socket_starts_afresh() {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = Recorder::new(&seen).on("handle_eof", |_| Ok(()));
        let (token, remote) = world.connect(handler);
        remote.send(b"old ");
        remote.shutdown();
        world.run_until(|_| seen.count("handle_eof") == 1);

        let (spare, next) = world.connect(Recorder::new(&Seen::default()));
        let sock = world.map.channel(spare).unwrap().take_socket().unwrap();
        let mut channel: Channel<'_> = world.map.channel(token).unwrap();
        channel.set_socket(sock);
        channel.push(b"hello");
        next.send(b"new");
        let mut greeting = Vec::new();
        world.run_until(|_| {
            greeting.extend(next.received());
            seen.received() == b"old new" && greeting == b"hello"
        });
        next.shutdown();
        world.run_until(|_| seen.count("handle_eof") == 2);
        assert!(world.map.contains(token));
    });
}

#[test]
fn handle_timeout_can_change_what_the_predicates_answer() {
    on_every_network(|world| {
        let seen = Seen::default();
        let open = Rc::new(Cell::new(false));
        let (gate, key) = (Rc::clone(&open), Rc::clone(&open));
        let handler = Recorder::new(&seen)
            .readable(move |_| gate.get())
            .on("handle_connect", |ch| {
                ch.set_timeout(Duration::from_millis(1));
                Ok(())
            })
            .on("handle_timeout", move |_| {
                key.set(true);
                Ok(())
            });
        let (_, remote) = world.connect(handler);
        remote.send(b"late");
        world.run_until(|_| seen.received() == b"late");
        assert!(seen.count("handle_timeout") > 0);
    });
}

#[test]
fn what_arrived_before_a_peer_closed_a_unix_socket_is_read_to_the_end() {
    // Its hang-up needs no second half: it comes with the data.
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        std::io::Write::write_all(&mut theirs, &[7; 50_000]).unwrap();
        drop(theirs);
        let seen = Seen::default();
        map.add(Recorder::new(&seen), asyncore::Socket::try_from(ours).unwrap());
        util::run_until(&mut map, |map| map.is_empty());
        assert_eq!((seen.received_len(), seen.cause()), (50_000, None));
        assert_eq!(seen.order(), "handle_read handle_eof handle_close");
    });
}

#[test]
fn a_connection_that_was_reset_before_it_was_added_ends() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let theirs = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (ours, _) = listener.accept().unwrap();
        socket2::SockRef::from(&theirs).set_linger(Some(Duration::ZERO)).unwrap();
        drop(theirs);
        let seen = Seen::default();
        map.add(Recorder::new(&seen), asyncore::Socket::try_from(ours).unwrap());
        util::run_until(&mut map, |map| map.is_empty());
        assert_eq!(seen.count("handle_close"), 1);
    });
}

#[test]
fn a_peer_that_takes_nothing_more_is_given_up_in_the_end() {
    on_every_network_with(
        |builder| builder.send_timeout(Duration::from_millis(20)),
        |world| {
            let (seen, flood) = (Seen::default(), world.flood);
            let (token, remote) = world.connect(Recorder::new(&seen));
            remote.pause_reading();
            let mut channel = world.map.channel(token).unwrap();
            channel.push(vec![9; flood]);
            channel.close_when_done();
            world.run_until(|_| seen.is_closed());
            let cause = seen.cause().unwrap();
            assert!(cause.starts_with("the peer took none of the last "), "{cause}");
            assert!(cause.ends_with(" bytes in 20ms"), "{cause}");
            assert!(world.map.is_empty());
        },
    );
}

#[test]
fn a_peer_that_never_closes_its_half_is_waited_for_no_longer_than_the_linger_time() {
    on_every_network_with(
        |builder| builder.linger(Duration::from_millis(20)),
        |world| {
            let seen = Seen::default();
            let (token, remote) = world.connect(Recorder::new(&seen));
            let mut channel = world.map.channel(token).unwrap();
            channel.push(b"goodbye");
            channel.close_when_done();
            let mut passes = 0;
            world.run_until(|_| {
                // It goes on talking, which is no reason to stay.
                passes += 1;
                if passes % 8 == 0 {
                    remote.send(b"wait, ");
                }
                seen.is_closed()
            });
            assert_eq!(seen.cause(), None);
            assert!(world.map.is_empty());
        },
    );
}
