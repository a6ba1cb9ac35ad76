//! Pipes that carry a stream from socket to socket inside the kernel.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::pipe::{PipeFlags, SpliceFlags};

/// How much one pipe holds, 256 KiB: what a socket's buffers hold fits, and more gains nothing.
const CAPACITY: usize = 256 * 1024;

/// A pipe with what is in it.
pub(crate) struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
    len: usize,
    capacity: usize,
    /// Counts the open pipes of one pool, wherever they are.
    _count: Rc<()>,
}

impl Pipe {
    /// Moves up to `limit` bytes that `from` has received into the pipe; 0 at the end of the
    /// stream.
    pub(crate) fn fill(&mut self, from: BorrowedFd<'_>, limit: usize) -> io::Result<usize> {
        let size = limit.min(self.capacity);
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let n = rustix::pipe::splice(from, None, &self.writer, None, size, flags)?;
        self.len += n;
        Ok(n)
    }

    /// Moves what is in the pipe on to `to`, as far as that takes it.
    pub(crate) fn drain(&self, to: BorrowedFd<'_>) -> io::Result<usize> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        Ok(rustix::pipe::splice(&self.reader, None, to, None, self.len, flags)?)
    }

    /// Notes that `n` bytes have left.
    pub(crate) fn advance(&mut self, n: usize) {
        self.len = self.len.saturating_sub(n);
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

/// The pipes of one map: a few, lent to channels while something is in them.
pub(crate) struct PipePool {
    idle: Vec<Pipe>,
    count: Rc<()>,
    limit: usize,
}

impl PipePool {
    pub(crate) fn new(limit: usize) -> Self {
        PipePool { idle: Vec::new(), count: Rc::new(()), limit }
    }

    /// An empty pipe, unless all that there may be are in use or the system has no more.
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
        // Refused beyond the user's share of pipe memory, where the default size does as well.
        let _ = rustix::pipe::fcntl_setpipe_size(&writer, CAPACITY);
        let capacity = rustix::pipe::fcntl_getpipe_size(&writer).ok()?;
        Some(Pipe { reader, writer, len: 0, capacity, _count: Rc::clone(&self.count) })
    }

    /// Takes an empty pipe back; one that is not empty is closed, since its bytes are nobody's.
    pub(crate) fn give(&mut self, pipe: Pipe) {
        if pipe.len == 0 {
            self.idle.push(pipe);
        }
    }
}
