//! Delayed calls and idle timeouts, in virtual time and on every poller of this build.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use asyncore::sim::{Network, Peer};
use asyncore::{
    Channel, Dispatcher, Domain, EventLoop, ExitNow, PollerKind, Result, SocketMap, Timer, Type,
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// The calls in order, with their times.
type Calls = Rc<RefCell<Vec<(&'static str, Instant)>>>;

fn simulated() -> (Network, EventLoop) {
    let net = Network::new(1);
    let map = SocketMap::simulated(&net);
    (net, map)
}

fn note(calls: &Calls, name: &'static str) -> impl Fn(&mut SocketMap) -> Result + 'static {
    let calls = Rc::clone(calls);
    move |map: &mut SocketMap| {
        calls.borrow_mut().push((name, map.now()));
        Ok(())
    }
}

fn names(calls: &Calls) -> Vec<&'static str> {
    calls.borrow().iter().map(|(name, _)| *name).collect()
}

#[test]
fn calls_run_in_the_order_of_their_times() {
    let (net, mut map) = simulated();
    let calls = Calls::default();
    map.call_later(3 * HOUR, note(&calls, "third"));
    map.call_later(HOUR, note(&calls, "first"));
    map.call_later(2 * HOUR, note(&calls, "second"));
    map.run().unwrap();
    assert_eq!(names(&calls), ["first", "second", "third"]);
    assert_eq!(net.elapsed(), 3 * HOUR);
    assert_eq!(map.stats().timers, 3);
}

#[test]
fn calls_for_the_same_instant_run_in_creation_order() {
    let (_net, mut map) = simulated();
    let calls = Calls::default();
    for name in ["one", "two", "three"] {
        map.call_later(HOUR, note(&calls, name));
    }
    map.run().unwrap();
    assert_eq!(names(&calls), ["one", "two", "three"]);
}

#[test]
fn a_call_is_exact_on_a_virtual_clock() {
    let (net, mut map) = simulated();
    let start = map.now();
    map.call_later(Duration::from_nanos(1_234_567), move |map| {
        assert_eq!(map.now() - start, Duration::from_nanos(1_234_567));
        Ok(())
    });
    map.run().unwrap();
    assert_eq!((net.now() - start, map.stats().errors), (Duration::from_nanos(1_234_567), 0));
}

#[test]
fn a_call_is_never_early_on_any_poller() {
    for kind in PollerKind::ALL {
        let mut map = SocketMap::builder().poller(*kind).build().unwrap();
        let (start, delay) = (map.now(), Duration::from_micros(2_345));
        map.call_later(delay, move |map| {
            assert!(map.now() - start >= delay, "called early");
            Ok(())
        });
        map.run().unwrap();
        let stats = map.stats();
        assert_eq!((stats.timers, stats.errors), (1, 0), "{kind}");
        assert!(stats.passes <= 2, "{kind} woke {} times for one timer", stats.passes);
    }
}

#[test]
fn a_repeated_call_runs_until_it_is_cancelled() {
    let (net, mut map) = simulated();
    let (start, calls) = (map.now(), Calls::default());
    let ticking = map.call_every(HOUR, note(&calls, "tick"));
    map.call_later(4 * HOUR + HOUR / 2, move |map| {
        assert!(map.cancel(ticking));
        assert!(!map.cancel(ticking));
        Ok(())
    });
    map.run().unwrap();
    let times: Vec<_> = calls.borrow().iter().map(|(_, at)| at.duration_since(start)).collect();
    assert_eq!(times, [HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR]);
    assert_eq!(net.elapsed(), 4 * HOUR + HOUR / 2);
}

#[test]
fn a_call_can_cancel_itself_and_another_due_call() {
    let (_net, mut map) = simulated();
    let calls = Calls::default();
    let own: Rc<RefCell<Option<Timer>>> = Rc::default();
    let (mine, count) = (Rc::clone(&own), Rc::clone(&calls));
    let other: Rc<RefCell<Option<Timer>>> = Rc::default();
    let its = Rc::clone(&other);
    *own.borrow_mut() = Some(map.call_every(HOUR, move |map| {
        count.borrow_mut().push(("itself", map.now()));
        assert!(map.cancel(mine.borrow().unwrap()));
        assert!(map.cancel(its.borrow().unwrap()));
        Ok(())
    }));
    *other.borrow_mut() = Some(map.call_later(HOUR, note(&calls, "other")));
    map.run().unwrap();
    assert_eq!(names(&calls), ["itself"]);
    assert_eq!(map.stats().errors, 0);
}

#[test]
fn reset_postpones_a_call_from_now() {
    let (net, mut map) = simulated();
    let calls = Calls::default();
    let later = map.call_later(HOUR, note(&calls, "put off"));
    let sooner = map.call_later(10 * HOUR, note(&calls, "brought forward"));
    map.call_later(HOUR / 2, move |map| {
        assert!(map.reset(later, 2 * HOUR) && map.reset(sooner, HOUR));
        Ok(())
    });
    map.run().unwrap();
    assert_eq!(names(&calls), ["brought forward", "put off"]);
    assert_eq!(net.elapsed(), HOUR / 2 + 2 * HOUR);
    assert!(!map.reset(later, HOUR) && !map.cancel(later), "it has been made already");
}

#[test]
fn a_failing_or_panicking_call_is_logged() {
    let (_net, mut map) = simulated();
    let calls = Calls::default();
    map.call_later(HOUR, |_| Err(io::Error::other("the disk is full").into()));
    map.call_later(HOUR, |_| panic!("out of order"));
    map.call_later(2 * HOUR, note(&calls, "next"));
    map.run().unwrap();
    assert_eq!(names(&calls), ["next"]);
    assert_eq!(map.stats().errors, 2);
}

#[test]
fn exit_now_keeps_pending_calls() {
    let (_net, mut map) = simulated();
    let calls = Calls::default();
    map.call_later(HOUR, |_| Err(ExitNow.into()));
    map.call_later(2 * HOUR, note(&calls, "next"));
    map.run().unwrap();
    assert_eq!(names(&calls), [""; 0]);
    map.run().unwrap();
    assert_eq!(names(&calls), ["next"]);
}

#[test]
fn a_call_rescheduled_without_delay_does_not_starve_others() {
    fn again(map: &mut SocketMap) -> Result {
        map.call_later(Duration::ZERO, again);
        Ok(())
    }
    let (net, mut map) = simulated();
    map.call_later(Duration::ZERO, again);
    map.call_every(Duration::ZERO, |_| Ok(()));
    map.call_later(Duration::from_millis(5), |_| Err(ExitNow.into()));
    map.run().unwrap();
    // Each simulated pass takes 1 µs.
    let late = net.elapsed() - Duration::from_millis(5);
    assert!(late < Duration::from_micros(1), "{late:?}");
}

#[test]
fn a_delay_beyond_the_clock_does_not_panic() {
    let (_net, mut map) = simulated();
    let never = map.call_later(Duration::MAX, |_| Ok(()));
    assert!(map.reset(never, Duration::MAX) && map.cancel(never));
    map.run().unwrap();
}

type Silences = Rc<RefCell<Vec<Instant>>>;

/// Records each idle timeout; closes after the third.
struct Patient {
    silences: Silences,
}

impl Dispatcher for Patient {
    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        ch.recv(&mut [0; 64])?;
        Ok(())
    }

    fn handle_timeout(&mut self, ch: &mut Channel<'_>) -> Result {
        self.silences.borrow_mut().push(ch.now());
        if self.silences.borrow().len() == 3 {
            ch.close();
        }
        Ok(())
    }
}

/// Adds a channel with an idle timeout of one hour; returns its peer.
fn add_silent<T: Dispatcher>(net: &Network, map: &mut EventLoop, handler: T) -> Peer {
    let listener = net.listen("127.0.0.1:7".parse().unwrap()).unwrap();
    let connecting = map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.connect(listener.local_addr())?;
        Ok(handler)
    });
    let token = connecting.unwrap();
    while map.channel(token).unwrap().is_connecting() {
        let _ = map.poll(None).unwrap();
    }
    map.channel(token).unwrap().set_timeout(HOUR);
    listener.accept().unwrap()
}

