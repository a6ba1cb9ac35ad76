//! The measurements of a run, by scenario and server, in the order of the rounds.

use std::collections::HashMap;
use std::hash::Hash;

use crate::echo::scenario::{Measurement, Scenario};
use crate::stats::{self, Summary};

/// A quantity that the comparison reports; lower is better for each.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cost {
    /// CPU time per message or connection.
    Cpu(Scenario),
    /// Memory per idle connection.
    IdleBytes,
}

/// All measurements; `P` identifies the servers.
pub(crate) struct Results<P> {
    measurements: HashMap<(Scenario, P), Vec<Measurement>>,
}

// A derived implementation would require `P: Default`.
impl<P> Default for Results<P> {
    fn default() -> Self {
        Results { measurements: HashMap::new() }
    }
}

impl<P: Copy + Eq + Hash> Results<P> {
    pub(crate) fn push(&mut self, scenario: Scenario, peer: P, measurement: Measurement) {
        self.measurements.entry((scenario, peer)).or_default().push(measurement);
    }

    pub(crate) fn rate(&self, scenario: Scenario, peer: P) -> Option<Summary> {
        let rates: Vec<f64> = self.of(scenario, peer).iter().map(|m| m.rate).collect();
        Summary::of(&rates)
    }

    pub(crate) fn cost(&self, cost: Cost, peer: P) -> Option<Summary> {
        Summary::of(&self.costs(cost, peer))
    }

    /// Summarizes the ratio of `peer`'s cost to `base`'s, paired by round.
    pub(crate) fn ratio(&self, cost: Cost, peer: P, base: P) -> Option<Summary> {
        Summary::of(&self.ratios(cost, peer, base)?)
    }

    /// Returns the ratio of `peer`'s cost to `base`'s in each round.
    pub(crate) fn ratios(&self, cost: Cost, peer: P, base: P) -> Option<Vec<f64>> {
        stats::ratios(&self.costs(cost, peer), &self.costs(cost, base))
    }

    /// Summarizes the ratio of `peer`'s `cost` to its `base` cost, paired by round.
    pub(crate) fn growth(&self, cost: Cost, base: Cost, peer: P) -> Option<Summary> {
        Summary::of_ratios(&self.costs(cost, peer), &self.costs(base, peer))
    }

    fn costs(&self, cost: Cost, peer: P) -> Vec<f64> {
        match cost {
            Cost::Cpu(scenario) => self.of(scenario, peer).iter().map(|m| m.cpu).collect(),
            Cost::IdleBytes => {
                self.of(Scenario::Idle, peer).iter().filter_map(|m| m.idle_bytes).collect()
            }
        }
    }

    fn of(&self, scenario: Scenario, peer: P) -> &[Measurement] {
        self.measurements.get(&(scenario, peer)).map_or(&[], Vec::as_slice)
    }
}
