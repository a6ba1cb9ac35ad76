//! A panic or an error in a callback logs one line and closes only its channel.

mod util;

use std::time::Duration;

use asyncore::{Channel, Dispatcher, Error, Result};
use util::{Recorder, Seen, World, on_every_network};

/// Fails in the callback named `callback`.
struct Failing {
    callback: &'static str,
    /// Fail with a panic instead of an `Err`.
    panics: bool,
    seen: Seen,
}

impl Failing {
    fn fail(&self, callback: &str) -> Result {
        self.seen.note(callback);
        if self.callback != callback {
            return Ok(());
        }
        if self.panics {
            panic!("in {callback}")
        }
        Err(Error::msg(format!("in {callback}")))
    }
}

impl Dispatcher for Failing {
    fn readable(&self, _: &Channel<'_>) -> bool {
        self.fail("readable").is_ok()
    }

    fn writable(&self, _: &Channel<'_>) -> bool {
        self.fail("writable").is_ok()
    }

    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        self.fail("handle_read")?;
        ch.recv(&mut [0; 16])?;
        Ok(())
    }

    fn handle_write(&mut self, _: &mut Channel<'_>) -> Result {
        self.fail("handle_write")
    }

    fn handle_expt(&mut self, _: &mut Channel<'_>) -> Result {
        self.fail("handle_expt")
    }

    fn handle_connect(&mut self, ch: &mut Channel<'_>) -> Result {
        ch.set_priority(true);
        self.fail("handle_connect")
    }

    fn handle_eof(&mut self, ch: &mut Channel<'_>) -> Result {
        self.fail("handle_eof")?;
        ch.close_when_done();
        Ok(())
    }

    fn handle_timeout(&mut self, _: &mut Channel<'_>) -> Result {
        self.fail("handle_timeout")
    }

    fn handle_close(&mut self, _: &mut Channel<'_>) {
        let _ = self.fail("handle_close");
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = self.fail("drop");
        }
    }
}

/// Triggers all events on a failing channel, checks that another channel is not affected, and
/// returns the log lines.
fn log_lines(world: &mut World, callback: &'static str, panics: bool) -> Vec<String> {
    let bystander = Seen::default();
    let (_, neighbour) = world.connect(Recorder::new(&bystander));
    let seen = Seen::default();
    let lines = util::log::complaints(|| {
        let failing = Failing { callback, panics, seen: seen.clone() };
        let (token, remote) = world.connect(failing);
        if let Some(mut channel) = world.map.channel(token) {
            channel.set_timeout(Duration::from_millis(20));
        }
        if callback != "handle_timeout" {
            remote.send(b"text");
            remote.send_urgent(b'!');
            remote.shutdown();
        }
        world.run_until(|world| !world.map.contains(token));
        world.run_until(|_| remote.saw_eof() || remote.was_reset());
        neighbour.send(b"fine");
        world.run_until(|_| bystander.received() == b"fine");
    });
    assert_eq!(seen.count("handle_close"), 1, "{callback}: {}", seen.order());
    assert_eq!(seen.count("drop"), 1, "{callback}: {}", seen.order());
    assert!(seen.count(callback) >= 1, "{callback} was never called: {}", seen.order());
    assert_eq!(world.map.len(), 1);
    world.settle();
    lines
}

const CALLBACKS: [&str; 6] = [
    "handle_connect",
    "handle_read",
    "handle_write",
    "handle_expt",
    "handle_eof",
    "handle_timeout",
];

#[test]
fn a_panic_in_a_callback_logs_one_line_and_closes_the_channel() {
    on_every_network(|world| {
        for callback in CALLBACKS.into_iter().chain(["readable", "writable"]) {
            let lines = log_lines(world, callback, true);
            let [line] = &lines[..] else { panic!("{callback}: {lines:#?}") };
            assert!(line.starts_with("ERROR uncaptured error, closing channel <"), "{line}");
            assert!(line.contains("Failing connected 127.0.0.1:"), "{line}");
            assert!(line.contains("tests/panics.rs:"), "{line}");
            assert!(line.contains(&format!(": in {callback}")), "{line}");
        }
    });
}

#[test]
fn an_error_in_a_callback_logs_one_line_and_closes_the_channel() {
    on_every_network(|world| {
        for callback in CALLBACKS {
            let lines = log_lines(world, callback, false);
            let [line] = &lines[..] else { panic!("{callback}: {lines:#?}") };
            assert!(line.starts_with("ERROR uncaptured error, closing channel <"), "{line}");
            assert!(line.contains("Failing connected 127.0.0.1:"), "{line}");
            assert!(line.ends_with(&format!("(in {callback})")), "{line}");
        }
    });
}

#[test]
fn a_panic_in_handle_close_or_drop_leaks_nothing() {
    on_every_network(|world| {
        for callback in ["handle_close", "drop"] {
            let lines = log_lines(world, callback, true);
            let [line] = &lines[..] else { panic!("{callback}: {lines:#?}") };
            assert!(line.starts_with("ERROR uncaptured error"), "{line}");
            assert!(line.contains("Failing"), "{line}");
            assert!(line.contains("tests/panics.rs:"), "{line}");
            assert!(line.contains(&format!(": in {callback}")), "{line}");
        }
    });
}

