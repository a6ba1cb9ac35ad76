//! The poller for every Unix, without a limit on descriptors. A wait costs time per registered
//! source.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

use super::{Event, Interest, Poller, Readiness, Source, system};

/// A poller that uses poll(2) on a dense array, kept between waits.
///
/// One wait reports every ready source. Regular files are accepted, and are always ready.
#[derive(Default)]
pub(super) struct Poll {
    fds: Vec<PollFd<'static>>,
    /// The key of each element of `fds`.
    keys: Vec<u64>,
    /// The index in `fds` of each descriptor.
    slots: HashMap<RawFd, usize>,
    /// Start of the next search for ready sources: past the first one of the last search, so that
    /// no source always comes first.
    start: usize,
}

impl Poll {
    fn slot(&self, fd: BorrowedFd<'_>) -> io::Result<usize> {
        let slot = self.slots.get(&fd.as_raw_fd());
        slot.copied().ok_or_else(|| system::not_registered(fd))
    }
}

impl Poller for Poll {
    fn add(&mut self, source: Source<'_>, key: u64, interest: Interest) -> io::Result<()> {
        let fd = source.descriptor()?;
        if self.slots.contains_key(&fd.as_raw_fd()) {
            return Err(system::already_registered(fd));
        }
        self.slots.insert(fd.as_raw_fd(), self.fds.len());
        self.fds.push(poll_fd(fd, interest));
        self.keys.push(key);
        Ok(())
    }

    fn modify(&mut self, source: Source<'_>, key: u64, interest: Interest) -> io::Result<()> {
        let fd = source.descriptor()?;
        let slot = self.slot(fd)?;
        self.fds[slot] = poll_fd(fd, interest);
        self.keys[slot] = key;
        Ok(())
    }

    fn delete(&mut self, source: Source<'_>) -> io::Result<()> {
        let fd = source.descriptor()?;
        let slot = self.slot(fd)?;
        self.slots.remove(&fd.as_raw_fd());
        self.fds.swap_remove(slot);
        self.keys.swap_remove(slot);
        if let Some(moved) = self.fds.get(slot) {
            self.slots.insert(moved.as_fd().as_raw_fd(), slot);
        }
        Ok(())
    }

    fn wait(&mut self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<()> {
        events.clear();
        let timeout = timeout.map(system::timespec);
        let count = poll(&mut self.fds, timeout.as_ref())?;
        if count == 0 {
            return Ok(());
        }
        let start = self.start.min(self.fds.len());
        for slot in (start..self.fds.len()).chain(0..start) {
            let revents = self.fds[slot].revents();
            if revents.is_empty() {
                continue;
            }
            if events.is_empty() {
                self.start = slot + 1;
            }
            events.push(Event { key: self.keys[slot], readiness: readiness(revents) });
            if events.len() == count {
                break;
            }
        }
        Ok(())
    }
}

fn poll_fd(fd: BorrowedFd<'_>, interest: Interest) -> PollFd<'static> {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::IN, interest.contains(Interest::READ));
    flags.set(PollFlags::OUT, interest.contains(Interest::WRITE));
    flags.set(PollFlags::PRI, interest.contains(Interest::PRIORITY));
    PollFd::from_borrowed_fd(system::registered(fd), flags)
}

/// Converts from poll's flags. POLLNVAL, a closed descriptor, counts as an error: if it were
/// ignored, every wait would end at once without an event.
fn readiness(revents: PollFlags) -> Readiness {
    Readiness {
        readable: revents.contains(PollFlags::IN),
        writable: revents.contains(PollFlags::OUT),
        priority: revents.contains(PollFlags::PRI),
        hangup: revents.contains(PollFlags::HUP),
        error: revents.intersects(PollFlags::ERR.union(PollFlags::NVAL)),
    }
}
