//! The thread that writes the log, and the queue before it.
//!
//! A write to a pipe that is not read blocks, so no loop writes itself. (tracing-appender has such a
//! thread too. Its queue is bounded in lines and not in bytes, and the end of the process can still
//! block: it reports on standard output that the last lines could not be written.)

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

/// Maximum bytes of lines that wait for the thread; further lines are dropped.
pub(super) const MAX_PENDING_BYTES: usize = 1024 * 1024;
/// Maximum time for which the end of the process waits for the last lines to be written.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Where the log goes from the next line on.
type Open = Box<dyn FnOnce() -> anyhow::Result<File> + Send>;

/// A queue of lines for a thread that writes them to a file, a pipe or a terminal.
#[derive(Default)]
pub(super) struct Writer {
    queue: Mutex<Queue>,
    /// There is something for the thread to do.
    filled: Condvar,
    /// Everything has been written.
    emptied: Condvar,
    lines_dropped: AtomicU64,
}

#[derive(Default)]
struct Queue {
    lines: Vec<u8>,
    open: Option<Open>,
    /// The thread waits, so that it has to be woken.
    is_idle: bool,
}

impl Writer {
    /// Starts the thread, which ends with the process.
    ///
    /// # Errors
    /// When there is no thread.
    pub(super) fn start(file: File) -> io::Result<&'static Self> {
        let writer: &Self = Box::leak(Box::default());
        thread::Builder::new().name("log".to_owned()).spawn(move || writer.run(file))?;
        Ok(writer)
    }

    /// Writes to what `open` opens, after the lines that wait now.
    pub(super) fn write_to(&self, open: impl FnOnce() -> anyhow::Result<File> + Send + 'static) {
        let mut queue = self.queue();
        queue.open = Some(Box::new(open));
        self.wake(&mut queue);
    }

    /// Waits until all lines have been written, but not for long.
    pub(super) fn flush(&self) {
        let is_busy = |queue: &mut Queue| !queue.is_idle;
        let waited = self.emptied.wait_timeout_while(self.queue(), FLUSH_TIMEOUT, is_busy);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn lines_dropped(&self) -> u64 {
        self.lines_dropped.load(Relaxed)
    }

    fn push(&self, line: &[u8]) {
        let mut queue = self.queue();
        if queue.lines.len() + line.len() > MAX_PENDING_BYTES {
            self.note_dropped(line);
        } else {
            queue.lines.extend_from_slice(line);
            self.wake(&mut queue);
        }
    }

    fn wake(&self, queue: &mut Queue) {
        if std::mem::take(&mut queue.is_idle) {
            self.filled.notify_one();
        }
    }

    fn note_dropped(&self, lines: &[u8]) {
        let count = lines.iter().filter(|byte| **byte == b'\n').count();
        self.lines_dropped.fetch_add(count as u64, Relaxed);
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut file: File) {
        let (mut lines, mut reported) = (Vec::new(), 0);
        loop {
            lines.clear();
            let open = self.next(&mut lines);
            if let Err(unwritten) = write_all(&file, &lines) {
                self.note_dropped(&lines[lines.len() - unwritten..]);
            } else if self.lines_dropped() > reported && !lines.is_empty() {
                let dropped = self.lines_dropped() - reported;
                reported += dropped;
                tracing::warn!(dropped, "log lines were dropped: the log was not read in time");
            }
            match open.map(|open| open()) {
                Some(Ok(opened)) => file = opened,
                Some(Err(error)) => tracing::error!("the log goes on in the old file: {error:#}"),
                None => {}
            }
        }
    }

    /// Waits for something to do: lines, then a file for those that come after them.
    fn next(&self, lines: &mut Vec<u8>) -> Option<Open> {
        let mut queue = self.queue();
        while queue.lines.is_empty() && queue.open.is_none() {
            queue.is_idle = true;
            self.emptied.notify_all();
            queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.is_idle = false;
        std::mem::swap(&mut queue.lines, lines);
        queue.open.take()
    }
}

impl Write for &Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes all of `bytes`, however long that takes.
///
/// # Errors
/// With the number of bytes that were not written.
fn write_all(mut file: &File, bytes: &[u8]) -> Result<(), usize> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match file.write(rest) {
            Ok(n @ 1..) => rest = &rest[n..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // The parent process may have made the descriptor that both share non-blocking.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let _ = poll(&mut [PollFd::new(file, PollFlags::OUT)], None);
            }
            Ok(0) | Err(_) => return Err(rest.len()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
