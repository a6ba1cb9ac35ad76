//! The record of a run, for comparing runs.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// An event on the network. Its text is a line of the trace.
pub(super) trait Traced: fmt::Display {
    /// Adds everything that distinguishes this event from others, including its payload.
    fn digest(&self, fingerprint: &mut Fingerprint);
}

/// A hash over all events, and their text if requested.
pub(super) struct Trace {
    fingerprint: Fingerprint,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(super) fn new() -> Trace {
        Trace { fingerprint: Fingerprint::new(), lines: None }
    }

    pub(super) fn keep_text(&mut self) {
        self.lines.get_or_insert_default();
    }

    pub(super) fn record(&mut self, at: Duration, event: &impl Traced) {
        self.fingerprint.number(u64::try_from(at.as_nanos()).unwrap_or(u64::MAX));
        event.digest(&mut self.fingerprint);
        // Formatting costs more than the rest of a step, so a search through many seeds omits it.
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>12.6} s  {event}", at.as_secs_f64()));
        }
    }

    pub(super) fn fingerprint(&self) -> u64 {
        self.fingerprint.0
    }

    pub(super) fn text(&self) -> Vec<String> {
        self.lines.clone().unwrap_or_default()
    }
}

/// A hash that takes eight bytes at a time and is the same on every system and with every compiler,
/// which `std::hash` does not guarantee. It is not suitable for cryptography.
pub(super) struct Fingerprint(u64);

impl Fingerprint {
    fn new() -> Fingerprint {
        Fingerprint(0xcbf2_9ce4_8422_2325)
    }

    pub(super) fn number(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // The low bits of a product depend only on low bits, so the high bits are folded into them.
        self.0 = mixed ^ (mixed >> 32);
    }

    pub(super) fn size(&mut self, size: usize) {
        self.number(size as u64);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.size(bytes.len());
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.number(u64::from_le_bytes(word));
        }
    }

    pub(super) fn addr(&mut self, addr: SocketAddr) {
        match addr.ip() {
            IpAddr::V4(ip) => self.bytes(&ip.octets()),
            IpAddr::V6(ip) => self.bytes(&ip.octets()),
        }
        self.number(u64::from(addr.port()));
    }
}
