//! Pauses, and what happens meanwhile to channels that are not read.

mod util;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use asyncore::{Channel, Dispatcher, Result, Token};
use util::flow::{empty, full_sink, source_of};
use util::{Recorder, Remote, Seen, on_every_network};

#[test]
fn a_paused_source_of_a_full_sink_needs_both_released() {
    on_every_network(|world| {
        for resumes_first in [false, true] {
            let (sink, sink_end) = full_sink(world);
            let (source, seen, remote) = source_of(world, sink);
            world.map.channel(source).unwrap().pause_reading();
            remote.send(b"x");
            world.settle();
            if resumes_first {
                world.map.channel(source).unwrap().resume_reading();
                world.settle();
            } else {
                empty(world, sink, &sink_end);
            }
            assert_eq!(seen.received_len(), 0);
            if resumes_first {
                sink_end.resume_reading();
            } else {
                world.map.channel(source).unwrap().resume_reading();
            }
            world.run_until(|_| seen.received() == b"x");
        }
    });
}

#[test]
fn pausing_twice_is_one_pause() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = world.connect(Recorder::new(&seen));
        world.map.channel(token).unwrap().pause_reading();
        world.map.channel(token).unwrap().pause_reading();
        remote.send(b"x");
        world.settle();
        world.map.channel(token).unwrap().resume_reading();
        world.run_until(|_| seen.received() == b"x");
    });
}

#[test]
fn a_paused_listener_accepts_nothing_until_it_resumes() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (listener, addr) = world.listen(Recorder::new(&seen));
        world.map.channel(listener).unwrap().pause_reading();
        let _visitors = [world.visit(addr), world.visit(addr)];
        world.settle();
        assert_eq!(seen.count("handle_accepted"), 0);
        world.map.channel(listener).unwrap().resume_reading();
        world.run_until(|_| seen.count("handle_accepted") == 2);
    });
}

#[test]
fn a_listener_that_pauses_itself_accepts_no_further_connection() {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = Recorder::new(&seen).on("handle_accepted", |ch| {
            ch.pause_reading();
            Ok(())
        });
        let (listener, addr) = world.listen(handler);
        let _visitors = [world.visit(addr), world.visit(addr), world.visit(addr)];
        for accepted in 1..=3 {
            world.settle();
            assert_eq!(seen.count("handle_accepted"), accepted);
            world.map.channel(listener).unwrap().resume_reading();
        }
    });
}

/// Reads, and does in the same callback what keeps its rival from being read.
struct Rival {
    rival: Rc<RefCell<Vec<Token<Rival>>>>,
    buffer: usize,
    reads: Rc<Cell<usize>>,
    block: fn(&mut Channel<'_>, Token<Rival>),
}

impl Dispatcher for Rival {
    fn ac_in_buffer_size(&self) -> usize {
        self.buffer
    }

    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        ch.recv(&mut [0; 10])?;
        self.handle_data(ch, b"")
    }

    fn handle_data(&mut self, ch: &mut Channel<'_>, _: &[u8]) -> Result {
        self.reads.set(self.reads.get() + 1);
        let all = self.rival.borrow().clone();
        let own = ch.token::<Rival>();
        for other in all.into_iter().filter(|it| *it != own) {
            (self.block)(ch, other);
        }
        Ok(())
    }
}

/// Ten rivals become readable at once; the first that is read keeps the others from it.
fn only_one_reads(buffer: usize, block: fn(&mut Channel<'_>, Token<Rival>)) {
    on_every_network(|world| {
        let (rival, reads) = (Rc::<RefCell<Vec<_>>>::default(), Rc::<Cell<usize>>::default());
        let remotes: Vec<Remote> = (0..10)
            .map(|_| {
                let (rival, reads) = (Rc::clone(&rival), Rc::clone(&reads));
                let all = Rc::clone(&rival);
                let (token, remote) = world.connect(Rival { rival, buffer, reads, block });
                all.borrow_mut().push(token);
                remote
            })
            .collect();
        world.settle();
        for remote in &remotes {
            remote.send(b"x");
        }
        if let Some(net) = &world.net {
            while net.step() {}
        }
        world.settle();
        assert_eq!(reads.get(), 1);
        drop(remotes);
    });
}

#[test]
fn a_pause_holds_for_what_the_same_wait_reported() {
    for buffer in [0, 4096] {
        only_one_reads(buffer, |ch, other| ch.channel(other).unwrap().pause_reading());
    }
}

#[test]
fn a_full_sink_holds_back_what_the_same_wait_reported() {
    for buffer in [0, 4096] {
        // The own queue is the sink of the others, and a producer without output keeps it full.
        only_one_reads(buffer, |ch, other| {
            let own = ch.token::<Rival>();
            ch.set_high_water(1);
            ch.push_with_producer(Nothing);
            (0..64).for_each(|_| ch.push_with_producer(Nothing));
            ch.channel(other).unwrap().set_sink(own);
        });
    }
}

/// A producer that has nothing yet.
struct Nothing;

impl asyncore::Producer for Nothing {
    fn more(&mut self, _: &mut Vec<u8>) -> std::io::Result<()> {
        Err(std::io::ErrorKind::WouldBlock.into())
    }
}

#[test]
fn input_behind_a_hang_up_is_read_when_the_sink_has_room() {
    on_every_network(|world| {
        let (sink, sink_end) = full_sink(world);
        let (source, seen, remote) = source_of(world, sink);
        // Both halves have ended, which pollers report as a hang-up, and the input is unread.
        world.map.channel(source).unwrap().shutdown_write();
        remote.send(b"the last words");
        remote.shutdown();
        world.settle();
        assert!(!seen.is_closed());
        sink_end.resume_reading();
        world.run_until(|_| seen.is_closed());
        assert_eq!((seen.received(), seen.cause()), (b"the last words".to_vec(), None));
    });
}

#[test]
fn a_source_behind_a_full_sink_notices_a_reset() {
    on_every_network(|world| {
        let (sink, _sink_end) = full_sink(world);
        let (_, seen, remote) = source_of(world, sink);
        remote.send(&vec![7; world.flood / 10]);
        world.settle();
        remote.reset();
        world.run_until(|_| seen.is_closed());
        assert!(seen.cause().is_some(), "a reset is no end in good order");
        assert_eq!(seen.received_len(), 0);
    });
}

#[test]
fn the_end_of_input_waits_behind_a_full_sink() {
    on_every_network(|world| {
        let (sink, sink_end) = full_sink(world);
        let (_, seen, remote) = source_of(world, sink);
        remote.send(b"x");
        remote.shutdown();
        world.settle();
        assert_eq!(seen.order(), "handle_connect");
        sink_end.resume_reading();
        world.run_until(|_| seen.is_closed());
        assert_eq!(seen.received(), b"x");
        assert_eq!(seen.order(), "handle_connect handle_read handle_eof handle_close");
    });
}

#[test]
fn a_source_that_closes_does_not_wait_for_its_sink() {
    on_every_network(|world| {
        let (sink, _sink_end) = full_sink(world);
        let (source, seen, remote) = source_of(world, sink);
        remote.send(b"x");
        world.settle();
        let mut channel = world.map.channel(source).unwrap();
        channel.pause_reading();
        channel.push(b"bye");
        channel.close_when_done();
        world.run_until(|_| remote.saw_eof());
        remote.shutdown();
        world.run_until(|_| seen.is_closed());
        assert_eq!((remote.received(), seen.received_len()), (b"bye".to_vec(), 0));
        assert_eq!(seen.cause(), None);
    });
}
