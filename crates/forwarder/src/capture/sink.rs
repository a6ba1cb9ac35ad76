//! Where captured bytes go: a queue, and a thread that writes.
//!
//! A disk or a terminal can block, so no loop writes itself. What the thread cannot write in time
//! is dropped, in whole records, and counted.

use std::io::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::Subject;
use crate::config::CaptureFilter;

pub(super) type Output = Box<dyn Write + Send>;

/// Bytes that may wait to be written.
const MAX_PENDING_BYTES: usize = 16 << 20;
/// Time that the end of the process waits for the last records.
const FINISH_TIMEOUT: Duration = Duration::from_secs(1);

/// A filter, and where the bytes that it chooses go.
pub(super) struct Sink {
    filter: CaptureFilter,
    /// `None` once the output has failed, or is long enough.
    records: Mutex<Option<Sender<Vec<u8>>>>,
    pending: Arc<AtomicUsize>,
    /// Bytes that it may still get.
    left: AtomicU64,
    dropped: Arc<AtomicU64>,
    /// Disconnected when the thread has ended.
    ended: Mutex<Receiver<()>>,
}

impl Sink {
    /// Starts the thread that writes to `output`, at most `max` bytes.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(super) fn start(
        filter: CaptureFilter,
        output: Output,
        max: Option<u64>,
    ) -> std::io::Result<Self> {
        let (records, queue) = mpsc::channel();
        let (alive, ended) = mpsc::channel();
        let (pending, dropped) = <(Arc<AtomicUsize>, Arc<AtomicU64>)>::default();
        let counts = (Arc::clone(&pending), Arc::clone(&dropped));
        thread::Builder::new().name("capture".to_owned()).spawn(move || {
            write(&queue, output, &counts.0, &counts.1);
            drop(alive);
        })?;
        let (records, ended) = (Mutex::new(Some(records)), Mutex::new(ended));
        let left = AtomicU64::new(max.unwrap_or(u64::MAX));
        Ok(Sink { filter, records, pending, left, dropped, ended })
    }

    pub(super) fn chooses(&self, subject: &Subject<'_>) -> bool {
        let client = subject.client.map(|client| client.ip());
        self.filter.matches(subject.rule, client, subject.target)
    }

    /// Writes a whole record, soon. After a failure, or one that is too much, nothing more is
    /// written.
    pub(super) fn write(&self, record: Vec<u8>) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = &*records else {
            return;
        };
        let length = record.len();
        let take = |left: u64| left.checked_sub(length as u64);
        if self.pending.load(Relaxed) + length > MAX_PENDING_BYTES {
            self.dropped.fetch_add(1, Relaxed);
        } else if self.left.fetch_update(Relaxed, Relaxed, take).is_err() {
            tracing::warn!("the capture ends here, it has as many bytes as --capture-max allows");
            *records = None;
        } else {
            self.pending.fetch_add(length, Relaxed);
            if open.send(record).is_err() {
                *records = None;
            }
        }
    }

    #[cfg(test)]
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Ends the output, and waits until it is written, but not for long.
    pub(super) fn finish(&self) {
        *self.records.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(FINISH_TIMEOUT);
    }
}

fn write(
    queue: &Receiver<Vec<u8>>,
    mut output: Output,
    pending: &AtomicUsize,
    dropped: &AtomicU64,
) {
    for record in queue {
        if let Err(error) = output.write_all(&record).and_then(|()| output.flush()) {
            tracing::error!("the capture ends here, it cannot be written: {error}");
            return;
        }
        pending.fetch_sub(record.len(), Relaxed);
        let records = dropped.swap(0, Relaxed);
        if records > 0 {
            tracing::warn!(
                records,
                "records of a capture were dropped: it was not written in time"
            );
        }
    }
}
