//! The set that the kernel keeps, an epoll(7).

use std::os::fd::{OwnedFd, RawFd};
use std::sync::Arc;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags};
use rustix::event::{PollFlags, Timespec};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use crate::descriptor::{self, Control};

/// How many events one wait takes; more come in the next pass.
const EVENTS: usize = 1024;

/// Where the descriptor of a set is put, if there is room: out of the way of the low numbers, of
/// which the next file that a program opens is expected to get the first.
const NUMBERS: RawFd = 900;

pub(super) struct Kernel {
    epoll: Arc<OwnedFd>,
    registrations: u32,
}

impl Kernel {
    pub(super) fn new() -> Result<Self, Errno> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let epoll = fcntl_dupfd_cloexec(&epoll, NUMBERS).unwrap_or(epoll);
        Ok(Kernel { epoll: Arc::new(epoll), registrations: 0 })
    }

    /// Returns another descriptor of the set.
    pub(super) fn duplicate(&self) -> Result<OwnedFd, Errno> {
        fcntl_dupfd_cloexec(&self.epoll, NUMBERS).or_else(|_| fcntl_dupfd_cloexec(&self.epoll, 0))
    }

    /// To be waited for while the set itself may be replaced.
    pub(super) fn descriptor(&self) -> Arc<OwnedFd> {
        self.epoll.clone()
    }

    /// Watches `fd` for `flags`. `known` is the number of its registration, if there is one that it
    /// can be. Returns that, or the number of a new one; `None` if the kernel does not watch such
    /// files.
    pub(super) fn register(
        &mut self,
        fd: RawFd,
        flags: PollFlags,
        known: Option<u32>,
    ) -> Option<u32> {
        if let Some(number) = known.filter(|number| self.modify(fd, flags, *number)) {
            return Some(number);
        }
        self.registrations = self.registrations.wrapping_add(1);
        let number = self.registrations;
        let add = Control::Add { flags, data: data(fd, number) };
        match descriptor::control(&self.epoll, fd, add) {
            Ok(()) => Some(number),
            Err(Errno::EXIST) => self.modify(fd, flags, number).then_some(number),
            Err(_) => None,
        }
    }

    /// Changes a registration. Tells whether there is one of the file that `fd` stands for now.
    pub(super) fn modify(&self, fd: RawFd, flags: PollFlags, number: u32) -> bool {
        let modify = Control::Modify { flags, data: data(fd, number) };
        descriptor::control(&self.epoll, fd, modify).is_ok()
    }

    /// Watches `fd` no more. If the number stands for another file already, what is still known of
    /// the old one, if anything, shows when it is reported.
    pub(super) fn delete(&self, fd: RawFd) {
        let _ = descriptor::control(&self.epoll, fd, Control::Delete);
    }
}

/// Waits for a set, and puts what it reports into `found`, by descriptor and number of
/// registration.
pub(super) fn wait(
    set: &OwnedFd,
    found: &mut Vec<(RawFd, u32)>,
    timeout: Option<&Timespec>,
) -> Result<usize, Errno> {
    let mut ready = Vec::with_capacity(EVENTS);
    let count = epoll::wait(set, spare_capacity(&mut ready), timeout)?;
    found.extend(ready.iter().map(|event: &epoll::Event| {
        let data = event.data.u64();
        (data as u32 as RawFd, (data >> 32) as u32)
    }));
    Ok(count)
}

fn data(fd: RawFd, number: u32) -> u64 {
    (u64::from(number) << 32) | u64::from(fd.unsigned_abs())
}
