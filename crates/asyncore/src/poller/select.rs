//! The oldest poller, for descriptors below 1024. The cost of a wait grows with the highest
//! registered descriptor.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use rustix::event::{
    FdSetElement, FdSetIter, fd_set_bound, fd_set_insert, fd_set_num_elements, fd_set_remove,
    select,
};

use super::{Event, Interest, Poller, Readiness, Source, system};

/// The number of descriptors in an `fd_set` on every system that has this poller.
const FD_SETSIZE: usize = 1024;

/// A poller that uses select(2), which returns three sets.
///
/// One wait reports every ready source. The sets cannot represent a hang-up or an error: both show
/// as readable, and an error also as writable, if the interest includes that. Regular files are
/// accepted, and are always ready.
pub(super) struct Select {
    /// The key of each registered descriptor, by its number.
    keys: Box<[Option<u64>]>,
    registered: Sets,
    /// The system's result, overwritten in every wait.
    result: Sets,
    /// The readiness of each descriptor in the result, empty between waits.
    readiness: Box<[Readiness]>,
    /// Start of the next search for ready sources: past the first one of the last search, so that
    /// low descriptors do not always come first.
    start: usize,
}

/// One `fd_set` for each kind of readiness.
#[derive(Clone)]
struct Sets {
    read: Box<[FdSetElement]>,
    write: Box<[FdSetElement]>,
    except: Box<[FdSetElement]>,
}

impl Select {
    pub(super) fn new() -> Select {
        let empty =
            vec![FdSetElement::default(); fd_set_num_elements(FD_SETSIZE, FD_SETSIZE as RawFd)];
        let sets =
            Sets { read: empty.clone().into(), write: empty.clone().into(), except: empty.into() };
        Select {
            keys: vec![None; FD_SETSIZE].into(),
            registered: sets.clone(),
            result: sets,
            readiness: vec![Readiness::default(); FD_SETSIZE].into(),
            start: 0,
        }
    }

    /// Returns the key of `fd` if it is registered, or an error if it does not fit into a set.
    fn key(&mut self, fd: BorrowedFd<'_>) -> io::Result<&mut Option<u64>> {
        let number = fd.as_raw_fd();
        self.keys.get_mut(number as usize).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "descriptor {number} is beyond select's limit of {FD_SETSIZE}; \
                     choose the {} poller",
                    if cfg!(any(target_os = "linux", target_os = "android")) {
                        "poll or epoll"
                    } else {
                        "poll"
                    }
                ),
            )
        })
    }

    /// Turns the readiness of the descriptors below `bound` into events.
    fn report(&mut self, events: &mut Vec<Event>, bound: usize) {
        let start = self.start.min(bound);
        for fd in (start..bound).chain(0..start) {
            let readiness = mem::take(&mut self.readiness[fd]);
            let Some(key) = self.keys[fd] else { continue };
            if readiness == Readiness::default() {
                continue;
            }
            if events.is_empty() {
                self.start = fd + 1;
            }
            events.push(Event { key, readiness });
        }
    }
}

impl Sets {
    fn set(&mut self, fd: RawFd, interest: Interest) {
        for (set, kind) in [
            (&mut self.read, Interest::READ),
            (&mut self.write, Interest::WRITE),
            (&mut self.except, Interest::PRIORITY),
        ] {
            if interest.contains(kind) {
                fd_set_insert(set, fd);
            } else {
                fd_set_remove(set, fd);
            }
        }
    }

    fn copy_from(&mut self, other: &Sets) {
        self.read.copy_from_slice(&other.read);
        self.write.copy_from_slice(&other.write);
        self.except.copy_from_slice(&other.except);
    }

    /// Returns one more than the highest descriptor in any set.
    fn bound(&self) -> RawFd {
        fd_set_bound(&self.read).max(fd_set_bound(&self.write)).max(fd_set_bound(&self.except))
    }
}

impl Poller for Select {
    fn add(&mut self, source: Source<'_>, key: u64, interest: Interest) -> io::Result<()> {
        let fd = source.descriptor()?;
        match self.key(fd)? {
            Some(_) => return Err(system::already_registered(fd)),
            vacant => *vacant = Some(key),
        }
        self.registered.set(fd.as_raw_fd(), interest);
        Ok(())
    }

    fn modify(&mut self, source: Source<'_>, key: u64, interest: Interest) -> io::Result<()> {
        let fd = source.descriptor()?;
        match self.key(fd)? {
            None => return Err(system::not_registered(fd)),
            current => *current = Some(key),
        }
        self.registered.set(fd.as_raw_fd(), interest);
        Ok(())
    }

    fn delete(&mut self, source: Source<'_>) -> io::Result<()> {
        let fd = source.descriptor()?;
        if self.key(fd)?.take().is_none() {
            return Err(system::not_registered(fd));
        }
        self.registered.set(fd.as_raw_fd(), Interest::NONE);
        Ok(())
    }

    fn wait(&mut self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<()> {
        events.clear();
        let timeout = timeout.map(system::timespec);
        let bound = self.registered.bound();
        self.result.copy_from(&self.registered);
        let Sets { read, write, except } = &mut self.result;
        // SAFETY: by `Poller`'s contract, the caller deletes a source before it closes the
        // descriptor, so every descriptor in the sets is open. `bound` is at most `FD_SETSIZE`,
        // the sets' size.
        #[allow(unsafe_code)]
        let count =
            unsafe { select(bound, Some(read), Some(write), Some(except), timeout.as_ref()) }?;
        if count == 0 {
            return Ok(());
        }
        for fd in FdSetIter::new(&self.result.read) {
            self.readiness[fd as usize].readable = true;
        }
        for fd in FdSetIter::new(&self.result.write) {
            self.readiness[fd as usize].writable = true;
        }
        for fd in FdSetIter::new(&self.result.except) {
            self.readiness[fd as usize].priority = true;
        }
        self.report(events, bound as usize);
        Ok(())
    }

    fn reports_ends(&self) -> bool {
        false
    }
}
