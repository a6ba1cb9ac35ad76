//! Triggers: waking the loop and running closures on it from other threads.

use std::io;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use asyncore::sim::Network;
use asyncore::{EventLoop, ExitNow, PollerKind, SocketMap, Trigger, TriggerError};

fn map_on(kind: PollerKind) -> EventLoop {
    SocketMap::builder().poller(kind).build().unwrap()
}

#[test]
fn a_closure_from_another_thread_runs_on_the_loop_thread() {
    for kind in PollerKind::ALL {
        let mut map = map_on(*kind);
        let trigger = map.trigger().unwrap();
        let loops_own = thread::current().id();
        let (answer, answered) = channel();
        let other = thread::spawn(move || {
            trigger.pull_trigger(move |_| {
                answer.send(thread::current().id()).unwrap();
                Ok(())
            })
        });
        map.run().unwrap();
        other.join().unwrap().unwrap();
        assert_eq!(answered.recv().unwrap(), loops_own, "{kind}");
    }
}

#[test]
fn run_returns_once_the_last_trigger_is_dropped() {
    for kind in PollerKind::ALL {
        let mut map = map_on(*kind);
        let triggers: Vec<Trigger> = (0..4).map(|_| map.trigger().unwrap()).collect();
        let dropped = triggers.clone();
        drop(triggers);
        let (ready, go) = channel::<()>();
        let other = thread::spawn(move || {
            go.recv().unwrap();
            drop(dropped);
        });
        // Wait until the loop reports that it runs, so that the drop ends it.
        map.call_later(Duration::ZERO, move |_| {
            ready.send(()).unwrap();
            Ok(())
        });
        map.run().unwrap();
        other.join().unwrap();
    }
}

#[test]
fn closures_pulled_before_the_drop_still_run() {
    for kind in PollerKind::ALL {
        let mut map = map_on(*kind);
        let trigger = map.trigger().unwrap();
        let (note, noted) = channel();
        trigger
            .pull_trigger(move |_| {
                note.send("ran").unwrap();
                Ok(())
            })
            .unwrap();
        drop(trigger);
        map.run().unwrap();
        assert_eq!(noted.try_recv(), Ok("ran"), "{kind}");
    }
}

#[test]
fn closures_run_in_the_order_they_were_pulled() {
    for kind in PollerKind::ALL {
        let mut map = map_on(*kind);
        let (note, noted) = channel();
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let (trigger, note) = (map.trigger().unwrap(), note.clone());
                thread::spawn(move || {
                    for number in 0..500 {
                        let note = note.clone();
                        let mut pulled = trigger.pull_trigger(move |_| {
                            note.send((thread, number)).unwrap();
                            Ok(())
                        });
                        while let Err(full @ TriggerError::Full(_)) = pulled {
                            thread::yield_now();
                            pulled = trigger.pull_trigger(full.into_call());
                        }
                        pulled.unwrap();
                    }
                })
            })
            .collect();
        drop(note);
        map.run().unwrap();
        for thread in threads {
            thread.join().unwrap();
        }
        let calls: Vec<(i32, i32)> = noted.iter().collect();
        assert_eq!(calls.len(), 2000, "{kind}");
        for thread in 0..4 {
            let own = calls.iter().filter(|(by, _)| *by == thread).map(|(_, number)| *number);
            assert!(own.eq(0..500), "{kind}: the calls of thread {thread} are out of order");
        }
    }
}

#[test]
fn a_full_queue_is_an_error_until_it_has_room() {
    let mut map = SocketMap::new().unwrap();
    let trigger = map.trigger().unwrap();
    for _ in 0..1024 {
        trigger.pull_trigger(|_| Ok(())).unwrap();
    }
    let (note, noted) = channel();
    let refused = trigger.pull_trigger(move |_| {
        note.send(()).unwrap();
        Ok(())
    });
    let refused = refused.unwrap_err();
    assert!(matches!(refused, TriggerError::Full(_)));
    assert_eq!(refused.to_string(), "1024 calls are already queued for the loop; retry later");
    map.poll(None).unwrap();
    // The error returns the closure, so nothing that it owns is lost.
    trigger.pull_trigger(refused.into_call()).unwrap();
    map.poll(None).unwrap();
    assert_eq!(noted.try_recv(), Ok(()));
}

#[test]
fn pulling_the_trigger_of_a_dropped_map_is_an_error() {
    let mut map = SocketMap::new().unwrap();
    let trigger = map.trigger().unwrap();
    drop(map);
    let refused = trigger.pull_trigger(|_| Ok(()));
    assert!(matches!(refused, Err(TriggerError::Closed(_))));
    assert_eq!(refused.unwrap_err().to_string(), "the socket map of this trigger was dropped");
}

#[test]
fn a_failing_or_panicking_closure_is_logged() {
    let mut map = SocketMap::new().unwrap();
    let trigger = map.trigger().unwrap();
    let (note, noted) = channel();
    trigger.pull_trigger(|_| Err(io::Error::other("no").into())).unwrap();
    trigger.pull_trigger(|_| panic!("never mind")).unwrap();
    trigger
        .pull_trigger(move |_| {
            note.send(()).unwrap();
            Ok(())
        })
        .unwrap();
    drop(trigger);
    map.run().unwrap();
    assert_eq!(noted.try_recv(), Ok(()));
    assert_eq!(map.stats().errors, 2);
}

#[test]
fn exit_now_leaves_the_loop_despite_a_trigger() {
    for kind in PollerKind::ALL {
        let mut map = map_on(*kind);
        let trigger = map.trigger().unwrap();
        trigger.pull_trigger(|_| Err(ExitNow.into())).unwrap();
        map.run().unwrap();
        assert!(trigger.pull_trigger(|_| Ok(())).is_ok(), "{kind}");
    }
}

#[test]
fn a_closure_gets_the_map_and_can_change_it() {
    let mut map = SocketMap::new().unwrap();
    let trigger = map.trigger().unwrap();
    let (note, noted) = channel();
    trigger
        .pull_trigger(move |map| {
            map.call_later(Duration::ZERO, move |_| {
                note.send("later").unwrap();
                Ok(())
            });
            Ok(())
        })
        .unwrap();
    drop(trigger);
    map.run().unwrap();
    assert_eq!(noted.try_recv(), Ok("later"));
}

#[test]
fn on_a_simulated_network_every_pass_checks_triggers() {
    let net = Network::new(1);
    let mut map = SocketMap::simulated(&net);
    let trigger = map.trigger().unwrap();
    let (note, noted) = channel();
    thread::spawn(move || {
        trigger.pull_trigger(move |_| {
            note.send(()).unwrap();
            Ok(())
        })
    })
    .join()
    .unwrap()
    .unwrap();
    map.run().unwrap();
    assert_eq!(noted.try_recv(), Ok(()));
}

#[test]
fn a_refused_pull_is_an_error_of_a_callback_by_the_question_mark() {
    fn pull(trigger: &Trigger) -> asyncore::Result {
        trigger.pull_trigger(|_| Ok(()))?;
        Ok(())
    }
    let mut map = SocketMap::new().unwrap();
    let trigger = map.trigger().unwrap();
    drop(map);
    let error = pull(&trigger).unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(TriggerError::Closed(_))));
}
