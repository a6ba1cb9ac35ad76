//! Producers in a channel's queue: order, demand and failures.

mod util;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs;
use std::io::{self, Cursor, ErrorKind};
use std::rc::Rc;
use std::time::Duration;

use asyncore::sim::Network;
use asyncore::{
    BodyProducer, Domain, FileProducer, IterProducer, Producer, ReaderProducer, SimpleProducer,
    SocketMap, Type,
};
use util::{Recorder, Remote, Seen, World, on_every_network, run_until};

/// Runs the map until the remote end has received `expected`.
#[track_caller]
fn receives(world: &mut World, remote: &Remote, expected: &[u8]) {
    let mut received = Vec::new();
    world.run_until(|_| {
        received.extend(remote.received());
        received.len() >= expected.len()
    });
    assert!(received == expected, "{} bytes came, {} expected", received.len(), expected.len());
}

/// Returns what the test has put in; has nothing yet when that is used up.
#[derive(Clone, Default)]
struct Fed {
    pieces: Rc<RefCell<VecDeque<&'static str>>>,
    asked: Rc<Cell<u32>>,
}

impl Producer for Fed {
    fn more(&mut self, buf: &mut Vec<u8>) -> io::Result<()> {
        self.asked.set(self.asked.get() + 1);
        match self.pieces.borrow_mut().pop_front() {
            Some("the end") => Ok(()),
            Some("a failure") => Err(io::Error::other("the disk is gone")),
            Some("a panic") => panic!("in a producer"),
            Some(piece) => {
                buf.extend_from_slice(piece.as_bytes());
                Ok(())
            }
            None => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

impl Fed {
    fn feed(&self, pieces: &[&'static str]) {
        self.pieces.borrow_mut().extend(pieces);
    }
}

#[test]
fn producers_are_sent_completely_in_order() {
    let path = std::env::temp_dir().join(format!("asyncore-producer-{}", std::process::id()));
    let contents: Vec<u8> = (0..1_000_u32).map(|number| number as u8).collect();
    fs::write(&path, &contents).unwrap();
    on_every_network(|world| {
        let (token, remote) = world.connect(Recorder::new(&Seen::default()));
        let mut channel = world.map.channel(token).unwrap();
        channel.push(b"first, ");
        channel.push_with_producer(SimpleProducer::with_buffer_size("simple, ", 3));
        channel.push_with_producer(ReaderProducer::new(Cursor::new("read, ")));
        channel.push(b"between, ");
        channel.push_with_producer(SimpleProducer::new(""));
        channel.push_with_producer(IterProducer::new(["i", "", "terated, "]));
        channel.push_with_producer(BodyProducer::new(SimpleProducer::new("body, and more"), 6));
        channel.push_with_producer(FileProducer::open(&path).unwrap());
        channel.push(b", last");
        channel.close_when_done();
        let mut expected = b"first, simple, read, between, iterated, body, ".to_vec();
        expected.extend(&contents);
        expected.extend(b", last");
        receives(world, &remote, &expected);
        world.run_until(|_| remote.saw_eof());
    });
    fs::remove_file(&path).unwrap();
}

#[test]
fn a_producer_is_asked_only_while_the_socket_has_room() {
    on_every_network(|world| {
        let asked: Rc<Cell<usize>> = Rc::default();
        let counted = Rc::clone(&asked);
        let endless = std::iter::from_fn(move || {
            counted.set(counted.get() + 1);
            Some([7; 1024])
        });
        let (token, remote) = world.connect(Recorder::new(&Seen::default()));
        remote.pause_reading();
        world.map.channel(token).unwrap().push_with_producer(IterProducer::new(endless));
        world.settle();
        let stalled = asked.get();
        let channel = world.map.channel(token).unwrap();
        let stats = channel.stats();
        assert!(channel.has_output() && channel.output_len() <= 1024);
        assert_eq!(stalled * 1024, stats.bytes_out as usize + stats.output_len);
        world.settle();
        assert_eq!(asked.get(), stalled, "the peer takes nothing");
        remote.resume_reading();
        world.run_until(|_| asked.get() > stalled);
    });
}

#[test]
fn a_touch_asks_a_waiting_producer_again() {
    on_every_network(|world| {
        let fed = Fed::default();
        let (token, remote) = world.connect(Recorder::new(&Seen::default()));
        let mut channel = world.map.channel(token).unwrap();
        channel.push_with_producer(fed.clone());
        channel.push(b"!");
        world.settle();
        let asked = fed.asked.get();
        assert!(asked > 0 && asked < 5, "asked {asked} times while it had nothing");
        for word in ["one", "two"] {
            fed.feed(&[word]);
            world.map.channel(token).unwrap().touch();
            receives(world, &remote, word.as_bytes());
        }
        assert_eq!(world.map.channel(token).unwrap().output_len(), 1);
        fed.feed(&["the end"]);
        world.map.channel(token).unwrap().touch();
        receives(world, &remote, b"!");
        assert!(!world.map.channel(token).unwrap().has_output());
    });
}

#[test]
fn a_failing_or_panicking_producer_closes_the_channel() {
    for (ending, expected) in
        [("a failure", "a producer failed: the disk is gone"), ("a panic", "in a producer")]
    {
        on_every_network(|world| {
            let (fed, seen) = (Fed::default(), Seen::default());
            fed.feed(&["begun", ending]);
            let (token, remote) = world.connect(Recorder::new(&seen));
            world.map.channel(token).unwrap().push_with_producer(fed.clone());
            world.run_until(|_| seen.is_closed());
            let errors = seen.errors();
            assert!(errors.len() == 1 && errors[0].ends_with(expected), "{errors:?}");
            receives(world, &remote, b"begun");
        });
    }
}

#[test]
fn output_behind_a_failed_producer_is_sent() {
    for ending in ["a failure", "a panic"] {
        on_every_network(|world| {
            let (fed, seen) = (Fed::default(), Seen::default());
            fed.feed(&["begun ", ending]);
            let handler = Recorder::new(&seen).on("handle_error", |_| Ok(()));
            let (token, remote) = world.connect(handler);
            let mut channel = world.map.channel(token).unwrap();
            channel.push_with_producer(fed.clone());
            channel.push(b"and ended");
            channel.close_when_done();
            receives(world, &remote, b"begun and ended");
            world.run_until(|_| remote.saw_eof());
            assert_eq!(seen.errors().len(), 1);
        });
    }
}

#[test]
fn a_failing_last_producer_does_not_delay_the_close() {
    for ending in ["a failure", "a panic"] {
        on_every_network(|world| {
            let (fed, seen) = (Fed::default(), Seen::default());
            fed.feed(&["all", ending]);
            let handler = Recorder::new(&seen).on("handle_error", |_| Ok(()));
            let (token, remote) = world.connect(handler);
            let mut channel = world.map.channel(token).unwrap();
            channel.push_with_producer(fed.clone());
            channel.close_when_done();
            receives(world, &remote, b"all");
            world.run_until(|_| remote.saw_eof());
            assert_eq!(seen.errors().len(), 1);
        });
    }
}

#[test]
fn a_short_body_error_shows_both_lengths() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = world.connect(Recorder::new(&seen));
        let body = BodyProducer::new(SimpleProducer::new("short"), 10);
        world.map.channel(token).unwrap().push_with_producer(body);
        receives(world, &remote, b"short");
        world.run_until(|_| seen.is_closed());
        let errors = seen.errors();
        assert!(errors[0].contains("announced as 10 bytes ended after 5"), "{errors:?}");
    });
}

#[test]
fn discarding_drops_producers_without_asking_them() {
    on_every_network(|world| {
        let fed = Fed::default();
        fed.feed(&["never sent"]);
        let (token, remote) = world.connect(Recorder::new(&Seen::default()));
        let mut channel = world.map.channel(token).unwrap();
        channel.push_with_producer(fed.clone());
        channel.discard_buffers();
        channel.push(b"sent");
        receives(world, &remote, b"sent");
        assert_eq!((fed.asked.get(), Rc::strong_count(&fed.asked)), (0, 1));
    });
}

#[test]
fn a_close_waits_for_a_producer_up_to_the_send_timeout() {
    let net = Network::new(1);
    let mut map = SocketMap::simulated(&net);
    let listener = net.listen("127.0.0.1:7".parse().unwrap()).unwrap();
    let seen = Seen::default();
    let added = map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.connect(listener.local_addr())?;
        Ok(Recorder::new(&seen))
    });
    let token = added.unwrap();
    run_until(&mut map, |_| seen.count("handle_connect") == 1);
    let start = net.elapsed();
    let mut channel = map.channel(token).unwrap();
    channel.push_with_producer(Fed::default());
    channel.close_when_done();
    map.run().unwrap();
    assert_eq!(net.elapsed() - start, Duration::from_secs(30));
    let cause = seen.cause().unwrap();
    assert!(cause.ends_with("in 30s"), "{cause}");
}
