//! Showing what goes through chosen connections, or writing it down.
//!
//! [`Captures`] is the process's: the filters, and where captured bytes go. A connection that a
//! filter chooses gets a [`Tap`], and then passes its bytes through the program instead of inside
//! the kernel. Both outputs are written at once and on the loop, so a slow disk or a terminal that
//! is paused slows all connections: this is for debugging. Each output ends when it has as many
//! bytes as the configuration allows.

mod hexdump;
mod packet;
mod pcapng;
mod tap;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context as _;

use self::tap::Kind;
pub(crate) use self::tap::Tap;
use crate::config::{Capture, CaptureFilter, Endpoint};
use crate::pid_file;

type Output = Box<dyn Write + Send>;

/// Whose bytes are captured, and where they go.
pub(crate) struct Captures {
    hexdump: Option<Sink>,
    pcapng: Option<Sink>,
    /// The connections that were captured so far.
    count: AtomicU64,
}

/// A connection that may be captured.
pub(crate) struct Subject<'a> {
    pub(crate) rule: &'a str,
    pub(crate) client: Option<SocketAddr>,
    pub(crate) target: &'a Endpoint,
    /// The target's address, unless it is a Unix socket.
    pub(crate) target_addr: Option<SocketAddr>,
}

impl Captures {
    /// Begins the outputs; `None` when nothing is to be captured.
    ///
    /// # Errors
    /// When the capture file cannot be written.
    pub(crate) fn open(capture: &Capture) -> anyhow::Result<Option<Arc<Self>>> {
        let hexdump = capture
            .hexdump
            .clone()
            .map(|filter| Sink::new(filter, Box::new(io::stdout()), capture.max));
        let mut pcapng = None;
        if let Some(wanted) = &capture.pcapng {
            // Only this user may read what others send.
            let file = pid_file::create(&wanted.file, 0o600)
                .and_then(|mut file| file.write_all(&pcapng::header()).map(|()| file))
                .with_context(|| format!("cannot write to {}", wanted.file.display()))?;
            pcapng = Some(Sink::new(wanted.filter.clone(), Box::new(file), capture.max));
        }
        for (sink, to) in [(&hexdump, "standard output"), (&pcapng, "the capture file")] {
            if sink.is_some() {
                tracing::info!("capture: the bytes of chosen connections go to {to}");
            }
        }
        let any = hexdump.is_some() || pcapng.is_some();
        Ok(any.then(|| Arc::new(Captures { hexdump, pcapng, count: AtomicU64::new(0) })))
    }

    /// Begins to capture a connection, if a filter chooses it.
    pub(crate) fn tap(self: &Arc<Self>, subject: &Subject<'_>, now: Instant) -> Option<Tap> {
        self.tap_kind(Kind::Stream, subject, now)
    }

    /// Begins to capture a client's datagrams, if a filter chooses them.
    pub(crate) fn tap_datagrams(
        self: &Arc<Self>,
        subject: &Subject<'_>,
        now: Instant,
    ) -> Option<Tap> {
        self.tap_kind(Kind::Datagrams, subject, now)
    }

    fn tap_kind(self: &Arc<Self>, kind: Kind, subject: &Subject<'_>, now: Instant) -> Option<Tap> {
        let chosen = |sink: &Option<Sink>| sink.as_ref().is_some_and(|sink| sink.chooses(subject));
        let (hexdump, pcapng) = (chosen(&self.hexdump), chosen(&self.pcapng));
        if !hexdump && !pcapng {
            return None;
        }
        let id = self.count.fetch_add(1, Relaxed) + 1;
        Some(Tap::new(Arc::clone(self), kind, id, (hexdump, pcapng), subject, now))
    }
}

/// A filter, and where the bytes that it chooses go.
struct Sink {
    filter: CaptureFilter,
    /// `None` once it has failed, or is long enough.
    output: Mutex<Option<Output>>,
    /// How many bytes it may have yet.
    left: AtomicU64,
}

impl Sink {
    fn new(filter: CaptureFilter, output: Output, max: Option<u64>) -> Self {
        let left = AtomicU64::new(max.unwrap_or(u64::MAX));
        Sink { filter, output: Mutex::new(Some(output)), left }
    }

    fn chooses(&self, subject: &Subject<'_>) -> bool {
        let client = subject.client.map(|client| client.ip());
        self.filter.matches(subject.rule, client, subject.target)
    }

    /// Writes a whole record; after a failure, or one that is too much, nothing ever again.
    fn write(&self, record: &[u8]) {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = &mut *output else {
            return;
        };
        let length = record.len() as u64;
        if self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(length)).is_err() {
            tracing::warn!("the capture ends here, it has as many bytes as --capture-max allows");
            *output = None;
        } else if let Err(error) = open.write_all(record).and_then(|()| open.flush()) {
            tracing::error!("the capture ends here, it cannot be written: {error}");
            *output = None;
        }
    }
}

#[cfg(test)]
mod tests;
