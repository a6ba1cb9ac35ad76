//! The poller of a map, of any kind.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

#[cfg(any(target_os = "linux", target_os = "android"))]
use super::epoll::Epoll;
use super::{Event, Interest, Poller, Source, system};

/// A poller of any kind.
///
/// epoll is not a trait object, so that the compiler can inline its system call into the loop: see
/// [`SocketMap::dispatch`](crate::SocketMap::dispatch) for the gain.
pub(crate) enum AnyPoller {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Epoll(Epoll),
    Other(Box<dyn Poller>),
}

impl AnyPoller {
    pub(crate) fn other(poller: impl Poller + 'static) -> Self {
        AnyPoller::Other(Box::new(poller))
    }

    fn get(&self) -> &dyn Poller {
        match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            AnyPoller::Epoll(epoll) => epoll,
            AnyPoller::Other(poller) => &**poller,
        }
    }

    fn get_mut(&mut self) -> &mut dyn Poller {
        match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            AnyPoller::Epoll(epoll) => epoll,
            AnyPoller::Other(poller) => &mut **poller,
        }
    }

    pub(crate) fn add(
        &mut self,
        source: Source<'_>,
        key: u64,
        interest: Interest,
    ) -> io::Result<()> {
        self.get_mut().add(source, key, interest)
    }

    pub(crate) fn modify(
        &mut self,
        source: Source<'_>,
        key: u64,
        interest: Interest,
    ) -> io::Result<()> {
        self.get_mut().modify(source, key, interest)
    }

    pub(crate) fn delete(&mut self, source: Source<'_>) -> io::Result<()> {
        self.get_mut().delete(source)
    }

    /// Stops watching `source`, whose descriptor is closed next and is believed to have no
    /// duplicate. If events for it continue, [`renew`](AnyPoller::renew) ends them.
    pub(crate) fn closing(&mut self, source: Source<'_>) {
        // Neither can fail for a registered source, and no recovery would be possible.
        let _ = match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            AnyPoller::Epoll(epoll) => epoll.closing(source),
            AnyPoller::Other(poller) => poller.delete(source),
        };
    }

    /// Drops every registration, including those of descriptors that were closed here but live on
    /// as duplicates. The caller must add its sources again. Returns `false`, and drops nothing,
    /// if this poller cannot have such registrations.
    pub(crate) fn renew(&mut self) -> io::Result<bool> {
        match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            AnyPoller::Epoll(epoll) => epoll.renew().map(|()| true),
            AnyPoller::Other(_) => Ok(false),
        }
    }

    #[inline(always)]
    pub(crate) fn wait(
        &mut self,
        events: &mut Vec<Event>,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            AnyPoller::Epoll(epoll) => epoll.wait(events, timeout),
            AnyPoller::Other(poller) => poller.wait(events, timeout),
        }
    }

    /// Returns `true` if this poller always reports a failed connection with `hangup` or `error`,
    /// so that a connecting socket reported without them is connected.
    pub(crate) fn reports_failed_connects(&self) -> bool {
        match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            AnyPoller::Epoll(_) => true,
            AnyPoller::Other(_) => false,
        }
    }

    /// Returns `true` if this poller reports the hang-up and errors of a source with an empty
    /// interest.
    pub(crate) fn reports_ends(&self) -> bool {
        self.get().reports_ends()
    }

    /// Returns a descriptor that is readable while a wait would report something.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        match self.get().descriptor() {
            Some(descriptor) => descriptor,
            None => system::always_readable(),
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.get().now()
    }
}
