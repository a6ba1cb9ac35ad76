//! Every measurement of a run, by what was measured and of whom, in the order of the rounds.

use std::collections::HashMap;

use crate::relays::peer::Peer;
use crate::relays::scenario::{Found, Scenario};
use crate::stats::Summary;

/// One thing that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Metric {
    /// Seconds of the relay's CPU time for 10⁹ bytes.
    CpuPerGigabyte(Scenario),
    GigabytesPerSecond(Scenario),
    /// Microseconds.
    CpuPerConnection,
    ConnectionsPerSecond,
    /// Microseconds.
    CpuPerRoundTrip,
    RoundTripsPerSecond,
    /// Microseconds from a message to its answer that 99 of 100 take at the most.
    NinetyNinthPercentile,
    BytesPerIdle,
    /// How many idle connections there were.
    IdleConnections,
    /// Round trips a second among idle connections, in those without.
    RateAmongIdle,
    /// Bytes that the relay grew by.
    StallGrowth,
}

impl Metric {
    /// Whether more of it is better.
    pub(crate) fn wants_more(self) -> bool {
        matches!(
            self,
            Metric::GigabytesPerSecond(_)
                | Metric::ConnectionsPerSecond
                | Metric::RoundTripsPerSecond
                | Metric::RateAmongIdle
        )
    }

    /// Whether it is about the relay's process, and not about what comes through it.
    pub(crate) fn is_of_process(self) -> bool {
        !self.wants_more() && self != Metric::NinetyNinthPercentile
    }
}

/// All measurements taken.
#[derive(Default)]
pub(crate) struct Results {
    measured: HashMap<(Metric, Peer), Vec<f64>>,
    /// Why some could not be taken.
    pub(crate) failures: Vec<String>,
}

impl Results {
    pub(crate) fn extend(&mut self, peer: Peer, found: Found) {
        for (metric, value) in found {
            self.measured.entry((metric, peer)).or_default().push(value);
        }
    }

    pub(crate) fn summary(&self, metric: Metric, peer: Peer) -> Option<Summary> {
        Summary::of(self.of(metric, peer))
    }

    /// What `peer` takes for each unit of what `base` takes, round by round.
    pub(crate) fn ratio(&self, metric: Metric, peer: Peer, base: Peer) -> Option<Summary> {
        Summary::of_ratios(self.of(metric, peer), self.of(metric, base))
    }

    /// Whose median is the best among `peers`.
    pub(crate) fn best(&self, metric: Metric, peers: impl Iterator<Item = Peer>) -> Option<Peer> {
        let medians = peers.filter_map(|peer| Some((peer, self.summary(metric, peer)?.median)));
        let better = |a: f64, b: f64| if metric.wants_more() { a > b } else { a < b };
        let best = medians.reduce(|best, next| if better(next.1, best.1) { next } else { best });
        best.map(|(peer, _)| peer)
    }

    fn of(&self, metric: Metric, peer: Peer) -> &[f64] {
        self.measured.get(&(metric, peer)).map_or(&[], Vec::as_slice)
    }
}
