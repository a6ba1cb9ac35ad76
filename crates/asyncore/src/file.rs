//! Files, pipes and terminals used in place of a socket.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::fs::OFlags;

/// An open file that a channel reads and writes as if it were a socket.
///
/// Like Python's `file_wrapper` it holds a duplicate of the descriptor it was created from, so that
/// closing one leaves the other open. Both share their status flags: creating a wrapper sets
/// them to non-blocking, and dropping it restores them, because a shell's terminal that stays
/// non-blocking breaks the next program (Python left it so). Of two wrappers of one open file, as
/// standard input and output often are, drop the one that was created first last.
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
    /// If the descriptor cannot be duplicated, for example because the process has no more.
    pub fn new(file: impl AsFd) -> io::Result<Self> {
        let fd = rustix::io::fcntl_dupfd_cloexec(file, 0)?;
        let flags = rustix::fs::fcntl_getfl(&fd)?;
        let was_blocking = !flags.contains(OFlags::NONBLOCK);
        if was_blocking {
            rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
        }
        Ok(FileWrapper { fd, was_blocking })
    }

    /// Reads the available bytes and returns their number, 0 at the end of the file.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if no bytes are available yet, and every other
    /// error of the system.
    pub fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&self.fd, buf)?)
    }

    /// Writes as many bytes as the file accepts now, and returns their number.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if the file accepts no bytes now, and every other
    /// error of the system.
    pub fn write(&self, data: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(&self.fd, data)?)
    }

    /// Calls [`read`](FileWrapper::read), under the name that a socket uses.
    ///
    /// # Errors
    /// The same as those of `read`.
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.read(buf)
    }

    /// Calls [`write`](FileWrapper::write), under the name that a socket uses.
    ///
    /// # Errors
    /// The same as those of `write`.
    pub fn send(&self, data: &[u8]) -> io::Result<usize> {
        self.write(data)
    }

    /// Closes the duplicate, as dropping the wrapper does.
    pub fn close(self) {}

    /// Returns the descriptor number of the duplicate.
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
            // A failure cannot be reported from here, and the descriptor is closed regardless.
            let _ = rustix::fs::fcntl_getfl(&self.fd)
                .and_then(|flags| rustix::fs::fcntl_setfl(&self.fd, flags - OFlags::NONBLOCK));
        }
    }
}
