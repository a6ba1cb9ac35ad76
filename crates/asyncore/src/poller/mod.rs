//! Readiness of sockets, from the operating system, behind one small trait.
//!
//! A poller knows neither channels nor handlers: it maps a [`Source`] to a `u64` key that the
//! caller chose, and returns that key with the readiness. Readiness is level-triggered in every
//! poller: the next [`Poller::wait`] reports again a source that was not drained.

mod any;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod epoll;
mod kind;
mod poll;
#[cfg(feature = "portable")]
mod portable;
mod select;
mod system;
#[cfg(test)]
mod tests;

use std::io;
use std::ops::BitOr;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

pub(crate) use self::any::AnyPoller;
pub use self::kind::{ParsePollerKindError, PollerKind};
pub(crate) use self::system::is_readable;

/// An event source: a descriptor of this process, or an endpoint of a simulated network.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    Fd(BorrowedFd<'a>),
    Simulated(usize),
}

/// The kinds of readiness that a registration requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest(u8);

impl Interest {
    pub(crate) const NONE: Interest = Interest(0);
    pub(crate) const READ: Interest = Interest(1);
    pub(crate) const WRITE: Interest = Interest(2);
    /// Out-of-band data; off unless a channel requests it, since an unread urgent byte stays ready.
    pub(crate) const PRIORITY: Interest = Interest(4);
    pub(crate) const ALL: Interest = Interest(7);

    pub(crate) fn contains(self, other: Interest) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the intersection with `other`.
    pub(crate) fn and(self, other: Interest) -> Interest {
        Interest(self.0 & other.0)
    }

    /// Returns the difference from `other`.
    pub(crate) fn without(self, other: Interest) -> Interest {
        Interest(self.0 & !other.0)
    }
}

impl BitOr for Interest {
    type Output = Interest;

    fn bitor(self, other: Interest) -> Interest {
        Interest(self.0 | other.0)
    }
}

/// The readiness of a source.
///
/// `hangup` and `error` are reported regardless of interest, together with the others or alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Readiness {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) priority: bool,
    pub(crate) hangup: bool,
    pub(crate) error: bool,
}

impl Readiness {
    pub(crate) const READABLE: Readiness =
        Readiness { readable: true, writable: false, priority: false, hangup: false, error: false };
}

/// A report that one source is ready, with the key that the source was added with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) key: u64,
    pub(crate) readiness: Readiness,
}

/// Maximum number of events in one wait, for pollers that have a bound. The kernel moves a reported
/// source to the end of its queue, so the next wait reports the remaining ready sources first.
pub(crate) const EVENTS_PER_WAIT: usize = 1024;

/// A set of registered sources and a way to wait until one is ready.
///
/// Contract: the caller deletes a source (or calls [`AnyPoller::closing`]) before it closes the
/// descriptor. A source with an empty interest is watched only for its end: pollers that
/// [report ends](AnyPoller::reports_ends) report `hangup` and `error` for it in every wait, so the
/// caller deletes it once it has seen them.
pub(crate) trait Poller {
    /// Registers `source`; its events carry `key`.
    fn add(&mut self, source: Source<'_>, key: u64, interest: Interest) -> io::Result<()>;

    /// Replaces the key and the interest of a registered source.
    fn modify(&mut self, source: Source<'_>, key: u64, interest: Interest) -> io::Result<()>;

    /// Stops watching `source`.
    fn delete(&mut self, source: Source<'_>) -> io::Result<()>;

    /// Replaces the contents of `events` with the ready sources, and waits up to `timeout` (forever
    /// if `None`) for the first; timeouts round up.
    ///
    /// A signal ends the wait with [`Interrupted`](io::ErrorKind::Interrupted), which does not mean
    /// that no source is ready.
    fn wait(&mut self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<()>;

    /// Returns `true` if this poller reports the hang-up and errors of a source with an empty
    /// interest.
    fn reports_ends(&self) -> bool {
        true
    }

    /// Returns a descriptor that is readable while a wait would report something, if this poller
    /// has one.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Returns the current time of the clock that [`wait`](Poller::wait) uses.
    fn now(&self) -> Instant {
        Instant::now()
    }
}