#[test]
fn a_panic_in_handle_error_is_logged_after_the_first_failure() {
    on_every_network(|world| {
        let seen = Seen::default();
        let lines = util::log::complaints(|| {
            let handler = Recorder::new(&seen)
                .on("handle_read", |_| Err(Error::msg("the first")))
                .on("handle_error", |_| panic!("the second"));
            let (token, remote) = world.connect(handler);
            remote.send(b"x");
            world.run_until(|world| !world.map.contains(token));
        });
        let [first, second] = &lines[..] else { panic!("{lines:#?}") };
        assert!(first.contains("Recorder connected") && first.contains("the first"), "{first}");
        assert!(second.contains("Recorder connected") && second.contains("the second"), "{second}");
        assert_eq!((seen.count("handle_error"), seen.count("handle_close")), (1, 1));
        assert!(world.map.is_empty());
    });
}

/// Checks that `handle_error` is not called for its own failures without end.
fn a_failing_handle_error(cause: fn(&mut Channel<'_>), symptom: &str) {
    on_every_network(|world| {
        let seen = Seen::default();
        let lines = util::log::complaints(|| {
            let handler = Recorder::new(&seen)
                .on("handle_read", |_| Err(Error::msg("the first")))
                .on("handle_error", move |ch| {
                    cause(ch);
                    Ok(())
                });
            let (token, remote) = world.connect(handler);
            remote.send(b"x");
            world.run_until(|world| !world.map.contains(token));
        });
        assert_eq!(seen.errors(), ["the first"]);
        let [line] = &lines[..] else { panic!("{lines:#?}") };
        assert!(line.contains("Recorder connected") && line.contains(symptom), "{line}");
    });
}

#[test]
fn handle_error_does_not_recurse_when_it_exceeds_the_limit() {
    a_failing_handle_error(
        |ch| {
            ch.set_output_limit(5);
            ch.push(b"500 sorry\n");
        },
        "over its limit of 5",
    );
}

#[test]
fn handle_error_does_not_recurse_when_it_pushes_after_shutdown() {
    a_failing_handle_error(
        |ch| {
            ch.shutdown_write();
            ch.push(b"500 sorry\n");
        },
        "after",
    );
}

#[test]
fn a_panic_in_a_timer_or_trigger_is_logged() {
    on_every_network(|world| {
        let lines = util::log::complaints(|| {
            world.map.call_later(Duration::ZERO, |_| panic!("in the timer"));
            world.map.call_later(Duration::ZERO, |_| Err(Error::msg("out of the timer")));
            let trigger = world.map.trigger().unwrap();
            trigger.pull_trigger(|_| panic!("in the trigger")).unwrap();
            world.run_until(|world| world.map.stats().errors == 3);
        });
        assert_eq!(lines.len(), 3, "{lines:#?}");
        for what in ["in the timer", "out of the timer", "in the trigger"] {
            assert_eq!(lines.iter().filter(|line| line.contains(what)).count(), 1, "{lines:#?}");
        }
    });
}

/// Panics when it is dropped.
struct Fragile(Seen);

impl Dispatcher for Fragile {}

impl Drop for Fragile {
    fn drop(&mut self) {
        self.0.note("drop");
        panic!("in drop");
    }
}

#[test]
fn a_handler_whose_drop_panics_costs_only_its_channel() {
    on_every_network(|world| {
        let (fragile, other) = (Seen::default(), Seen::default());
        let lines = util::log::complaints(|| {
            let (token, _remote) = world.connect(Fragile(fragile.clone()));
            let (_, neighbour) = world.connect(Recorder::new(&other));
            world.map.channel(token).unwrap().close();
            world.run_until(|world| !world.map.contains(token));
            neighbour.send(b"fine");
            world.run_until(|_| other.received() == b"fine");
        });
        assert_eq!(fragile.calls(), ["drop"]);
        let [line] = &lines[..] else { panic!("{lines:#?}") };
        assert!(line.contains("Fragile") && line.contains("in drop"), "{line}");
    });
}

#[test]
fn a_replaced_handler_whose_drop_panics_keeps_the_channel() {
    on_every_network(|world| {
        let (fragile, next) = (Seen::default(), Seen::default());
        let lines = util::log::complaints(|| {
            let (token, remote) = world.connect(Fragile(fragile.clone()));
            world.map.channel(token).unwrap().replace_handler(Recorder::new(&next));
            remote.send(b"for the new one");
            world.run_until(|_| next.received() == b"for the new one");
        });
        assert_eq!(fragile.calls(), ["drop"]);
        assert_eq!(lines.len(), 1, "{lines:#?}");
    });
}

#[test]
fn dropping_the_loop_drops_all_handlers_although_one_panics() {
    on_every_network(|world| {
        let (first, second, good) = (Seen::default(), Seen::default(), Seen::default());
        struct Noted(Seen);
        impl Dispatcher for Noted {}
        impl Drop for Noted {
            fn drop(&mut self) {
                self.0.note("drop");
            }
        }
        let lines = util::log::complaints(|| {
            let (_, a) = world.connect(Fragile(first.clone()));
            let (_, b) = world.connect(Noted(good.clone()));
            let (_, c) = world.connect(Fragile(second.clone()));
            world.map = asyncore::SocketMap::new().unwrap();
            drop((a, b, c));
        });
        assert_eq!((first.calls(), second.calls()), (vec!["drop".into()], vec!["drop".into()]));
        assert_eq!(good.calls(), ["drop"]);
        assert_eq!(lines.len(), 2, "{lines:#?}");
    });
}
