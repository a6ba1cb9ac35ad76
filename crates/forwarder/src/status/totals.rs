//! Sums that only grow, made of counters that come and go with connections and reloads; their rates
//! and their last five minutes.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Instant;

use super::report::{Counts, History, Rates};
use crate::policy::{Refusal, RuleCounts, RuleState, TargetState};

/// Samples in the history, one a second.
const MAX_SAMPLES: usize = 300;

/// Bytes from client to target, and from target to client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bytes {
    pub(crate) up: u64,
    pub(crate) down: u64,
}

impl AddAssign for Bytes {
    fn add_assign(&mut self, other: Bytes) {
        *self = Bytes { up: self.up + other.up, down: self.down + other.down };
    }
}

impl Bytes {
    /// The larger of each direction.
    fn max(self, other: Bytes) -> Bytes {
        Bytes { up: self.up.max(other.up), down: self.down.max(other.down) }
    }
}

/// Returns the growth of a counter for each second of `elapsed`.
pub(crate) fn per_second(now: u64, before: u64, elapsed: f64) -> u64 {
    // A float that does not fit, such as one divided by zero, becomes the nearest number.
    (now.saturating_sub(before) as f64 / elapsed).round() as u64
}

/// Bytes by target.
pub(crate) type ByTarget = Vec<(Arc<TargetState>, Bytes)>;

/// The totals of every target and rule, and their growth in the last second.
///
/// The bytes of a target are those of its closed connections and those of its open ones, which the
/// workers report one after the other. A connection that closes in between can be missing for a
/// moment, so a sum never decreases. The totals keep what a reload removed.
#[derive(Default)]
pub(crate) struct Totals {
    targets: HashMap<*const TargetState, TargetTotal>,
    rules: HashMap<*const RuleCounts, Arc<RuleCounts>>,
    /// The sums of what is no longer in the two maps.
    removed: Counts,
    /// The totals at the last sample, and their growth up to it.
    sampled: Counts,
    rates: Rates,
    /// Oldest first.
    history: VecDeque<Sample>,
}

/// INVARIANT: the key of an entry stays its target's address, because the entry holds the target.
struct TargetTotal {
    target: Arc<TargetState>,
    bytes: Bytes,
    sampled: Bytes,
    per_second: Bytes,
}

/// One second of the history.
struct Sample {
    end: Instant,
    open: usize,
    rates: Rates,
}

