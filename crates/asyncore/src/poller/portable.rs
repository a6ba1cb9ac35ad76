//! The poller for systems with their own scalable system call, through the crate `polling`.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use polling::{Events, PollMode};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Event, Interest, Poller, Readiness, Source, system};

/// A poller that uses kqueue(2) on macOS and the BSDs, epoll(7) on Linux.
///
/// A wait reports up to 1024 ready sources; the next waits report the others in turn. kqueue
/// cannot report a hang-up, an error or out-of-band data. If the system refuses a regular file,
/// `add` returns the system's error. An urgent byte without interest in it ends up to two waits
/// early, without events.
pub(super) struct Portable {
    poller: polling::Poller,
    ready: Events,
    registered: HashMap<RawFd, Registration>,
}

struct Registration {
    fd: BorrowedFd<'static>,
    key: u64,
    interest: Interest,
    mode: PollMode,
}

impl Portable {
    pub(super) fn new() -> io::Result<Portable> {
        Ok(Portable {
            poller: polling::Poller::new()?,
            ready: Events::new(),
            registered: HashMap::new(),
        })
    }
}

impl Poller for Portable {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.poller.as_fd())
    }

    fn add(&mut self, source: Source<'_>, key: u64, interest: Interest) -> io::Result<()> {
        let fd = source.descriptor()?;
        if self.registered.contains_key(&fd.as_raw_fd()) {
            return Err(system::already_registered(fd));
        }
        // SAFETY: by `Poller`'s contract, the caller deletes a source before it closes the
        // descriptor.
        #[allow(unsafe_code)]
        let added = unsafe { self.poller.add_with_mode(&fd, watch(fd, interest), PollMode::Level) };
        if let Err(error) = added {
            // With kqueue, a refused descriptor still counts as added.
            let _ = self.poller.delete(fd);
            return Err(error);
        }
        let registration =
            Registration { fd: system::registered(fd), key, interest, mode: PollMode::Level };
        self.registered.insert(fd.as_raw_fd(), registration);
        Ok(())
    }

    fn modify(&mut self, source: Source<'_>, key: u64, interest: Interest) -> io::Result<()> {
        let fd = source.descriptor()?;
        let registration = self.registered.get_mut(&fd.as_raw_fd());
        let registration = registration.ok_or_else(|| system::not_registered(fd))?;
        self.poller.modify_with_mode(fd, watch(fd, interest), PollMode::Level)?;
        registration.key = key;
        registration.interest = interest;
        registration.mode = PollMode::Level;
        Ok(())
    }

    fn delete(&mut self, source: Source<'_>) -> io::Result<()> {
        let fd = source.descriptor()?;
        if self.registered.remove(&fd.as_raw_fd()).is_none() {
            return Err(system::not_registered(fd));
        }
        self.poller.delete(fd)
    }

    fn wait(&mut self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<()> {
        events.clear();
        self.ready.clear();
        // The crate resumes waiting after a signal, which the contract forbids. So poll(2) waits on
        // the crate's own descriptor, and the crate only collects the events.
        let timeout = timeout.map(system::timespec);
        let mut own = [PollFd::new(&self.poller, PollFlags::IN)];
        if poll(&mut own, timeout.as_ref())? == 0 {
            return Ok(());
        }
        self.poller.wait(&mut self.ready, Some(Duration::ZERO))?;
        for ready in self.ready.iter() {
            let Some(registration) = self.registered.get_mut(&(ready.key as RawFd)) else {
                continue;
            };
            let readiness = registration.readiness(&ready)?;
            if readiness == Readiness::default() {
                registration.switch(&self.poller, PollMode::Edge)?;
                continue;
            }
            registration.switch(&self.poller, PollMode::Level)?;
            events.push(Event { key: registration.key, readiness });
        }
        Ok(())
    }

    /// Returns `false` for kqueue, which reports nothing without a filter.
    fn reports_ends(&self) -> bool {
        cfg!(any(target_os = "linux", target_os = "android"))
    }
}

impl Registration {
    /// Restricts the crate's event to the registered interest.
    fn readiness(&self, ready: &polling::Event) -> io::Result<Readiness> {
        let mut readable = ready.readable && self.interest.contains(Interest::READ);
        if readable && ready.is_priority() {
            // The crate reports a source as readable even if it has only urgent data.
            let mut own = [PollFd::new(&self.fd, PollFlags::IN)];
            readable = poll(&mut own, Some(&Timespec::default()))? > 0;
        }
        Ok(Readiness {
            readable,
            writable: ready.writable && self.interest.contains(Interest::WRITE),
            priority: ready.is_priority() && self.interest.contains(Interest::PRIORITY),
            hangup: ready.is_interrupt(),
            error: ready.is_err().unwrap_or(false),
        })
    }

    /// Sets the trigger mode: edge while only urgent data without interest in it is ready, else
    /// level. The crate cannot ignore urgent data, which would end every level-triggered wait at
    /// once. The next arrival is an edge, and returns the source to level mode.
    fn switch(&mut self, poller: &polling::Poller, mode: PollMode) -> io::Result<()> {
        if self.mode != mode {
            poller.modify_with_mode(self.fd, watch(self.fd, self.interest), mode)?;
            self.mode = mode;
        }
        Ok(())
    }
}

/// Converts to the crate's event. Its key is the descriptor, since the crate's keys are no wider
/// than a pointer and exclude one value.
fn watch(fd: BorrowedFd<'_>, interest: Interest) -> polling::Event {
    let mut watch = polling::Event::new(
        fd.as_raw_fd() as usize,
        interest.contains(Interest::READ),
        interest.contains(Interest::WRITE),
    );
    watch.set_priority(interest.contains(Interest::PRIORITY));
    watch
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use std::os::fd::AsFd;

    use socket2::SockRef;

    use super::*;
    use crate::poller::tests::{EVENT_TIMEOUT, tcp_pair};

    #[test]
    fn an_urgent_byte_without_interest_does_not_end_every_wait() {
        let (client, server) = tcp_pair();
        let source = Source::Fd(server.as_fd());
        let mut portable = Portable::new().unwrap();
        let mut events = Vec::new();
        portable.add(source, 7, Interest::PRIORITY).unwrap();
        SockRef::from(&client).send_out_of_band(b"!").unwrap();
        portable.wait(&mut events, Some(EVENT_TIMEOUT)).unwrap();
        assert_eq!(events.len(), 1);

        // Twice, since a change of interest makes the source level-triggered again.
        for _ in 0..2 {
            portable.modify(source, 7, Interest::READ).unwrap();
            for _ in 0..2 {
                portable.wait(&mut events, Some(EVENT_TIMEOUT)).unwrap();
                assert_eq!(events, []);
            }
            let mut own = [PollFd::new(&portable.poller, PollFlags::IN)];
            assert_eq!(poll(&mut own, Some(&Timespec::default())), Ok(0));
        }
    }
}
