//! The poller for Linux and Android. A wait costs time per ready source, not per registered one.

use std::cell::OnceCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use super::{EVENTS_PER_WAIT, Event, Interest, Poller, Readiness, Source, system};

/// A poller that uses epoll(7): one system call per wait, one more per change of interest.
///
/// epoll refuses regular files and directories with EPERM, which `add` returns; they never block,
/// and the caller must treat them as always ready.
pub(crate) struct Epoll {
    epoll: OwnedFd,
    /// Events from the kernel, up to the capacity, which never changes.
    ready: Vec<epoll::Event>,
    /// Closing a descriptor is assumed to end its registration, which holds unless a duplicate of
    /// it exists. The assumption saves one system call per connection.
    trusts_close: bool,
    /// Watches `epoll` for another event loop, which must not notice that it is renewed.
    outer: OnceCell<OwnedFd>,
}

impl Epoll {
    pub(super) fn new() -> io::Result<Epoll> {
        Epoll::with_capacity(EVENTS_PER_WAIT)
    }

    pub(super) fn with_capacity(events_per_wait: usize) -> io::Result<Epoll> {
        Ok(Epoll {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            ready: Vec::with_capacity(events_per_wait),
            trusts_close: true,
            outer: OnceCell::new(),
        })
    }

    fn watch_from(&self, outer: &OwnedFd) -> io::Result<()> {
        Ok(epoll::add(outer, &self.epoll, EventData::new_u64(0), EventFlags::IN)?)
    }

    /// Relies on the descriptor's close to end the registration, until that has failed once.
    pub(super) fn closing(&mut self, source: Source<'_>) -> io::Result<()> {
        if self.trusts_close { Ok(()) } else { self.delete(source) }
    }

    /// Drops every registration. From then on, [`closing`](Epoll::closing) deletes explicitly.
    pub(super) fn renew(&mut self) -> io::Result<()> {
        self.epoll = epoll::create(CreateFlags::CLOEXEC)?;
        self.trusts_close = false;
        match self.outer.get() {
            // The old one left it when it was closed.
            Some(outer) => self.watch_from(outer),
            None => Ok(()),
        }
    }
}

impl Poller for Epoll {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        if self.outer.get().is_none() {
            if let Ok(outer) = epoll::create(CreateFlags::CLOEXEC) {
                // Without a descriptor left, the other loop gets ours, which lasts until `renew`.
                if self.watch_from(&outer).is_ok() {
                    let _ = self.outer.set(outer);
                }
            }
        }
        Some(self.outer.get().unwrap_or(&self.epoll).as_fd())
    }

    fn add(&mut self, source: Source<'_>, key: u64, interest: Interest) -> io::Result<()> {
        let fd = source.descriptor()?;
        Ok(epoll::add(&self.epoll, fd, EventData::new_u64(key), flags(interest))?)
    }

    fn modify(&mut self, source: Source<'_>, key: u64, interest: Interest) -> io::Result<()> {
        let fd = source.descriptor()?;
        Ok(epoll::modify(&self.epoll, fd, EventData::new_u64(key), flags(interest))?)
    }

    fn delete(&mut self, source: Source<'_>) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, source.descriptor()?)?)
    }

    #[inline(always)]
    fn wait(&mut self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<()> {
        events.clear();
        self.ready.clear();
        let timeout = timeout.map(system::timespec);
        epoll::wait(&self.epoll, spare_capacity(&mut self.ready), timeout.as_ref())?;
        events.extend(
            self.ready
                .iter()
                .map(|ready| Event { key: ready.data.u64(), readiness: readiness(ready.flags) }),
        );
        Ok(())
    }
}

/// Converts to epoll's flags, without EPOLLRDHUP: the end of a stream is readable, and reading up
/// to it finds it.
fn flags(interest: Interest) -> EventFlags {
    let mut flags = EventFlags::empty();
    flags.set(EventFlags::IN, interest.contains(Interest::READ));
    flags.set(EventFlags::OUT, interest.contains(Interest::WRITE));
    flags.set(EventFlags::PRI, interest.contains(Interest::PRIORITY));
    flags
}

fn readiness(flags: EventFlags) -> Readiness {
    Readiness {
        readable: flags.contains(EventFlags::IN),
        writable: flags.contains(EventFlags::OUT),
        priority: flags.contains(EventFlags::PRI),
        hangup: flags.contains(EventFlags::HUP),
        error: flags.contains(EventFlags::ERR),
    }
}
