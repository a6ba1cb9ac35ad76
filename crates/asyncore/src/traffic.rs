//! Byte counters, updated together for the channel and for the map.

use std::time::Instant;

use crate::map::Stats;

/// The amount of traffic on one channel, and the time of the last.
pub(crate) struct Traffic {
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// Number of times the socket was reported ready.
    pub(crate) events: u64,
    /// The last time that bytes were received or sent, taken from the last wait.
    pub(crate) last: Instant,
}

impl Traffic {
    pub(crate) fn new(now: Instant) -> Self {
        Traffic { bytes_in: 0, bytes_out: 0, events: 0, last: now }
    }

    #[inline(always)]
    pub(crate) fn received(&mut self, n: usize, now: Instant, stats: &mut Stats) {
        self.bytes_in += n as u64;
        stats.bytes_in += n as u64;
        self.last = now;
    }

    /// Takes back `n` bytes that were received and not used, and will be counted when they are.
    pub(crate) fn unread(&mut self, n: usize, stats: &mut Stats) {
        self.bytes_in = self.bytes_in.saturating_sub(n as u64);
        stats.bytes_in = stats.bytes_in.saturating_sub(n as u64);
    }

    #[inline(always)]
    pub(crate) fn sent(&mut self, n: usize, now: Instant, stats: &mut Stats) {
        self.bytes_out += n as u64;
        stats.bytes_out += n as u64;
        self.last = now;
    }
}
