//! Which target a connection goes to.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::{TargetState, hash};
use crate::config::Balance;

/// A rule's targets and the policy that chooses among them, shared by the workers.
///
/// A choice looks at every target once or twice: a few nanoseconds each.
#[derive(Debug)]
pub struct Balancer {
    policy: Balance,
    targets: Vec<Arc<TargetState>>,
    /// How far each target's turn has come, by the smooth weighted round robin.
    turns: Mutex<Vec<i64>>,
}

impl Balancer {
    /// Chooses among `targets` by `policy`.
    pub fn new(policy: Balance, targets: Vec<Arc<TargetState>>) -> Self {
        let turns = Mutex::new(vec![0; targets.len()]);
        Balancer { policy, targets, turns }
    }

    /// The index of the target for a connection, or `None` when there is none left to try.
    ///
    /// `tried` are the indices that failed this connection before, so that it moves on at once.
    /// Only targets that [take something new](TargetState::takes_new) are chosen. While any of
    /// those is well the policy chooses among the well:
    ///
    /// - round robin: in turn by weight, spread evenly (weights 2 and 1 give `a b a a b a`);
    /// - least connections: the fewest active ones for its weight, in turn among equals;
    /// - client hash: weighted rendezvous hashing of the address and the target's endpoint, the
    ///   same in every worker and after a restart. When a target goes only its own clients move;
    ///   when its weight changes they move to or from it alone. A client without an address, on
    ///   a Unix socket, gets its turn by round robin;
    /// - first: the first in the order of the configuration.
    ///
    /// When none is well, the one whose rest ends first is tried all the same, which is better
    /// than to refuse; targets that checks found down come last.
    pub fn choose(&self, now: Instant, client: Option<IpAddr>, tried: &[usize]) -> Option<usize> {
        let open = |index: usize| self.targets[index].takes_new() && !tried.contains(&index);
        if self.targets.len() == 1 {
            return open(0).then_some(0);
        }
        let well = |index: usize| open(index) && self.targets[index].health().is_well(now);
        // A target whose rest is over takes one connection: whoever comes second looks again.
        for _ in 0..self.targets.len() {
            match self.pick(client, well) {
                Some(index) if self.targets[index].health().claim(now) => return Some(index),
                Some(_) => {}
                None => break,
            }
        }
        self.indices().filter(|i| open(*i)).min_by_key(|i| self.targets[*i].health().last_resort())
    }

    fn pick(&self, client: Option<IpAddr>, well: impl Fn(usize) -> bool) -> Option<usize> {
        match (self.policy, client) {
            (Balance::First, _) => self.indices().find(|index| well(*index)),
            (Balance::ClientHash, Some(client)) => self.by_hash(client, well),
            (Balance::ClientHash, None) | (Balance::RoundRobin, _) => self.in_turn(well),
            (Balance::LeastConnections, _) => self.least(well),
        }
    }

    /// Smooth weighted round robin: everyone's turn comes nearer by its weight, and whose is
    /// nearest goes back by the weight of all.
    fn in_turn(&self, well: impl Fn(usize) -> bool) -> Option<usize> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = 0;
        let mut nearest = None;
        for (index, turn) in turns.iter_mut().enumerate().filter(|(index, _)| well(*index)) {
            let weight = i64::from(self.targets[index].weight());
            *turn += weight;
            all += weight;
            if nearest.is_none_or(|(_, nearest)| *turn > nearest) {
                nearest = Some((index, *turn));
            }
        }
        let (index, _) = nearest?;
        turns[index] -= all;
        Some(index)
    }

    fn least(&self, well: impl Fn(usize) -> bool) -> Option<usize> {
        let mut least: Option<(usize, Load)> = None;
        for index in self.indices().filter(|index| well(*index)) {
            let load = Load::of(&self.targets[index]);
            if least.is_none_or(|(_, least)| load.is_at_most(least)) {
                least = Some((index, load));
            }
        }
        let (index, least) = least?;
        // Another worker may have added to all of them since.
        self.in_turn(|index| well(index) && Load::of(&self.targets[index]).is_at_most(least))
            .or(Some(index))
    }

    fn by_hash(&self, client: IpAddr, well: impl Fn(usize) -> bool) -> Option<usize> {
        let client = hash::client(client);
        let mut best: Option<(usize, f64)> = None;
        for index in self.indices().filter(|index| well(*index)) {
            let target = &self.targets[index];
            let score = score(hash::pair(target.hash(), client), target.weight());
            if best.is_none_or(|(_, best)| score > best) {
                best = Some((index, score));
            }
        }
        best.map(|(index, _)| index)
    }

    fn indices(&self) -> std::ops::Range<usize> {
        0..self.targets.len()
    }

    /// The targets, in the order of the configuration.
    pub fn targets(&self) -> &[Arc<TargetState>] {
        &self.targets
    }
}

/// Active connections for a weight, compared without dividing.
#[derive(Clone, Copy)]
struct Load {
    active: u128,
    weight: u128,
}

impl Load {
    fn of(target: &TargetState) -> Self {
        Load { active: target.active() as u128, weight: u128::from(target.weight()) }
    }

    fn is_at_most(self, other: Load) -> bool {
        self.active * other.weight <= other.active * self.weight
    }
}

/// A target's claim on a client: `-weight / ln(x)` with `x` spread evenly between 0 and 1, the
/// form in which the highest score is won in proportion to the weights.
fn score(hash: u64, weight: u32) -> f64 {
    // 52 bits, so that adding a half is exact and `x` is never 0 or 1.
    let x = ((hash >> 12) as f64 + 0.5) / (1u64 << 52) as f64;
    f64::from(weight) / -x.ln()
}

#[cfg(test)]
mod tests;
