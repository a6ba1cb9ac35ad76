//! What a rule's workers share.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{
    AccessList, AtCapacity, Balancer, Bucket, Permit, ProcessCounts, Refusal, Reservation,
    RuleCounts, SharedBucket, TargetState, Throttle, Waiter,
};
use crate::config::Rule;

/// A rule at work: who is let in, where connections go, how fast, and what was counted.
///
/// It never changes its configuration: a reload makes a new one with [`reloaded`](Self::reloaded)
/// and gives it to the workers. The counters, limits and targets that stay are shared between the
/// two, so connections that began under the old one count under the new one as well.
#[derive(Debug)]
pub struct RuleState {
    balancer: Balancer,
    access: AccessList,
    counts: Arc<RuleCounts>,
    connection_rate: Option<Arc<SharedBucket>>,
    byte_rate: Option<Arc<SharedBucket>>,
    byte_rate_per_connection: Option<u64>,
}

impl RuleState {
    /// A rule that begins now, with targets that nothing is known about.
    pub fn new(rule: &Rule, process: Arc<ProcessCounts>, now: Instant) -> Self {
        let targets = rule.targets.iter().map(|target| Arc::new(TargetState::new(target, now)));
        RuleState {
            balancer: Balancer::new(rule.balance, targets.collect()),
            access: AccessList::new(&rule.allow, &rule.deny),
            counts: Arc::new(RuleCounts::new(process, rule)),
            connection_rate: connection_rate(None, rule, now),
            byte_rate: byte_rate(None, rule, now),
            byte_rate_per_connection: rule.rate_per_connection,
        }
    }

    /// The rule as it goes on after its configuration changed to `rule`.
    ///
    /// Targets with the same endpoint stay, with their counters, their health and whether they
    /// are drained, at their new weight. The rule's counts stay, and limits that were and are set
    /// go on at the new rate, for connections that are open too. A byte limit that was not set
    /// before, or is no longer, is so for new connections only. Turns begin anew.
    ///
    /// What is shared changes at once for the old state as well: call this when the reload can no
    /// longer fail.
    pub fn reloaded(&self, rule: &Rule, now: Instant) -> Self {
        let mut old = self.targets().to_vec();
        let targets = rule.targets.iter().map(|target| {
            let Some(stays) = old.iter().position(|old| *old.endpoint() == target.endpoint) else {
                return Arc::new(TargetState::new(target, now));
            };
            let state = old.remove(stays);
            state.set_weight(target.weight);
            if rule.check().is_none() {
                state.health().forget_checks();
            }
            state
        });
        self.counts.set_limits(rule);
        RuleState {
            balancer: Balancer::new(rule.balance, targets.collect()),
            access: AccessList::new(&rule.allow, &rule.deny),
            counts: Arc::clone(&self.counts),
            connection_rate: connection_rate(self.connection_rate.as_ref(), rule, now),
            byte_rate: byte_rate(self.byte_rate.as_ref(), rule, now),
            byte_rate_per_connection: rule.rate_per_connection,
        }
    }

    /// Reserves room for a connection that may be on its way, so that those which would be too many
    /// are left in the backlog.
    ///
    /// # Errors
    /// With the limit that leaves none.
    pub fn reserve(&self) -> Result<Reservation, Refusal> {
        self.counts.reserve()
    }

    /// As [`reserve`](Self::reserve) for one that is on its way, and has to wait without room:
    /// `waiter` is woken when there may be some.
    pub fn reserve_or_wait(
        &self,
        waiter: &Arc<Waiter>,
        now: Instant,
    ) -> Result<Reservation, AtCapacity> {
        self.counts.reserve_or_wait(waiter, now)
    }

    /// Lets a client in that cannot wait, since it sends datagrams: if there is room, as [`admit_to`](Self::admit_to).
    pub fn admit(&self, now: Instant, client: Option<IpAddr>) -> Result<Permit, Refusal> {
        let reservation = match self.counts.process().is_draining() {
            true => Err(Refusal::Draining),
            false => self.reserve(),
        };
        let reservation = reservation.inspect_err(|refusal| self.counts.note_refused(*refusal))?;
        self.admit_to(reservation, now, client)
    }

