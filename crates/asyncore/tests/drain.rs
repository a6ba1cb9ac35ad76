//! Drains: their effect on handlers, and the conditions that they wait for.

mod util;

use std::time::Duration;

use asyncore::{Channel, Dispatcher, Result, Token};
use util::{Recorder, Remote, Seen, World, on_every_network};

const HOUR: Duration = Duration::from_secs(3600);

/// Answers each request later, and holds its channel open until then.
struct Slow(Seen);

impl Dispatcher for Slow {
    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        if ch.recv(&mut [0; 64])? > 0 {
            ch.hold_open();
            self.0.note("asked");
        }
        Ok(())
    }

    fn handle_drain(&mut self, ch: &mut Channel<'_>) -> Result {
        assert!(ch.is_draining());
        self.0.note("handle_drain");
        Ok(())
    }

    fn handle_close(&mut self, _ch: &mut Channel<'_>) {
        self.0.note("handle_close");
    }
}

/// Adds a channel that has received a request and not answered it.
fn asked(world: &mut World, seen: &Seen) -> (Token<Slow>, Remote) {
    let (token, remote) = world.connect(Slow(seen.clone()));
    remote.send(b"?");
    world.run_until(|_| seen.count("asked") > 0);
    (token, remote)
}

#[test]
fn release_lets_a_drain_close_a_held_channel() {
    on_every_network(|world| {
        let (slow, idle) = (Seen::default(), Seen::default());
        let (token, remote) = asked(world, &slow);
        let (other, idle_remote) = world.connect(Recorder::new(&idle));
        assert!(!world.map.is_draining());
        world.map.drain(HOUR);
        assert!(world.map.is_draining());
        world.run_until(|_| idle_remote.saw_eof());
        idle_remote.close();
        world.run_until(|world| !world.map.contains(other));
        world.settle();
        assert!(world.map.contains(token), "it waits for its answer");
        assert_eq!(slow.order(), "asked handle_drain");

        let mut channel = world.map.channel(token).unwrap();
        channel.push(b"answer");
        channel.release();
        let mut received = Vec::new();
        world.run_until(|_| {
            received.extend(remote.received());
            remote.saw_eof()
        });
        assert_eq!(received, b"answer");
        remote.close();
        world.map.run().unwrap();
        assert_eq!(slow.order(), "asked handle_drain handle_close");
        assert!(!world.map.is_draining(), "the drain is over");
    });
}

#[test]
fn a_held_channel_is_closed_at_the_drain_deadline() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (_token, _remote) = asked(world, &seen);
        world.map.drain(Duration::from_millis(5));
        world.map.run().unwrap();
        assert_eq!(seen.order(), "asked handle_drain handle_close");
        assert!(world.map.is_empty() && !world.map.is_draining());
    });
}

#[test]
fn release_without_a_drain_leaves_the_channel_open() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = asked(world, &seen);
        let mut channel = world.map.channel(token).unwrap();
        channel.release();
        channel.push(b"answer");
        let mut received = Vec::new();
        world.run_until(|_| {
            received.extend(remote.received());
            received == b"answer"
        });
        world.settle();
        assert_eq!(seen.order(), "asked");
        assert!(world.map.contains(token));
    });
}

#[test]
fn what_handle_drain_pushes_is_sent_before_the_channel_closes() {
    on_every_network(|world| {
        let seen = Seen::default();
        let farewell = Recorder::new(&seen).on("handle_drain", |ch| {
            ch.push(b"421 closing\r\n");
            Ok(())
        });
        let (_token, remote) = world.connect(farewell);
        world.map.drain(HOUR);
        let mut received = Vec::new();
        world.run_until(|_| {
            received.extend(remote.received());
            remote.saw_eof()
        });
        assert_eq!(received, b"421 closing\r\n");
        remote.close();
        world.map.run().unwrap();
        assert_eq!((seen.count("handle_drain"), seen.count("handle_close")), (1, 1));
    });
}

#[test]
fn handle_drain_can_hold_the_channel_open_itself() {
    on_every_network(|world| {
        let seen = Seen::default();
        let last_words = Recorder::new(&seen).on("handle_drain", |ch| {
            ch.hold_open();
            let this = ch.token::<Recorder>();
            ch.call_later(Duration::from_millis(1), move |map| {
                if let Some(mut ch) = map.channel(this) {
                    ch.push(b"saved");
                    ch.release();
                }
                Ok(())
            });
            Ok(())
        });
        let (_token, remote) = world.connect(last_words);
        world.map.drain(HOUR);
        let mut received = Vec::new();
        world.run_until(|_| {
            received.extend(remote.received());
            remote.saw_eof()
        });
        assert_eq!(received, b"saved");
        remote.close();
        world.map.run().unwrap();
    });
}

#[test]
fn a_handle_drain_that_fails_costs_its_channel_only() {
    on_every_network(|world| {
        let (failing, good) = (Seen::default(), Seen::default());
        let fails = Recorder::new(&failing)
            .on("handle_drain", |_| Err(asyncore::Error::msg("cannot save")));
        let (_, first) = world.connect(fails);
        let (_, second) = world.connect(Recorder::new(&good).on("handle_drain", |ch| {
            ch.push(b"bye");
            Ok(())
        }));
        world.map.drain(HOUR);
        let mut received = Vec::new();
        world.run_until(|_| {
            received.extend(second.received());
            second.saw_eof()
        });
        assert_eq!(received, b"bye");
        assert_eq!(failing.errors(), ["cannot save"]);
        drop((first, second));
        world.map.run().unwrap();
    });
}

#[test]
fn a_second_drain_replaces_the_deadline_of_the_first() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (_token, _remote) = asked(world, &seen);
        world.map.drain(HOUR);
        world.map.drain(Duration::from_millis(5));
        world.map.run().unwrap();
        assert!(world.map.is_empty());
        assert_eq!(seen.count("handle_close"), 1);
    });
}
