//! Files, pipes and terminals in the place of a socket.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::fs::OFlags;

/// An open file that a channel reads and writes as if it were a socket.
///
/// Like Python's `file_wrapper` it holds a duplicate of the descriptor it was made from, so that
/// closing the one leaves the other open. Both share their status flags: making a wrapper sets
/// them to non-blocking, and dropping it sets back what it changed, because a shell's terminal
/// left non-blocking breaks the next program (Python left it so). Of two wrappers of one open
/// file, as standard input and output often are, the one that was made first should be dropped
/// last.
///
/// ```
/// use asyncore::FileWrapper;
/// use std::os::unix::net::UnixStream;
///
/// # fn main() -> std::io::Result<()> {
/// let (ours, theirs) = UnixStream::pair()?;
/// let (ours, theirs) = (FileWrapper::new(ours)?, FileWrapper::new(theirs)?);
/// ours.write(b"hello")?;
/// let mut buf = [0; 16];
/// let n = theirs.read(&mut buf)?;
/// assert_eq!(&buf[..n], b"hello");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FileWrapper {
    fd: OwnedFd,
    was_blocking: bool,
}

impl FileWrapper {
    /// Duplicates the descriptor of `file` and makes it non-blocking.
    ///
    /// # Errors
    /// When the descriptor cannot be duplicated, for example because the process has no more.
    pub fn new(file: impl AsFd) -> io::Result<Self> {
        let fd = rustix::io::fcntl_dupfd_cloexec(file, 0)?;
        let flags = rustix::fs::fcntl_getfl(&fd)?;
        let was_blocking = !flags.contains(OFlags::NONBLOCK);
        if was_blocking {
            rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
        }
        Ok(FileWrapper { fd, was_blocking })
    }

    /// Reads what is there, `Ok(0)` at the end of the file.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when nothing is there yet, and the system's.
    pub fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&self.fd, buf)?)
    }

    /// Writes what the file takes now and tells how much that was.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when it takes nothing now, and the system's.
    pub fn write(&self, data: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(&self.fd, data)?)
    }

    /// The same as [`read`](FileWrapper::read), by the name that a socket gives it.
    ///
    /// # Errors
    /// As `read`.
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.read(buf)
    }

    /// The same as [`write`](FileWrapper::write), by the name that a socket gives it.
    ///
    /// # Errors
    /// As `write`.
    pub fn send(&self, data: &[u8]) -> io::Result<usize> {
        self.write(data)
    }

    /// Closes the duplicate, as dropping it does.
    pub fn close(self) {}

    /// The number of the duplicate.
    pub fn fileno(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl AsFd for FileWrapper {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for FileWrapper {
    fn drop(&mut self) {
        if self.was_blocking {
            // Nothing can be done about a failure here, and the descriptor goes either way.
            let _ = rustix::fs::fcntl_getfl(&self.fd)
                .and_then(|flags| rustix::fs::fcntl_setfl(&self.fd, flags - OFlags::NONBLOCK));
        }
    }
}
