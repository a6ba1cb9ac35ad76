//! The record of a run, by which two runs are compared.

use std::fmt;
use std::time::Duration;

/// A hash over everything that happened, and its text when asked for.
pub(super) struct Trace {
    fingerprint: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(super) fn new() -> Trace {
        // FNV-1a's own offset basis.
        Trace { fingerprint: 0xcbf2_9ce4_8422_2325, lines: None }
    }

    pub(super) fn keep_text(&mut self) {
        self.lines.get_or_insert_default();
    }

    pub(super) fn record(&mut self, at: Duration, what: &dyn fmt::Display, payload: &[u8]) {
        let line = format!("{:>12.6} s  {what}", at.as_secs_f64());
        self.hash(&at.as_nanos().to_le_bytes());
        self.hash(line.as_bytes());
        self.hash(payload);
        if let Some(lines) = &mut self.lines {
            lines.push(line);
        }
    }

    fn hash(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.fingerprint =
                (self.fingerprint ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    pub(super) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    pub(super) fn text(&self) -> Vec<String> {
        self.lines.clone().unwrap_or_default()
    }
}
