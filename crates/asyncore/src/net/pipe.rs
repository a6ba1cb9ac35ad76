//! Pipes that move a stream from socket to socket inside the kernel.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::pipe::{PipeFlags, SpliceFlags};

/// Requested capacity of a pipe, 256 KiB: it fits the contents of a socket's buffers, and a larger
/// pipe gains nothing.
const PIPE_CAPACITY: usize = 256 * 1024;

/// A pipe, with the number of bytes in it.
pub(crate) struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
    len: usize,
    capacity: usize,
    /// Reference count of the pool's open pipes, idle and lent.
    _count: Rc<()>,
}

impl Pipe {
    /// Moves up to `limit` bytes that `from` has received into the pipe. Returns 0 at the end of
    /// the stream.
    pub(crate) fn fill(&mut self, from: BorrowedFd<'_>, limit: usize) -> io::Result<usize> {
        let size = limit.min(self.capacity);
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let n = rustix::pipe::splice(from, None, &self.writer, None, size, flags)?;
        self.len += n;
        Ok(n)
    }

    /// Moves the bytes in the pipe to `to`, as many as `to` accepts, and returns their number.
    pub(crate) fn drain(&self, to: BorrowedFd<'_>) -> io::Result<usize> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        Ok(rustix::pipe::splice(&self.reader, None, to, None, self.len, flags)?)
    }

    /// Subtracts `n` bytes that were moved out.
    pub(crate) fn advance(&mut self, n: usize) {
        self.len = self.len.saturating_sub(n);
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

/// The pipes of one map, few in number, lent to channels while they hold bytes.
pub(crate) struct PipePool {
    idle: Vec<Pipe>,
    count: Rc<()>,
    limit: usize,
}

impl PipePool {
    pub(crate) fn new(limit: usize) -> Self {
        PipePool { idle: Vec::new(), count: Rc::new(()), limit }
    }

    /// Returns an empty pipe, or `None` if the limit is reached or the system refuses another.
    pub(crate) fn take(&mut self) -> Option<Pipe> {
        if let Some(pipe) = self.idle.pop() {
            return Some(pipe);
        }
        let open = Rc::strong_count(&self.count) - 1;
        if open >= self.limit {
            return None;
        }
        let (reader, writer) =
            rustix::pipe::pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).ok()?;
        // Fails beyond the user's limit of pipe memory; the default size is sufficient then.
        let _ = rustix::pipe::fcntl_setpipe_size(&writer, PIPE_CAPACITY);
        let capacity = rustix::pipe::fcntl_getpipe_size(&writer).ok()?;
        Some(Pipe { reader, writer, len: 0, capacity, _count: Rc::clone(&self.count) })
    }

    /// Takes back a pipe. Closes it if it is not empty, since its bytes have no owner.
    pub(crate) fn give(&mut self, pipe: Pipe) {
        if pipe.len == 0 {
            self.idle.push(pipe);
        }
    }
}