#[test]
fn handle_timeout_repeats_until_the_channel_closes() {
    let (net, mut map) = simulated();
    let silences = Silences::default();
    let shared = Rc::clone(&silences);
    let _peer = add_silent(&net, &mut map, Patient { silences: shared });
    let start = map.now();
    map.run().unwrap();
    let times: Vec<_> = silences.borrow().iter().map(|at| at.duration_since(start)).collect();
    assert_eq!(times, [HOUR, 2 * HOUR, 3 * HOUR]);
}

#[test]
fn every_byte_restarts_the_idle_timeout() {
    let (net, mut map) = simulated();
    let silences = Silences::default();
    let shared = Rc::clone(&silences);
    let peer = add_silent(&net, &mut map, Patient { silences: shared });
    let (speaker, sent) = (Rc::new(peer), map.now() + HOUR / 2);
    let peer = Rc::clone(&speaker);
    map.call_later(HOUR / 2, move |_| {
        speaker.send(b"x");
        Ok(())
    });
    map.run().unwrap();
    assert!(!peer.was_reset());
    let first = silences.borrow()[0].duration_since(sent);
    assert!(first >= HOUR && first < HOUR + SECOND, "{first:?} after the byte");
}

#[test]
fn by_default_an_idle_timeout_closes_the_channel() {
    struct Silent;
    impl Dispatcher for Silent {}
    let (net, mut map) = simulated();
    let peer = add_silent(&net, &mut map, Silent);
    let start = map.now();
    map.run().unwrap();
    assert_eq!(map.now() - start, HOUR);
    while net.step() {}
    assert!(peer.saw_eof());
}

