//! Showing what goes through chosen connections, or writing it down.
//!
//! [`Captures`] is the process's: the filters, and where captured bytes go. A connection that a
//! filter chooses gets a [`Tap`], and then passes its bytes through the program instead of inside
//! the kernel. Each output has a thread that writes, and ends when it has as many bytes as the
//! configuration allows.

mod packet;
mod sink;
mod tap;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use anyhow::Context as _;

use self::sink::Sink;
use self::tap::Kind;
pub(crate) use self::tap::Tap;
use crate::config::{Capture, Endpoint};
use crate::pid_file;

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
            .map(|filter| Sink::start(filter, Box::new(io::stdout()), capture.capture_max))
            .transpose()?;
        let mut pcapng = None;
        if let Some(path) = &capture.pcapng {
            // Only this user may read what others send.
            let file = pid_file::create(path, 0o600)
                .and_then(|mut file| file.write_all(&packet::file_header()).map(|()| file))
                .with_context(|| format!("cannot write to {}", path.display()))?;
            pcapng = Some(Sink::start(
                capture.pcapng_filter.clone(),
                Box::new(file),
                capture.capture_max,
            )?);
        }
        let any = hexdump.is_some() || pcapng.is_some();
        Ok(any.then(|| Arc::new(Captures { hexdump, pcapng, count: AtomicU64::new(0) })))
    }

    /// Writes what waits, at the end of the process.
    pub(crate) fn finish(&self) {
        [&self.hexdump, &self.pcapng].into_iter().flatten().for_each(Sink::finish);
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

#[cfg(test)]
mod tests;
