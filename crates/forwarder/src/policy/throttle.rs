//! How fast one connection may go.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Bucket, Draw, SharedBucket};

/// How long a grant that was waited for stays good. A connection that is held up by something
/// else meanwhile gives it to others.
pub const GRANT_LIFE: Duration = Duration::from_secs(1);

/// The byte limits on one connection, both directions together: its own, and its share of the
/// rule's.
///
/// Before it reads, a direction asks for a [`grant`](Self::grant), reads no more than that, and
/// tells with [`spend`](Self::spend) how much it was. A direction that has to wait asks again
/// after that time; the wait and the grant are the connection's, whichever direction comes first.
/// Dropping it gives back what was not spent.
#[derive(Debug)]
pub struct Throttle {
    own: Option<Bucket>,
    rule: Option<Arc<SharedBucket>>,
    /// Taken from the rule's bucket and not spent.
    held: u64,
    /// When `held` may be spent.
    ready: Instant,
}

impl Throttle {
    /// Limits a connection that begins now; `None` where there is nothing to limit.
    pub fn new(own: Option<u64>, rule: Option<Arc<SharedBucket>>, now: Instant) -> Option<Self> {
        if own.is_none() && rule.is_none() {
            return None;
        }
        let own = own.map(|rate| Bucket::bytes(rate, now));
        Some(Throttle { own, rule, held: 0, ready: now })
    }

    /// How many bytes may go through now, at most `most`; or how long until some may, at most
    /// [`LONGEST_WAIT`](super::LONGEST_WAIT).
    pub fn grant(&mut self, now: Instant, most: u64) -> Result<u64, Duration> {
        if now.saturating_duration_since(self.ready) > GRANT_LIFE {
            self.give_back(self.held);
        }
        if self.held == 0 {
            self.draw(now, most)?;
        }
        let wait = self.ready.saturating_duration_since(now);
        if wait.is_zero() { Ok(self.held.min(most)) } else { Err(wait) }
    }

    /// `n` bytes of the grant went through; the rest of it goes back.
    pub fn spend(&mut self, now: Instant, n: u64) {
        let n = n.min(self.held);
        if let Some(own) = &mut self.own {
            // There is as much as when it was granted, since no other connection takes from it.
            let _ = own.take(now, n);
        }
        self.give_back(self.held - n);
    }

    /// First waits for its own bucket, which is no other's, then for its turn at the
    /// rule's. Its own is charged when bytes go through: what is taken from it before a wait
    /// would be filled up meanwhile, and come on top of the burst.
    fn draw(&mut self, now: Instant, most: u64) -> Result<(), Duration> {
        let mut draw = Draw { amount: most, wait: Duration::ZERO };
        if let Some(own) = &mut self.own {
            let wait = own.wait_for(now, most.min(own.share()));
            if !wait.is_zero() {
                return Err(wait);
            }
            draw.amount = most.min(own.available(now));
        }
        if let Some(rule) = &self.rule {
            draw = rule.lock().draw(now, draw.amount);
            if draw.amount == 0 && !draw.wait.is_zero() {
                return Err(draw.wait);
            }
        }
        self.held = draw.amount;
        self.ready = now.checked_add(draw.wait).unwrap_or(now);
        Ok(())
    }

    fn give_back(&mut self, unspent: u64) {
        self.held = 0;
        if let Some(rule) = &self.rule {
            rule.lock().give_back(unspent);
        }
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        self.give_back(self.held);
    }
}

#[cfg(test)]
mod tests;
