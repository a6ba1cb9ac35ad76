//! `close_when_done`: all output arrives, and every wait is bounded.

mod util;

use std::time::Duration;

use util::{Recorder, Seen, on_every_network, on_every_network_with};

#[test]
fn closing_with_unread_input_still_delivers_the_answer() {
    // A long answer is still queued when the channel closes; a short one is sent at once.
    for is_long in [true, false] {
        on_every_network_with(
            |builder| builder.linger(Duration::from_secs(60)),
            |world| {
                let (seen, flood) = (Seen::default(), world.flood);
                let length = if is_long { flood } else { 6 };
                let handler = Recorder::new(&seen).on("handle_read", move |ch| {
                    ch.recv(&mut [0; 1])?;
                    ch.push(vec![9; length]);
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
                assert_eq!(answer, length);
                remote.close();
                world.run_until(|_| seen.is_closed());
                assert_eq!((seen.count("handle_eof"), seen.count("handle_close")), (0, 1));
            },
        );
    }
}

#[test]
fn a_peer_that_sends_everything_first_still_gets_the_answer() {
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
fn close_after_close_when_done_closes_at_once() {
    on_every_network(|world| {
        let (seen, flood) = (Seen::default(), world.flood);
        let (token, remote) = world.connect(Recorder::new(&seen));
        remote.pause_reading();
        let mut channel = world.map.channel(token).unwrap();
        channel.push(vec![9; flood]);
        channel.close_when_done();
        world.settle();
        assert!(!seen.is_closed() && world.map.channel(token).unwrap().is_closing());
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
fn close_when_done_without_a_connection_closes_at_once() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (listener, _) = world.listen(Recorder::new(&seen));
        world.map.channel(listener).unwrap().close_when_done();
        let unconnected = world.map.add_with(|ch| {
            ch.create_socket(asyncore::Domain::IPV4, asyncore::Type::STREAM)?;
            ch.push(b"unread");
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
fn a_stalled_peer_is_dropped_in_the_end() {
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
fn a_peer_that_never_closes_is_dropped_after_the_linger_time() {
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
                // Further input must not extend the wait.
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

#[test]
fn discarding_the_queue_completes_a_pending_close() {
    for closes in [false, true] {
        on_every_network(|world| {
            let (token, remote) = world.connect(Recorder::new(&Seen::default()));
            remote.pause_reading();
            let mut channel = world.map.channel(token).unwrap();
            channel.push(vec![7; world.flood]);
            if closes {
                channel.close_when_done();
            } else {
                channel.shutdown_write();
            }
            world.settle();
            world.map.channel(token).unwrap().discard_buffers();
            remote.resume_reading();
            world.run_until(|_| remote.saw_eof());
            assert!(remote.received().len() < world.flood);
        });
    }
}
