//! From the terms of [`Poller`](super::Poller) to those of a system call: what every poller that
//! asks the operating system shares.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Source;

/// The longest single wait, about 24 days: the milliseconds that fit the `int` of poll(2) and
/// epoll_wait(2). Whoever asked for more finds no events and waits again.
const LONGEST_WAIT: Duration = Duration::from_millis(i32::MAX as u64);

impl<'a> Source<'a> {
    /// The descriptor to hand to the system; an error for a simulated endpoint, which has none.
    pub(super) fn descriptor(self) -> io::Result<BorrowedFd<'a>> {
        match self {
            Source::Fd(fd) => Ok(fd),
            Source::Simulated(endpoint) => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "simulated endpoint {endpoint} is unknown to the operating system; \
                     add it to a map of its own simulated network"
                ),
            )),
        }
    }
}

/// `fd` for as long as it stays registered, a time that no lifetime can express.
#[allow(unsafe_code)]
pub(super) fn registered(fd: BorrowedFd<'_>) -> BorrowedFd<'static> {
    // SAFETY: `Poller`'s contract has a source deleted before its descriptor is closed, and the
    // pollers drop what this returns when the source is deleted.
    unsafe { BorrowedFd::borrow_raw(fd.as_raw_fd()) }
}

pub(super) fn already_registered(fd: BorrowedFd<'_>) -> io::Error {
    io::Error::new(
        io::ErrorKind::AlreadyExists,
        format!(
            "descriptor {} is registered already; modify it or delete it first",
            fd.as_raw_fd()
        ),
    )
}

pub(super) fn not_registered(fd: BorrowedFd<'_>) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("descriptor {} is not registered; add it first", fd.as_raw_fd()),
    )
}

/// `timeout` in whole milliseconds, rounded up: the unit of epoll_wait(2), so that a timer is
/// equally late with every poller, and a wait never ends before it is due.
pub(super) fn timespec(timeout: Duration) -> Timespec {
    let timeout = timeout.min(LONGEST_WAIT);
    let millis = u64::from(timeout.subsec_nanos().div_ceil(1_000_000));
    Timespec {
        tv_sec: (timeout.as_secs() + millis / 1000) as _,
        tv_nsec: (millis % 1000 * 1_000_000) as _,
    }
}

/// Whether reading from `fd` would not block now.
pub(crate) fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    // A failure says nothing, so the descriptor passes for ready.
    !poll(&mut fds, Some(&Timespec::default())).is_ok_and(|count| count == 0)
}

/// A descriptor that is readable at all times: the end of a socket pair whose other end is closed.
///
/// # Panics
/// When the process has no descriptors left for it. It is made once.
pub(super) fn always_readable() -> BorrowedFd<'static> {
    static ENDED: OnceLock<UnixStream> = OnceLock::new();
    let make = || UnixStream::pair().map(|(ended, _)| ended);
    ENDED.get_or_init(|| make().expect("no descriptor is left")).as_fd()
}