    /// Lets a connection in, or says why not; either is counted. The connection is the permit's
    /// until that is dropped.
    ///
    /// `client` is `None` for a client without an address, on a Unix socket: access lists and the
    /// limit per client do not concern it. It is also `None` while a PROXY header is to tell who
    /// the client is, see [`identify`](Self::identify).
    pub fn admit_to(
        &self,
        reservation: Reservation,
        now: Instant,
        client: Option<IpAddr>,
    ) -> Result<Permit, Refusal> {
        let admitted = self.check(reservation, now, client);
        match &admitted {
            Ok(_) => self.counts.note_admitted(),
            Err(refusal) => self.counts.note_refused(*refusal),
        }
        admitted
    }

    fn check(
        &self,
        reservation: Reservation,
        now: Instant,
        client: Option<IpAddr>,
    ) -> Result<Permit, Refusal> {
        if client.is_some_and(|client| !self.access.permits(client)) {
            return Err(Refusal::Denied);
        }
        let permit = reservation.enter(client)?;
        // Last, so that a refused connection does not use up the rate of others.
        match &self.connection_rate {
            Some(rate) => rate.lock().take(now, 1).map_or(Err(Refusal::Rate), |()| Ok(permit)),
            None => Ok(permit),
        }
    }

    /// Holds an admitted connection to the rules for `client`, which a PROXY header named: whether
    /// it is allowed, and how many it may have. A refusal is counted; the connection is to be
    /// closed then.
    pub fn identify(&self, permit: &mut Permit, client: IpAddr) -> Result<(), Refusal> {
        let identified = if self.access.permits(client) {
            permit.identify(client)
        } else {
            Err(Refusal::Denied)
        };
        identified.inspect_err(|refusal| self.counts.note_refused(*refusal))
    }

    /// The index of the target for a connection, see [`Balancer::choose`].
    pub fn choose(&self, now: Instant, client: Option<IpAddr>, tried: &[usize]) -> Option<usize> {
        self.balancer.choose(now, client, tried)
    }

    /// The byte limits on a connection that begins now; `None` if the rule has none.
    pub fn throttle(&self, now: Instant) -> Option<Throttle> {
        Throttle::new(self.byte_rate_per_connection, self.byte_rate.clone(), now)
    }

    /// How long a listener does best to leave connections in its backlog, because the rate would
    /// refuse them; `None` when it may accept.
    pub fn pause(&self, now: Instant) -> Option<Duration> {
        let wait = self.connection_rate.as_ref()?.lock().wait_for(now, 1);
        (!wait.is_zero()).then_some(wait)
    }

    /// The targets, in the order of the configuration.
    pub fn targets(&self) -> &[Arc<TargetState>] {
        self.balancer.targets()
    }

    /// What was counted.
    pub fn counts(&self) -> &Arc<RuleCounts> {
        &self.counts
    }
}

type Shared = Arc<SharedBucket>;

fn connection_rate(old: Option<&Shared>, rule: &Rule, now: Instant) -> Option<Shared> {
    let rate = u64::from(rule.connections_per_second?);
    Some(kept(old, rate, now).unwrap_or_else(|| shared(Bucket::events(rate, now))))
}

fn byte_rate(old: Option<&Shared>, rule: &Rule, now: Instant) -> Option<Shared> {
    let rate = rule.rate?;
    Some(kept(old, rate, now).unwrap_or_else(|| shared(Bucket::bytes(rate, now))))
}

fn kept(old: Option<&Shared>, rate: u64, now: Instant) -> Option<Shared> {
    let old = old?;
    old.lock().set_rate(now, rate);
    Some(Arc::clone(old))
}

fn shared(bucket: Bucket) -> Shared {
    Arc::new(SharedBucket::new(bucket))
}

#[cfg(test)]
mod tests;
