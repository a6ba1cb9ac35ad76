//! Asking the operating system which sockets are ready, behind one small trait.
//!
//! A poller knows neither channels nor handlers: it maps a [`Source`] to a `u64` key that the
//! caller chose and hands that key back with what became ready. Readiness is level-triggered in
//! every poller: what is not consumed is reported again by the next [`Poller::wait`].

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

/// What can be registered: a descriptor of this process, or an endpoint of a simulated network.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    Fd(BorrowedFd<'a>),
    Simulated(usize),
}

/// The kinds of readiness that a registration asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest(u8);

impl Interest {
    pub(crate) const NONE: Interest = Interest(0);
    pub(crate) const READ: Interest = Interest(1);
    pub(crate) const WRITE: Interest = Interest(2);
    /// Out-of-band data; off unless a channel asks, since one unread urgent byte stays ready.
    pub(crate) const PRIORITY: Interest = Interest(4);
    pub(crate) const ALL: Interest = Interest(7);

    pub(crate) fn contains(self, other: Interest) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in both.
    pub(crate) fn and(self, other: Interest) -> Interest {
        Interest(self.0 & other.0)
    }

    /// What is in this and not in `other`.
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

/// What a source turned out to be ready for.
///
/// `hangup` and `error` come unasked, together with the others or alone.
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

/// One ready source, by the key it was added with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) key: u64,
    pub(crate) readiness: Readiness,
}

/// The most events that a poller with a bound reports in one wait. The kernel moves a reported
/// source to the end of its queue, so that further ready ones come first in the next wait.
pub(crate) const EVENTS_PER_WAIT: usize = 1024;

/// A set of registered sources and a way to wait until one is ready.
///
/// Contract: a source is deleted before its descriptor is closed (or [`AnyPoller::closing`] is
/// called). With an empty interest a source is watched for its end only: pollers that
/// [report ends](AnyPoller::reports_ends) report `hangup` and `error` for it in every wait, so the
/// caller deletes it once it has seen them.
pub(crate) trait Poller {
    /// Starts watching `source`; its events carry `key`.
    fn add(&mut self, source: Source<'_>, key: u64, interest: Interest) -> io::Result<()>;

    /// Replaces the interest of a source that was added.
    fn modify(&mut self, source: Source<'_>, key: u64, interest: Interest) -> io::Result<()>;

    /// Stops watching `source`.
    fn delete(&mut self, source: Source<'_>) -> io::Result<()>;

    /// Replaces the contents of `events` with what is ready, waiting up to `timeout` (for ever
    /// when `None`) for the first; timeouts round up.
    ///
    /// A signal ends the wait with [`Interrupted`](io::ErrorKind::Interrupted), which says nothing
    /// about what is ready.
    fn wait(&mut self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<()>;

    /// Whether a source with an empty interest has its hang-up and its errors reported.
    fn reports_ends(&self) -> bool {
        true
    }

    /// A descriptor that is readable while a wait would report something, if there is one.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// The present, on the clock that [`wait`](Poller::wait) runs on.
    fn now(&self) -> Instant {
        Instant::now()
    }
}
