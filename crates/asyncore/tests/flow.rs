//! A channel with a sink is read only while the sink has room, and whatever makes room resumes it.

mod util;

use std::cell::Cell;
use std::rc::Rc;

use asyncore::Token;
use util::flow::{Counter, empty, fill, full_sink, source_of};
use util::{Recorder, Remote, Seen, World, on_every_network, on_every_network_with};

/// A source with input waits for its full sink, and is read after `release`.
#[track_caller]
fn is_released_by(release: impl Fn(&mut World, Token<Recorder>, Remote)) {
    on_every_network(|world| {
        let (sink, sink_end) = full_sink(world);
        let (_, seen, remote) = source_of(world, sink);
        remote.send(b"x");
        world.settle();
        assert_eq!(seen.count("handle_read"), 0, "it is not read while its sink is full");
        release(world, sink, sink_end);
        world.run_until(|_| seen.received() == b"x");
    });
}

#[test]
fn a_source_is_released_when_its_sink_is_sent() {
    is_released_by(|world, sink, sink_end| empty(world, sink, &sink_end));
}

#[test]
fn a_source_is_released_when_its_sink_is_discarded() {
    is_released_by(|world, sink, sink_end| {
        world.map.channel(sink).unwrap().discard_buffers();
        world.settle();
        drop(sink_end);
    });
}

#[test]
fn a_source_is_released_when_its_sink_is_closed() {
    is_released_by(|world, sink, _sink_end| world.map.channel(sink).unwrap().close());
}

#[test]
fn a_source_is_released_when_its_sink_is_reset_by_the_peer() {
    is_released_by(|_, _, sink_end| sink_end.reset());
}

#[test]
fn a_source_is_released_when_the_mark_of_its_sink_rises() {
    is_released_by(|world, sink, sink_end| {
        world.map.channel(sink).unwrap().set_high_water(usize::MAX);
        world.settle();
        drop(sink_end);
    });
}

#[test]
fn a_source_is_released_when_its_sink_overflows() {
    is_released_by(|world, sink, sink_end| {
        let mut channel = world.map.channel(sink).unwrap();
        channel.set_output_limit(10);
        channel.push(&[9; 11]);
        world.settle();
        drop(sink_end);
    });
}

#[test]
fn a_source_is_released_when_it_changes_its_sink() {
    on_every_network(|world| {
        let (full, _full_end) = full_sink(world);
        let (roomy, roomy_end) = world.connect(Recorder::default());
        let (source, seen, remote) = source_of(world, full);
        remote.send(b"a");
        world.settle();
        assert_eq!(seen.received_len(), 0);
        world.map.channel(source).unwrap().set_sink(roomy);
        world.run_until(|_| seen.received() == b"a");

        fill(world, roomy, &roomy_end);
        remote.send(b"b");
        world.map.channel(full).unwrap().discard_buffers();
        world.settle();
        assert_eq!(seen.received(), b"a", "the sink that it had does not matter any more");
        world.map.channel(source).unwrap().clear_sink();
        world.run_until(|_| seen.received() == b"ab");
    });
}

#[test]
fn a_sink_that_is_full_only_while_a_callback_runs_holds_nothing_back() {
    on_every_network(|world| {
        let sink: Rc<Cell<Option<Token<Recorder>>>> = Rc::default();
        let to = Rc::clone(&sink);
        let feeder = Recorder::new(&Seen::default()).on("handle_read", move |ch| {
            let mut buf = [0; 64];
            let n = ch.recv(&mut buf)?;
            // Collected in pieces, and sent when this returns.
            let mut to = ch.channel(to.get().unwrap()).unwrap();
            buf[..n].iter().for_each(|byte| to.push(&[*byte]));
            Ok(())
        });
        let (_, feed) = world.connect(feeder);
        let (token, sink_end) = world.connect(Recorder::default());
        world.map.channel(token).unwrap().set_high_water(1);
        sink.set(Some(token));
        let (_, seen, remote) = source_of(world, token);
        let mut received = 0;
        for round in 1..=20 {
            feed.send(&[7; 50]);
            remote.send(b"x");
            world.run_until(|_| {
                received += sink_end.received().len();
                received == 50 * round && seen.received_len() == round
            });
        }
    });
}

#[test]
fn producers_fill_a_sink_and_release_it() {
    on_every_network(|world| {
        let (sink, sink_end) = world.connect(Recorder::default());
        sink_end.pause_reading();
        let size = world.flood / 60;
        for _ in 0..130 {
            let producer = asyncore::SimpleProducer::new(vec![7; size]);
            world.map.channel(sink).unwrap().push_with_producer(producer);
        }
        // So that only the number of producers counts.
        world.map.channel(sink).unwrap().set_high_water(usize::MAX);
        let (_, seen, remote) = source_of(world, sink);
        remote.send(b"x");
        world.settle();
        assert_eq!(seen.received_len(), 0);
        sink_end.resume_reading();
        world.run_until(|_| seen.received() == b"x");
    });
}

