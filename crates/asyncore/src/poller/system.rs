//! Conversions and errors shared by the pollers that use the operating system.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Source;

/// Maximum duration of a single wait, about 24 days: the milliseconds that fit the `int` of poll(2)
/// and epoll_wait(2). A caller with a longer timeout gets no events and waits again.
const MAX_WAIT: Duration = Duration::from_millis(i32::MAX as u64);

impl<'a> Source<'a> {
    /// Returns the descriptor, or an error for a simulated endpoint, which does not have one.
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

/// Extends the lifetime of `fd` to that of its registration, which no lifetime can express.
#[allow(unsafe_code)]
pub(super) fn registered(fd: BorrowedFd<'_>) -> BorrowedFd<'static> {
    // SAFETY: by `Poller`'s contract, the caller deletes a source before it closes the descriptor,
    // and the pollers drop the returned value when the source is deleted.
    unsafe { BorrowedFd::borrow_raw(fd.as_raw_fd()) }
}

pub(super) fn already_registered(fd: BorrowedFd<'_>) -> io::Error {
    io::Error::new(
        io::ErrorKind::AlreadyExists,
        format!(
            "descriptor {} is already registered; modify it or delete it first",
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

/// Converts `timeout` to whole milliseconds, rounded up: the unit of epoll_wait(2), so that a timer
/// is equally late with every poller, and a wait never ends before it is due.
pub(super) fn timespec(timeout: Duration) -> Timespec {
    let timeout = timeout.min(MAX_WAIT);
    let millis = u64::from(timeout.subsec_nanos().div_ceil(1_000_000));
    Timespec {
        tv_sec: (timeout.as_secs() + millis / 1000) as _,
        tv_nsec: (millis % 1000 * 1_000_000) as _,
    }
}

/// Returns `true` if reading from `fd` would not block now.
pub(crate) fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    // If poll fails, the state is unknown, so the descriptor counts as ready.
    !poll(&mut fds, Some(&Timespec::default())).is_ok_and(|count| count == 0)
}

/// Returns a descriptor that is always readable: one end of a socket pair whose other end is
/// closed.
///
/// # Panics
/// If the process has no descriptors left for the socket pair, which is created once.
pub(super) fn always_readable() -> BorrowedFd<'static> {
    static ENDED: OnceLock<UnixStream> = OnceLock::new();
    let make = || UnixStream::pair().map(|(ended, _)| ended);
    ENDED.get_or_init(|| make().expect("creating a socket pair needs free descriptors")).as_fd()
}
