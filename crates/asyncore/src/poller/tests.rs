//! The contract of every poller: each test runs on all pollers in the build unless it states an
//! exception.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux;
mod readiness;
mod registration;

#[cfg(any(target_os = "linux", target_os = "android"))]
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::system::timespec;
use super::{AnyPoller, Event, Interest, PollerKind, Readiness, Source};

const READ: Interest = Interest::READ;
const WRITE: Interest = Interest::WRITE;

/// Maximum wait for an event that must come, so that a failure does not hang.
pub(super) const EVENT_TIMEOUT: Duration = Duration::from_secs(60);

const READABLE: Readiness =
    Readiness { readable: true, writable: false, priority: false, hangup: false, error: false };

const WRITABLE: Readiness = Readiness { readable: false, writable: true, ..READABLE };

/// A poller under test, with helpers for repeated calls.
struct Subject {
    kind: PollerKind,
    poller: AnyPoller,
}

impl Subject {
    fn add(&mut self, fd: impl AsFd, key: u64, interest: Interest) {
        self.poller.add(Source::Fd(fd.as_fd()), key, interest).unwrap();
    }

    fn modify(&mut self, fd: impl AsFd, key: u64, interest: Interest) {
        self.poller.modify(Source::Fd(fd.as_fd()), key, interest).unwrap();
    }

    fn delete(&mut self, fd: impl AsFd) {
        self.poller.delete(Source::Fd(fd.as_fd())).unwrap();
    }

    fn wait(&mut self, timeout: Duration) -> Vec<Event> {
        let mut events = Vec::new();
        self.poller.wait(&mut events, Some(timeout)).unwrap();
        events
    }

    /// Returns the events that are ready at once.
    fn ready(&mut self) -> Vec<Event> {
        self.wait(Duration::ZERO)
    }

    /// Returns the sorted keys of the events that are ready at once.
    fn ready_keys(&mut self) -> Vec<u64> {
        let mut keys: Vec<_> = self.ready().iter().map(|event| event.key).collect();
        keys.sort_unstable();
        keys
    }
}

fn on_every_poller(test: impl Fn(&mut Subject)) {
    for &kind in PollerKind::ALL {
        println!("on {kind}");
        let poller = kind.open().unwrap();
        test(&mut Subject { kind, poller });
    }
}

fn event(key: u64, readiness: Readiness) -> Event {
    Event { key, readiness }
}

fn pair() -> (UnixStream, UnixStream) {
    let (a, b) = UnixStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    b.set_nonblocking(true).unwrap();
    (a, b)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    server.set_nonblocking(true).unwrap();
    (client, server)
}

#[test]
fn timeouts_round_up_and_are_capped_at_the_systems_limit() {
    let cases = [
        (Duration::ZERO, (0, 0)),
        (Duration::from_nanos(1), (0, 1)),
        (Duration::from_micros(300), (0, 1)),
        (Duration::from_millis(1), (0, 1)),
        (Duration::from_nanos(1_000_001), (0, 2)),
        (Duration::from_nanos(2_999_000_001), (3, 0)),
        (Duration::from_secs(60), (60, 0)),
        (Duration::from_millis(i32::MAX as u64), (2_147_483, 647)),
        (Duration::from_millis(i32::MAX as u64 + 1), (2_147_483, 647)),
        (Duration::MAX, (2_147_483, 647)),
    ];
    for (timeout, (secs, millis)) in cases {
        let converted = timespec(timeout);
        assert_eq!(converted.tv_sec, secs, "{timeout:?}");
        assert_eq!(converted.tv_nsec, millis * 1_000_000, "{timeout:?}");
    }
}

#[test]
fn every_poller_accepts_the_longest_timeout() {
    on_every_poller(|subject| {
        let (ours, _peer) = pair();
        subject.add(&ours, 7, WRITE);
        assert_eq!(subject.wait(Duration::MAX), [event(7, WRITABLE)]);
    });
}

#[test]
fn a_kind_is_parsed_from_its_name() {
    for &kind in PollerKind::ALL {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    assert_eq!(PollerKind::ALL[0], PollerKind::default());
}

#[test]
fn the_error_for_an_unknown_name_lists_the_available_names() {
    let error = "Epoll".parse::<PollerKind>().unwrap_err().to_string();
    assert!(error.starts_with("there is no poller named \"Epoll\""), "{error}");
    for kind in PollerKind::ALL {
        assert!(error.contains(&kind.to_string()), "{error}");
    }
}
