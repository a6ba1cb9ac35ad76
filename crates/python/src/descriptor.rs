//! System calls on the numbers by which Python's maps name files.
//!
//! A program can close a descriptor at any time, also from another thread, and put any number into
//! a map. So the calls take numbers, as the kernel does, and the kernel answers EBADF. A
//! `BorrowedFd` would promise that the file is open.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr;

use libc::c_int;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyInt;
use rustix::event::{PollFlags, Timespec};
use rustix::io::Errno;

/// Returns the descriptor that a key of a map stands for: the key itself, or its `fileno()`.
///
/// # Errors
/// Those of `select.select` for what is no descriptor.
pub(crate) fn from_key(key: &Bound<'_, PyAny>) -> PyResult<RawFd> {
    let number = if key.is_instance_of::<PyInt>() {
        key.extract::<RawFd>()?
    } else {
        let Some(fileno) = key.getattr_opt(intern!(key.py(), "fileno"))? else {
            return Err(PyTypeError::new_err(
                "argument must be an int, or have a fileno() method.",
            ));
        };
        match fileno.call0()?.cast::<PyInt>() {
            Ok(number) => number.extract::<RawFd>()?,
            Err(_) => return Err(PyTypeError::new_err("fileno() returned a non-integer")),
        }
    };
    if number < 0 {
        return Err(PyValueError::new_err(format!(
            "file descriptor cannot be a negative integer ({number})"
        )));
    }
    Ok(number)
}

/// Linux opens no file under this number or a higher one, unless an administrator raises the limit.
const MAX_WATCHED: RawFd = 1 << 20;

/// As `from_key`, for keys that are numbers, and small enough to be indices.
pub(crate) fn from_int(key: &Bound<'_, PyAny>) -> Option<RawFd> {
    let number = key.cast_exact::<PyInt>().ok()?.extract::<RawFd>().ok()?;
    (0..MAX_WATCHED).contains(&number).then_some(number)
}

/// One descriptor of a call to `poll`.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct PollFd(libc::pollfd);

impl PollFd {
    pub(crate) fn new(fd: RawFd, flags: PollFlags) -> Self {
        PollFd(libc::pollfd { fd, events: flags.bits() as i16, revents: 0 })
    }

    pub(crate) fn came(&self) -> PollFlags {
        PollFlags::from_bits_retain(self.0.revents as u16)
    }
}

/// ppoll(2). Reports NVAL for a number under which no file is open.
pub(crate) fn poll(fds: &mut [PollFd], timeout: Option<&Timespec>) -> Result<usize, Errno> {
    let timeout = timeout.map(|timeout| libc::timespec {
        tv_sec: timeout.tv_sec as _,
        tv_nsec: timeout.tv_nsec as _,
    });
    let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: `PollFd` is a `pollfd`, there are as many as is said, and the time is one or null.
    count(unsafe { libc::ppoll(fds.as_mut_ptr().cast(), fds.len() as _, timeout, ptr::null()) })
}

/// recv(2), without waiting.
pub(crate) fn receive(fd: RawFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    let flags = libc::MSG_DONTWAIT;
    // SAFETY: the kernel writes to the buffer, and no more than its size.
    count(unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), flags) })
}

/// send(2), without waiting and without SIGPIPE.
pub(crate) fn transmit(fd: RawFd, data: &[u8]) -> Result<usize, Errno> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the kernel reads the data.
    count(unsafe { libc::send(fd, data.as_ptr().cast(), data.len(), flags) })
}

/// Returns how many bytes can be read, if the kernel counts them for such a file.
pub(crate) fn unread(fd: RawFd) -> Option<usize> {
    let mut unread: c_int = 0;
    // SAFETY: FIONREAD writes an int.
    let done = unsafe { libc::ioctl(fd, libc::FIONREAD as _, ptr::from_mut(&mut unread)) };
    (done == 0).then(|| usize::try_from(unread).unwrap_or(0))
}

/// What epoll_ctl(2) does with a file.
#[derive(Clone, Copy)]
pub(crate) enum Control {
    Add { flags: PollFlags, data: u64 },
    Modify { flags: PollFlags, data: u64 },
    Delete,
}

pub(crate) fn control(set: &OwnedFd, fd: RawFd, control: Control) -> Result<(), Errno> {
    // EPOLLIN and its like have the bits of POLLIN and its like.
    let event =
        |flags: PollFlags, data| libc::epoll_event { events: flags.bits().into(), u64: data };
    let (operation, mut event) = match control {
        Control::Add { flags, data } => (libc::EPOLL_CTL_ADD, event(flags, data)),
        Control::Modify { flags, data } => (libc::EPOLL_CTL_MOD, event(flags, data)),
        Control::Delete => (libc::EPOLL_CTL_DEL, event(PollFlags::empty(), 0)),
    };
    // SAFETY: the kernel reads the event.
    let done = unsafe { libc::epoll_ctl(set.as_raw_fd(), operation, fd, &raw mut event) };
    count(done).map(drop)
}

/// The result of a system call that returns a count, or -1.
fn count(returned: impl TryInto<usize>) -> Result<usize, Errno> {
    returned.try_into().map_err(|_| {
        let error = std::io::Error::last_os_error();
        Errno::from_io_error(&error).unwrap_or(Errno::INVAL)
    })
}