#[test]
fn a_predicate_can_withhold_reading_but_not_grant_it() {
    on_every_network(|world| {
        let (sink, sink_end) = full_sink(world);
        let wants = Rc::new(Cell::new(true));
        let (seen, asked) = (Seen::default(), Rc::clone(&wants));
        let handler = Recorder::new(&seen).readable(move |_| asked.get());
        let (source, remote) = world.connect(handler);
        world.map.channel(source).unwrap().set_sink(sink);
        remote.send(b"x");
        world.settle();
        assert_eq!(seen.received_len(), 0, "the sink is full");
        wants.set(false);
        empty(world, sink, &sink_end);
        assert_eq!(seen.received_len(), 0, "the predicate says no");
        wants.set(true);
        world.map.channel(source).unwrap().touch();
        world.run_until(|_| seen.received() == b"x");
    });
}

#[test]
fn with_a_sink_the_own_queue_does_not_stop_reading() {
    on_every_network(|world| {
        let (sink, _sink_end) = world.connect(Recorder::default());
        let (counter, count) = Counter::new(0);
        let (source, remote) = world.connect(counter);
        fill(world, source, &remote);
        remote.send(b"xyz");
        world.settle();
        assert_eq!(count.get(), 0, "by default it is its own sink");
        world.map.channel(source).unwrap().set_sink(sink);
        world.run_until(|_| count.get() == 3);
    });
}

#[test]
fn a_channel_that_is_its_own_sink_waits_for_its_own_queue() {
    on_every_network(|world| {
        for buffer in [0, 4096] {
            let (counter, count) = Counter::new(buffer);
            let (token, remote) = world.connect(counter);
            world.map.channel(token).unwrap().set_sink(token);
            fill(world, token, &remote);
            remote.send(b"xyz");
            world.settle();
            assert_eq!(count.get(), 0);
            remote.resume_reading();
            world.run_until(|_| count.get() == 3);
        }
    });
}

#[test]
fn a_sink_that_is_gone_has_room_whenever_it_went() {
    on_every_network(|world| {
        for dies_first in [false, true] {
            let (sink, _sink_end) = world.connect(Recorder::default());
            let (counter, count) = Counter::new(0);
            let (source, remote) = world.connect(counter);
            if !dies_first {
                world.map.channel(source).unwrap().set_sink(sink);
            }
            world.map.channel(sink).unwrap().close();
            world.run_until(|world| !world.map.contains(sink));
            if dies_first {
                world.map.channel(source).unwrap().set_sink(sink);
            }
            // A sink of its own would be full.
            fill(world, source, &remote);
            remote.send(b"xyz");
            world.run_until(|_| count.get() == 3);
        }
    });
}

/// The slot that a token names, without the generation.
fn slot_of<T>(token: Token<T>) -> String {
    let name = format!("{token:?}");
    name.split('v').next().unwrap().to_owned()
}

#[test]
fn the_next_channel_in_the_slot_of_a_dead_sink_is_no_sink() {
    on_every_network(|world| {
        let (sink, _sink_end) = full_sink(world);
        let (_, seen, remote) = source_of(world, sink);
        world.map.channel(sink).unwrap().close();
        world.run_until(|world| !world.map.contains(sink));
        let (next, _next_end) = full_sink(world);
        assert_eq!(slot_of(sink), slot_of(next));
        remote.send(b"x");
        world.run_until(|_| seen.received() == b"x");
    });
}

#[test]
fn the_next_channel_in_the_slot_of_a_dead_source_is_no_source() {
    on_every_network(|world| {
        let (sink, sink_end) = full_sink(world);
        let (source, _, _remote) = source_of(world, sink);
        world.map.channel(source).unwrap().close();
        world.run_until(|world| !world.map.contains(source));
        let seen = Seen::default();
        let (next, remote) = world.connect(Recorder::new(&seen));
        assert_eq!(slot_of(source), slot_of(next));
        remote.send(b"x");
        world.run_until(|_| seen.received() == b"x");
        // The sink has none to release.
        empty(world, sink, &sink_end);
    });
}

#[test]
fn checked_predicates_agree_while_sinks_fill_and_empty() {
    on_every_network_with(
        |builder| builder.check_predicates(true),
        |world| {
            let (sink, sink_end) = full_sink(world);
            let (source, seen, remote) = source_of(world, sink);
            let (counter, count) = Counter::new(4096);
            let (plain, plain_end) = world.connect(counter);
            world.map.channel(plain).unwrap().set_sink(sink);
            plain_end.send(b"x");
            remote.send(b"x");
            world.settle();
            world.map.channel(source).unwrap().pause_reading();
            world.settle();
            sink_end.resume_reading();
            world.run_until(|_| count.get() == 1);
            world.map.channel(source).unwrap().resume_reading();
            world.run_until(|_| seen.received() == b"x");
            world.map.channel(sink).unwrap().close();
            plain_end.send(b"y");
            remote.send(b"y");
            world.run_until(|_| seen.received() == b"xy" && count.get() == 2);
        },
    );
}
