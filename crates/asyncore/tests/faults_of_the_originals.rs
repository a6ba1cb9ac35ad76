//! Faults of Python's asyncore and asynchat that this library must not have.
//!
//! Other files test the limit of 1,024 descriptors (`descriptors.rs`), one accept per pass
//! (`pitfalls_accept.rs`), idle channels that spin (`pitfalls_idle.rs`) and quadratic slicing
//! (`linear_work.rs`).

mod util;

use std::cell::Cell;
use std::rc::Rc;

use asyncore::{LoopOptions, SimpleProducer};
use util::{PASS, Recorder, Seen, World, on_every_network};

#[test]
fn no_handle_write_after_a_close() {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = Recorder::new(&seen).writable(|_| true).on("handle_read", |ch| {
            ch.close();
            Ok(())
        });
        let (token, remote) = world.connect(handler);
        world.settle();
        remote.send(b"x");
        world.run_until(|_| seen.is_closed());
        world.settle();
        assert!(!world.map.contains(token));
        let calls = seen.calls();
        assert_eq!(calls[calls.len() - 2..], ["handle_read", "handle_close"]);
    });
}

#[test]
fn no_handle_write_after_close_when_done_in_handle_read() {
    on_every_network(|world| {
        let (seen, flood) = (Seen::default(), world.flood);
        let handler = Recorder::new(&seen).writable(|_| true).on("handle_read", move |ch| {
            ch.recv(&mut [0; 16])?;
            ch.push(vec![9; flood]);
            ch.close_when_done();
            Ok(())
        });
        let (token, remote) = world.connect(handler);
        world.settle();
        remote.send(b"x");
        world.run_until(|world| world.map.channel_stats(token).unwrap().output_len > 0);
        let offered = (seen.count("handle_read"), seen.count("handle_write"));
        remote.shutdown();
        world.run_until(|_| seen.is_closed());
        assert_eq!((seen.count("handle_read"), seen.count("handle_write")), offered);
    });
}

#[test]
fn no_handle_read_after_close_when_done_in_handle_expt() {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = Recorder::new(&seen)
            .readable(|ch| ch.stats().events > 1)
            .on("handle_connect", |ch| {
                ch.set_priority(true);
                Ok(())
            })
            .on("handle_expt", |ch| {
                ch.close_when_done();
                Ok(())
            });
        let (_, remote) = world.connect(handler);
        remote.send_urgent(b'!');
        remote.send(b"text");
        remote.shutdown();
        world.run_until(|_| seen.is_closed());
        let calls = seen.calls();
        let urgent =
            calls.iter().position(|call| call == "handle_expt").expect("handle_expt was called");
        assert_eq!(calls[urgent..], ["handle_expt", "handle_close"]);
    });
}

#[test]
fn a_panicking_predicate_closes_its_channel_and_the_loop_continues() {
    on_every_network(|world| {
        let (broken, other) = (Seen::default(), Seen::default());
        let fuse = Rc::new(Cell::new(false));
        let lit = Rc::clone(&fuse);
        let handler = Recorder::new(&broken).readable(move |_| {
            assert!(!lit.get(), "the predicate's own panic");
            true
        });
        let (token, remote) = world.connect(handler);
        let (_, bystander) = world.connect(Recorder::new(&other));
        world.settle();
        fuse.set(true);
        remote.send(b"x");
        bystander.send(b"fine");
        world.run_until(|_| other.received() == b"fine");
        world.run_until(|_| broken.is_closed());
        let errors = broken.errors();
        assert_eq!(errors.len(), 1, "{errors:#?}");
        assert!(errors[0].contains("faults_of_the_originals.rs:"), "{errors:#?}");
        assert!(errors[0].contains("the predicate's own panic"), "{errors:#?}");
        assert!(!world.map.contains(token));
        world.map.run_with(LoopOptions { timeout: PASS, count: Some(3) }).unwrap();
    });
}

#[test]
fn a_panicking_predicate_closes_even_if_handle_error_does_not() {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler =
            Recorder::new(&seen).writable(|_| panic!("always")).on("handle_error", |_| Ok(()));
        let (_, remote) = world.connect_with(|_| handler);
        world.run_until(|_| seen.is_closed());
        world.run_until(|_| remote.saw_eof() || remote.was_reset());
        assert_eq!((seen.errors().len(), world.map.len()), (1, 0));
    });
}