impl Totals {
    /// Returns the bytes of closed connections. The caller asks before it asks the workers: then a
    /// connection that closes in between is missing for a moment, but not counted twice.
    pub(crate) fn closed<'r>(&self, rules: impl Iterator<Item = &'r RuleState>) -> ByTarget {
        let one = |target: &Arc<TargetState>| (Arc::clone(target), closed_bytes(target));
        let known = self.targets.values().map(|total| one(&total.target));
        rules.flat_map(RuleState::targets).map(one).chain(known).collect()
    }

    /// Adds up the bytes of closed and open connections. Targets and rules that are gone move to
    /// the sum of what was removed, as soon as nothing is open there.
    pub(crate) fn update<'r>(
        &mut self,
        rules: impl Iterator<Item = &'r RuleState> + Clone,
        closed: ByTarget,
        open: impl Iterator<Item = (Arc<TargetState>, Bytes)>,
    ) {
        // A target that is listed and known comes twice.
        let mut sums: HashMap<_, _> =
            closed.into_iter().map(|it| (Arc::as_ptr(&it.0), it)).collect();
        for (target, bytes) in open {
            let entry = sums.entry(Arc::as_ptr(&target));
            entry.or_insert_with(|| (target, Bytes::default())).1 += bytes;
        }
        for (key, (target, bytes)) in sums {
            let total = self.targets.entry(key).or_insert_with(|| TargetTotal::new(target));
            total.bytes = total.bytes.max(bytes);
        }
        self.remove_gone(rules);
    }

    fn remove_gone<'r>(&mut self, rules: impl Iterator<Item = &'r RuleState> + Clone) {
        let targets: HashSet<_> =
            rules.clone().flat_map(RuleState::targets).map(Arc::as_ptr).collect();
        let counts: HashMap<_, _> =
            rules.map(|rule| (Arc::as_ptr(rule.counts()), rule.counts())).collect();
        let removed = &mut self.removed;
        self.rules.retain(|key, rule| {
            let stays = counts.contains_key(key);
            if !stays {
                removed.accepted += rule.admitted();
                removed.refused += refused(rule);
            }
            stays
        });
        for (key, counts) in counts {
            self.rules.entry(key).or_insert_with(|| Arc::clone(counts));
        }
        self.targets.retain(|key, total| {
            let stays = targets.contains(key) || total.target.active() > 0;
            if !stays {
                let bytes = total.bytes.max(closed_bytes(&total.target));
                removed.bytes_up += bytes.up;
                removed.bytes_down += bytes.down;
            }
            stays
        });
    }

    /// Computes the growth since the last sample, `elapsed` seconds ago, and adds it to the history
    /// unless this is the first one; `open` connections are open now.
    pub(crate) fn sample(&mut self, now: Instant, elapsed: Option<f64>, open: usize) {
        let seconds = elapsed.unwrap_or(f64::INFINITY);
        for total in self.targets.values_mut() {
            let (bytes, before) = (total.bytes, total.sampled);
            total.per_second = Bytes {
                up: per_second(bytes.up, before.up, seconds),
                down: per_second(bytes.down, before.down, seconds),
            };
            total.sampled = bytes;
        }
        let (total, before) = (self.total(), self.sampled);
        self.rates = Rates {
            accepted: per_second(total.accepted, before.accepted, seconds),
            refused: per_second(total.refused, before.refused, seconds),
            bytes_up: per_second(total.bytes_up, before.bytes_up, seconds),
            bytes_down: per_second(total.bytes_down, before.bytes_down, seconds),
        };
        self.sampled = total;
        if elapsed.is_some() {
            if self.history.len() == MAX_SAMPLES {
                self.history.pop_front();
            }
            self.history.push_back(Sample { end: now, open, rates: self.rates });
        }
    }

    /// Returns the sums of all rules since the start.
    pub(crate) fn total(&self) -> Counts {
        let mut total = self.removed;
        for rule in self.rules.values() {
            total.accepted += rule.admitted();
            total.refused += refused(rule);
        }
        for TargetTotal { bytes, .. } in self.targets.values() {
            total.bytes_up += bytes.up;
            total.bytes_down += bytes.down;
        }
        total
    }

    /// Returns the growth of the totals up to the last sample.
    pub(crate) fn rates(&self) -> Rates {
        self.rates
    }

    /// Returns the bytes of a target, in all and for each second up to the last sample.
    pub(crate) fn of(&self, target: &Arc<TargetState>) -> (Bytes, Bytes) {
        let total = self.targets.get(&Arc::as_ptr(target));
        total.map_or_else(Default::default, |total| (total.bytes, total.per_second))
    }

    /// Returns the last five minutes, to draw.
    pub(crate) fn history(&self, now: Instant) -> History {
        let mut history = History::default();
        for sample in &self.history {
            let ago = now.saturating_duration_since(sample.end).as_secs_f64();
            history.ago.push((ago * 10.0).round() / 10.0);
            history.open.push(sample.open);
            history.accepted.push(sample.rates.accepted);
            history.bytes_up.push(sample.rates.bytes_up);
            history.bytes_down.push(sample.rates.bytes_down);
        }
        history
    }
}

impl TargetTotal {
    fn new(target: Arc<TargetState>) -> Self {
        let none = Bytes::default();
        TargetTotal { target, bytes: none, sampled: none, per_second: none }
    }
}

fn closed_bytes(target: &TargetState) -> Bytes {
    Bytes { up: target.bytes_sent(), down: target.bytes_received() }
}

/// Returns the connections that a rule refused, for all reasons together.
fn refused(counts: &RuleCounts) -> u64 {
    Refusal::ALL.iter().map(|refusal| counts.refused(*refusal)).sum()
}

#[cfg(test)]
mod tests;