#[test]
fn a_removed_timeout_does_not_fire() {
    struct Forgiving;
    impl Dispatcher for Forgiving {
        fn handle_timeout(&mut self, ch: &mut Channel<'_>) -> Result {
            ch.set_timeout(None);
            ch.call_later(HOUR, |map| {
                map.close_all();
                Ok(())
            });
            Ok(())
        }
    }
    let (net, mut map) = simulated();
    let _peer = add_silent(&net, &mut map, Forgiving);
    map.run().unwrap();
    assert_eq!(map.stats().timers, 2, "one silence, and the end");
}

#[test]
fn connect_and_idle_timeouts_are_separate() {
    let (net, mut map) = simulated();
    let calls = Calls::default();
    struct Dialler(Calls);
    impl Dispatcher for Dialler {
        fn handle_timeout(&mut self, ch: &mut Channel<'_>) -> Result {
            self.0.borrow_mut().push(("silent", ch.now()));
            Ok(())
        }
        fn handle_error(&mut self, ch: &mut Channel<'_>, _: asyncore::Error) {
            self.0.borrow_mut().push(("failed", ch.now()));
            ch.close();
        }
    }
    net.blackhole(([192, 0, 2, 1], 80).into());
    map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.set_timeout(2 * SECOND);
        ch.set_connect_timeout(5 * SECOND);
        ch.connect(([192, 0, 2, 1], 80))?;
        io::Result::Ok(Dialler(Rc::clone(&calls)))
    })
    .unwrap();
    let start = map.now();
    map.run().unwrap();
    let times: Vec<_> = calls.borrow().iter().map(|(name, at)| (*name, *at - start)).collect();
    assert_eq!(times, [("silent", 2 * SECOND), ("silent", 4 * SECOND), ("failed", 5 * SECOND)]);
}

#[test]
fn an_idle_timeout_set_while_connecting_starts_at_the_connection() {
    let (net, mut map) = simulated();
    let silences = Silences::default();
    let listener = net.listen(([192, 0, 2, 1], 80).into()).unwrap();
    map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.set_timeout(HOUR);
        ch.connect(([192, 0, 2, 1], 80))?;
        io::Result::Ok(Patient { silences: Rc::clone(&silences) })
    })
    .unwrap();
    while net.step() {}
    net.advance(HOUR / 2);
    let connected = map.now();
    map.run().unwrap();
    assert!(listener.accept().is_some());
    let first = silences.borrow()[0] - connected;
    assert!(first >= HOUR && first < HOUR + SECOND, "{first:?}");
}