#[test]
fn a_push_over_the_limit_drops_the_queue_and_reports_once() {
    on_every_network(|world| {
        let seen = Seen::default();
        let lines = util::log::complaints(|| {
            let (token, remote) = world.connect(Recorder::new(&seen));
            remote.pause_reading();
            let mut channel = world.map.channel(token).unwrap();
            channel.set_output_limit(1_000_000);
            let mut longest = 0;
            for _ in 0..10_000 {
                channel.push(&[9; 10_000][..]);
                longest = longest.max(channel.output_len());
            }
            assert!((980_000..=1_000_000).contains(&longest), "{longest}");
            // Otherwise the peer would get a stream with a gap.
            assert_eq!(channel.output_len(), 0);
            world.run_until(|_| seen.is_closed());
        });
        let errors = seen.errors();
        assert_eq!((errors.len(), lines), (1, vec![]), "{errors:#?}");
        assert!(errors[0].contains("over its limit of 1000000"), "{errors:#?}");
        assert!(world.map.is_empty());
    });
}

#[test]
fn a_queue_over_its_limit_sends_nothing_before_handle_error() {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = Recorder::new(&seen).on("handle_error", |ch| {
            ch.push(b"I lost my thread");
            Ok(())
        });
        let (token, remote) = world.connect(handler);
        let mut channel = world.map.channel(token).unwrap();
        channel.set_output_limit(100);
        channel.push(vec![b'x'; 60]);
        channel.push(vec![b'y'; 60]);
        channel.push(vec![b'z'; 60]);
        let mut heard = Vec::new();
        world.run_until(|_| {
            heard.extend(remote.received());
            heard.len() >= 16
        });
        world.settle();
        heard.extend(remote.received());
        assert_eq!(String::from_utf8_lossy(&heard), "I lost my thread");
        assert_eq!(seen.errors().len(), 1);
    });
}

#[test]
fn repeated_pushes_after_shutdown_report_one_error() {
    on_every_network(|world| {
        let seen = Seen::default();
        let lines = util::log::complaints(|| {
            let (token, _remote) = world.connect(Recorder::new(&seen));
            let mut channel = world.map.channel(token).unwrap();
            channel.shutdown_write();
            for _ in 0..100 {
                channel.push(b"too late");
            }
            world.run_until(|_| seen.is_closed());
        });
        assert_eq!((seen.errors().len(), lines), (1, vec![]));
    });
}

#[test]
fn a_peer_that_sends_and_never_reads_cannot_fill_the_memory() {
    on_every_network(|world| {
        let seen = Seen::default();
        // An echo without its own backpressure.
        let handler = Recorder::new(&seen).on("handle_read", |ch| {
            ch.with_buffer(64 * 1024, |ch, buf| {
                let n = ch.recv(buf)?;
                ch.push(&buf[..n]);
                Ok(())
            })
        });
        let (token, remote) = world.connect(handler);
        world.map.channel(token).unwrap().set_high_water(1000);
        remote.pause_reading();
        remote.send(&vec![7; 2 * world.flood]);
        let mut longest = 0;
        let mut measure = |world: &mut World| {
            longest = longest.max(world.map.channel_stats(token).unwrap().output_len);
            longest >= 1000
        };
        world.run_until(&mut measure);
        for _ in 0..50 {
            let _ = world.pass(PASS);
            measure(world);
        }
        assert!((1000..1000 + 64 * 1024).contains(&longest), "{longest}");
        remote.resume_reading();
        let mut echoed = 0;
        world.run_until(|world| {
            echoed += remote.received().len();
            echoed == 2 * world.flood
        });
        assert!(seen.errors().is_empty());
    });
}

#[test]
fn unbounded_producers_report_one_error() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = world.connect(Recorder::new(&seen));
        remote.pause_reading();
        let mut channel = world.map.channel(token).unwrap();
        for _ in 0..10_000 {
            channel.push_with_producer(SimpleProducer::new(&b"piece"[..]));
        }
        assert!(!channel.has_output());
        world.run_until(|_| seen.is_closed());
        let errors = seen.errors();
        assert_eq!(errors.len(), 1, "{errors:#?}");
        assert!(errors[0].contains("more than 1024 producers"), "{errors:#?}");
    });
}
