//! Sums that only grow, out of counters that come and go with connections and reloads.

use std::collections::HashMap;
use std::sync::Arc;

use super::bytes::{Bytes, per_second};
use super::report::{Counts, Rates};
use crate::policy::{Refusal, RuleCounts, RuleState, TargetState};

/// What every target and rule has come to, and what it came to in the last second.
///
/// A target's bytes are those of its ended connections plus those of the open ones, which workers
/// tell one after the other; a connection that ends in between could be missing for a moment, so
/// a sum is never taken back. What a reload removed stays in the totals.
#[derive(Default)]
pub(crate) struct Ledger {
    targets: HashMap<*const TargetState, Entry>,
    rules: HashMap<*const RuleCounts, Arc<RuleCounts>>,
    /// What is no longer in the two above.
    retired: Counts,
    /// The totals at the last sample, and what they had grown by.
    sampled: Counts,
    rates: Rates,
}

/// The pointer that an entry is found by stays its target's, since the entry holds the target.
struct Entry {
    target: Arc<TargetState>,
    bytes: Bytes,
    sampled: Bytes,
    per_second: Bytes,
}

impl Ledger {
    /// What the ended connections of `rules` moved. To be asked before the workers are: what ends
    /// after this is then missing for a moment, and not counted twice.
    pub(crate) fn ended<'r>(
        &self,
        rules: impl Iterator<Item = &'r RuleState>,
    ) -> Vec<(Arc<TargetState>, Bytes)> {
        let told = |target: &Arc<TargetState>| (Arc::clone(target), ended(target));
        let mut all: Vec<_> = rules.flat_map(RuleState::targets).map(told).collect();
        all.extend(self.targets.values().map(|entry| told(&entry.target)));
        all
    }

    /// Adds up what [`ended`](Self::ended) told before and what workers have told since.
    pub(crate) fn update(
        &mut self,
        ended: Vec<(Arc<TargetState>, Bytes)>,
        live: impl Iterator<Item = (Arc<TargetState>, Bytes)>,
    ) {
        let mut sums: HashMap<_, _> = HashMap::new();
        for (target, bytes) in ended {
            // One that is listed and known comes twice.
            sums.insert(Arc::as_ptr(&target), (target, bytes));
        }
        for (target, bytes) in live {
            sums.entry(Arc::as_ptr(&target)).or_insert_with(|| (target, Bytes::default())).1 +=
                bytes;
        }
        for (key, (target, bytes)) in sums {
            let entry = self.targets.entry(key).or_insert_with(|| Entry::new(target));
            entry.bytes = entry.bytes.max(bytes);
        }
    }

    /// Notes which rules there are now, and gives up the rest when nothing is open there.
    pub(crate) fn keep<'r>(&mut self, rules: impl Iterator<Item = &'r RuleState> + Clone) {
        for rule in rules.clone() {
            let counts = rule.counts();
            self.rules.entry(Arc::as_ptr(counts)).or_insert_with(|| Arc::clone(counts));
        }
        let retired = &mut self.retired;
        self.rules.retain(|_, counts| {
            let stays = rules.clone().any(|rule| Arc::ptr_eq(rule.counts(), counts));
            if !stays {
                retired.accepted += counts.admitted();
                retired.refused += refused(counts);
            }
            stays
        });
        self.targets.retain(|_, entry| {
            let listed = |target| Arc::ptr_eq(target, &entry.target);
            let stays = entry.target.active() > 0
                || rules.clone().any(|rule| rule.targets().iter().any(listed));
            if !stays {
                let bytes = entry.bytes.max(ended(&entry.target));
                retired.bytes_up += bytes.up;
                retired.bytes_down += bytes.down;
            }
            stays
        });
    }

    /// Works out what all grew by since the last sample, `elapsed` seconds ago.
    pub(crate) fn sample(&mut self, elapsed: f64) {
        for entry in self.targets.values_mut() {
            entry.per_second = entry.bytes.per_second_since(entry.sampled, elapsed);
            entry.sampled = entry.bytes;
        }
        let (now, before) = (self.total(), self.sampled);
        self.rates = Rates {
            accepted: per_second(now.accepted, before.accepted, elapsed),
            refused: per_second(now.refused, before.refused, elapsed),
            bytes_up: per_second(now.bytes_up, before.bytes_up, elapsed),
            bytes_down: per_second(now.bytes_down, before.bytes_down, elapsed),
        };
        self.sampled = now;
    }

    /// What all rules came to since the start.
    pub(crate) fn total(&self) -> Counts {
        let bytes: Bytes = self.targets.values().map(|entry| entry.bytes).sum();
        let rules = || self.rules.values();
        Counts {
            accepted: self.retired.accepted + rules().map(|rule| rule.admitted()).sum::<u64>(),
            refused: self.retired.refused + rules().map(|rule| refused(rule)).sum::<u64>(),
            bytes_up: self.retired.bytes_up + bytes.up,
            bytes_down: self.retired.bytes_down + bytes.down,
        }
    }

    /// What the totals grew by in the last second that was sampled.
    pub(crate) fn rates(&self) -> Rates {
        self.rates
    }

    /// A target's bytes, and those of the last second.
    pub(crate) fn of(&self, target: &Arc<TargetState>) -> (Bytes, Bytes) {
        let entry = self.targets.get(&Arc::as_ptr(target));
        entry.map_or_else(Default::default, |entry| (entry.bytes, entry.per_second))
    }
}

impl Entry {
    fn new(target: Arc<TargetState>) -> Self {
        let nothing = Bytes::default();
        Entry { target, bytes: nothing, sampled: nothing, per_second: nothing }
    }
}

fn ended(target: &TargetState) -> Bytes {
    Bytes { up: target.bytes_sent(), down: target.bytes_received() }
}

/// Connections that a rule refused, for all reasons together.
fn refused(counts: &RuleCounts) -> u64 {
    Refusal::ALL.iter().map(|refusal| counts.refused(*refusal)).sum()
}

#[cfg(test)]
mod tests;
