//! Signals, as calls on the loop.
#![cfg(feature = "signals")]

mod util;

use std::cell::Cell;
use std::io::ErrorKind;
use std::rc::Rc;
use std::sync::Mutex;
use std::time::Duration;

use asyncore::sim::Network;
use asyncore::{Error, ExitNow, SocketMap};
use rustix::process::Signal;
use util::log::complaints;
use util::{Recorder, Seen, assert_rests, on_every_poller, run_until, tcp_pair};

const USR1: i32 = Signal::USR1.as_raw();
const USR2: i32 = Signal::USR2.as_raw();

/// The process has one disposition for each signal, so tests that raise them take turns.
static TURN: Mutex<()> = Mutex::new(());

fn in_turn(test: impl FnOnce()) {
    let _turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    test();
}

/// Has the system deliver a signal to this process; the handler has run when this returns if
/// this thread takes it, and soon otherwise.
fn raise(signal: Signal) {
    // On this thread, so that it has come when this returns.
    signal_hook::low_level::raise(signal.as_raw()).unwrap();
}

fn counter() -> (Rc<Cell<u32>>, Rc<Cell<u32>>) {
    let count: Rc<Cell<u32>> = Rc::default();
    (Rc::clone(&count), count)
}

#[test]
fn each_signal_calls_what_watches_for_it() {
    in_turn(|| {
        on_every_poller(|builder| {
            let mut map = builder.build().unwrap();
            let ((first, count_first), (second, count_second)) = (counter(), counter());
            map.on_signal(USR1, move |_| {
                count_first.set(count_first.get() + 1);
                Ok(())
            })
            .unwrap();
            map.on_signal(USR2, move |_| {
                count_second.set(count_second.get() + 1);
                Ok(())
            })
            .unwrap();
            for round in 1..=3 {
                raise(Signal::USR1);
                run_until(&mut map, |_| first.get() == round);
            }
            raise(Signal::USR2);
            run_until(&mut map, |_| second.get() == 1);
            assert_eq!((first.get(), second.get()), (3, 1));
            assert_rests(&mut map);
        });
    });
}

#[test]
fn several_maps_hear_the_same_signal() {
    in_turn(|| {
        let ((first, count_first), (second, count_second)) = (counter(), counter());
        let mut maps = [SocketMap::new().unwrap(), SocketMap::new().unwrap()];
        maps[0]
            .on_signal(USR1, move |_| {
                count_first.set(1);
                Ok(())
            })
            .unwrap();
        maps[1]
            .on_signal(USR1, move |_| {
                count_second.set(1);
                Ok(())
            })
            .unwrap();
        raise(Signal::USR1);
        run_until(&mut maps[0], |_| first.get() == 1);
        run_until(&mut maps[1], |_| second.get() == 1);
    });
}

#[test]
fn a_watch_alone_does_not_keep_the_loop_running() {
    in_turn(|| {
        let mut map = SocketMap::new().unwrap();
        map.on_signal(USR1, |_| Ok(())).unwrap();
        map.run().unwrap();
    });
}

#[test]
fn a_signal_can_end_the_loop_in_good_order() {
    in_turn(|| {
        on_every_poller(|builder| {
            let mut map = builder.build().unwrap();
            let seen = Seen::default();
            let (socket, remote) = tcp_pair();
            let connected = map.add(Recorder::new(&seen), socket);
            map.channel(connected).unwrap().push(b"the last");
            map.on_signal(USR1, |map| {
                map.drain(Duration::from_secs(3600));
                Ok(())
            })
            .unwrap();
            map.call_later(Duration::ZERO, |_| {
                raise(Signal::USR1);
                Ok(())
            });
            let reader = std::thread::spawn(move || std::io::read_to_string(remote).unwrap());
            map.run().unwrap();
            assert_eq!(reader.join().unwrap(), "the last");
            assert_eq!(seen.count("handle_close"), 1);
        });
    });
}

#[test]
fn exit_now_leaves_the_loop() {
    in_turn(|| {
        let mut map = SocketMap::new().unwrap();
        let _kept = map.trigger().unwrap();
        map.on_signal(USR1, |_| Err(ExitNow.into())).unwrap();
        raise(Signal::USR1);
        map.run().unwrap();
    });
}

#[test]
fn a_call_that_fails_or_panics_is_logged_and_made_again() {
    in_turn(|| {
        let mut map = SocketMap::builder().panic_hook(true).build().unwrap();
        let (calls, count) = counter();
        map.on_signal(USR1, move |_| {
            count.set(count.get() + 1);
            assert_eq!(count.get(), 1, "the second");
            Err(Error::msg("the first"))
        })
        .unwrap();
        let lines = complaints(|| {
            for round in 1..=2 {
                raise(Signal::USR1);
                run_until(&mut map, |_| calls.get() == round);
            }
        });
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(lines[0], "ERROR uncaptured error in a signal's call (the first)");
        assert!(lines[1].contains("(panicked at "), "{lines:?}");
        assert_eq!(map.stats().errors, 2);
    });
}

#[test]
fn a_signal_that_cannot_be_caught_is_an_error_that_tells_its_number() {
    let mut map = SocketMap::new().unwrap();
    for signal in [Signal::KILL, Signal::STOP, Signal::SEGV, Signal::ILL, Signal::FPE] {
        let error = map.on_signal(signal.as_raw(), |_| Ok(())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let told = format!("signal {} cannot be handled by a program", signal.as_raw());
        assert_eq!(error.to_string(), told);
    }
    assert!(map.on_signal(9999, |_| Ok(())).is_err(), "there is no such signal");
}

#[test]
fn on_a_simulated_network_a_pass_hears_of_signals_too() {
    in_turn(|| {
        let net = Network::new(1);
        let mut map = SocketMap::simulated(&net);
        let (calls, count) = counter();
        map.on_signal(USR1, move |_| {
            count.set(1);
            Ok(())
        })
        .unwrap();
        raise(Signal::USR1);
        run_until(&mut map, |_| calls.get() == 1);
    });
}
