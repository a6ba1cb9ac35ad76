//! The last five minutes.

use std::collections::VecDeque;
use std::time::Instant;

use super::report::{History, Rates};

/// How many samples are kept, one a second.
const KEPT: usize = 300;

/// Samples of what goes on, oldest first.
#[derive(Default)]
pub(crate) struct Timeline(VecDeque<Sample>);

/// One second.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    /// When it ended.
    pub(crate) at: Instant,
    pub(crate) open: usize,
    pub(crate) rates: Rates,
}

impl Timeline {
    /// Adds a sample, and drops what is too old.
    pub(crate) fn push(&mut self, sample: Sample) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(sample);
    }

    /// What to draw.
    pub(crate) fn history(&self, now: Instant) -> History {
        let mut history = History::default();
        for sample in &self.0 {
            let ago = now.saturating_duration_since(sample.at).as_secs_f64();
            history.ago.push((ago * 10.0).round() / 10.0);
            history.open.push(sample.open);
            history.accepted.push(sample.rates.accepted);
            history.bytes_up.push(sample.rates.bytes_up);
            history.bytes_down.push(sample.rates.bytes_down);
        }
        history
    }
}

#[cfg(test)]
mod tests;
