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
    /// Each target's credit in the smooth weighted round robin.
    credits: Mutex<Vec<i64>>,
}

impl Balancer {
    /// Chooses among `targets` by `policy`.
    pub fn new(policy: Balance, targets: Vec<Arc<TargetState>>) -> Self {
        let credits = Mutex::new(vec![0; targets.len()]);
        Balancer { policy, targets, credits }
    }

    /// The index of the target for a connection, or `None` when none is left to try.
    ///
    /// `tried` are the indices that failed this connection before, so that it moves on at once.
    /// Only targets that [take something new](TargetState::takes_new) are chosen. While any of
    /// those is up, the policy chooses among these:
    ///
    /// - round robin: in turn by weight, spread evenly (weights 2 and 1 give `a b a a b a`);
    /// - least connections: the fewest active ones for its weight, in turn among equals;
    /// - client hash: weighted rendezvous hashing of the address and the target's endpoint, the
    ///   same in every worker and after a restart. When a target goes only its own clients move;
    ///   when its weight changes they move to or from it alone. A client without an address, on
    ///   a Unix socket, gets its turn by round robin;
    /// - first: the first in the order of the configuration.
    ///
    /// When none is up, the one that has backed off first is tried all the same, which is better
    /// than to refuse; targets that checks found down come last.
    pub fn choose(&self, now: Instant, client: Option<IpAddr>, tried: &[usize]) -> Option<usize> {
        let open = |index: usize| self.targets[index].takes_new() && !tried.contains(&index);
        if self.targets.len() == 1 {
            return open(0).then_some(0);
        }
        let up = |index: usize| open(index) && self.targets[index].health().is_up(now);
        // A target that has backed off takes one connection; the next one looks again.
        for _ in 0..self.targets.len() {
            match self.pick(client, up) {
                Some(index) if self.targets[index].health().claim(now) => return Some(index),
                Some(_) => {}
                None => break,
            }
        }
        self.indices().filter(|i| open(*i)).min_by_key(|i| self.targets[*i].health().last_resort())
    }

    fn pick(&self, client: Option<IpAddr>, up: impl Fn(usize) -> bool) -> Option<usize> {
        match (self.policy, client) {
            (Balance::First, _) => self.indices().find(|index| up(*index)),
            (Balance::ClientHash, Some(client)) => self.by_hash(client, up),
            (Balance::ClientHash, None) | (Balance::RoundRobin, _) => self.in_turn(up),
            (Balance::LeastConnections, _) => self.least(up),
        }
    }

    /// Smooth weighted round robin: each target's credit grows by its weight, and the one with the
    /// most is chosen and pays the weight of all.
    fn in_turn(&self, up: impl Fn(usize) -> bool) -> Option<usize> {
        let mut credits = self.credits.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = 0;
        let mut most = None;
        for (index, credit) in credits.iter_mut().enumerate().filter(|(index, _)| up(*index)) {
            let weight = i64::from(self.targets[index].weight());
            *credit += weight;
            all += weight;
            if most.is_none_or(|(_, most)| *credit > most) {
                most = Some((index, *credit));
            }
        }
        let (index, _) = most?;
        credits[index] -= all;
        Some(index)
    }

    fn least(&self, up: impl Fn(usize) -> bool) -> Option<usize> {
        let mut least: Option<(usize, Load)> = None;
        for index in self.indices().filter(|index| up(*index)) {
            let load = Load::of(&self.targets[index]);
            if least.is_none_or(|(_, least)| load.is_at_most(least)) {
                least = Some((index, load));
            }
        }
        let (index, least) = least?;
        // Another worker may have added to all of them since.
        self.in_turn(|index| up(index) && Load::of(&self.targets[index]).is_at_most(least))
            .or(Some(index))
    }

    fn by_hash(&self, client: IpAddr, up: impl Fn(usize) -> bool) -> Option<usize> {
        let client = hash::client(client);
        let mut best: Option<(usize, f64)> = None;
        for index in self.indices().filter(|index| up(*index)) {
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
