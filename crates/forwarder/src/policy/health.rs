//! Whether a target is well, from what connections and checks met there.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The rest after the first failed connection; every further failure doubles it.
pub const FIRST_REST: Duration = Duration::from_secs(1);
/// The longest rest.
pub const LONGEST_REST: Duration = Duration::from_secs(60);
/// Active checks that have to fail in a row before the target counts as down. One that succeeds
/// brings it back.
pub const FALL: u32 = 2;

/// The health of one target, shared by the workers.
///
/// **Passive**: a failed connection rests the target, for [`FIRST_REST`] at first and twice as
/// long each time up to [`LONGEST_REST`]. When the rest is over, one connection goes there (see
/// [`claim`](Self::claim)): if it succeeds all is well, if it fails the next rest begins. Of the
/// many connections that can be under way when a target goes away, only the first to fail counts:
/// the others say nothing new.
///
/// **Active**: [`FALL`] failed checks in a row make the target [`Down`](HealthState::Down), one
/// that succeeds makes it well and ends its rest. A client's connection does not lift what checks
/// found, because a check may ask for more than a connection.
///
/// Asking costs two atomic loads; only failures and what ends them take a lock.
///
/// ```
/// use std::time::{Duration, Instant};
/// use forwarder::policy::Health;
///
/// let now = Instant::now();
/// let health = Health::new(now);
/// assert_eq!(health.failed(now, now), Some(Duration::from_secs(1)));
/// assert!(!health.is_well(now));
/// health.succeeded();
/// assert!(health.is_well(now));
/// ```
#[derive(Debug)]
pub struct Health {
    epoch: Instant,
    /// When the rest ends, in nanoseconds after `epoch`; 0 is no rest. Written under `record`.
    rest_until: AtomicU64,
    down: AtomicBool,
    record: Mutex<Record>,
}

#[derive(Debug, Default)]
struct Record {
    /// Failures that counted since the last success.
    streak: u32,
    /// A failed connection counts if it began at this time or later.
    counts_from: u64,
    /// Checks that failed in a row.
    checks_failed: u32,
}

/// What [`Health`] comes to at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthState {
    /// It takes connections.
    Well,
    /// A connection failed; for `left` longer it gets none while others are well. Zero is a rest
    /// that is over without a success so far.
    Resting {
        /// How much of the rest is left.
        left: Duration,
    },
    /// Checks failed.
    Down,
}

impl Health {
    /// The health of a target that nothing is known about: well.
    pub fn new(now: Instant) -> Self {
        Health {
            epoch: now,
            rest_until: AtomicU64::new(0),
            down: AtomicBool::new(false),
            record: Mutex::default(),
        }
    }

    /// A connection that was begun at `began` was refused or timed out. Returns how long the
    /// target rests if this is what it rests for, `None` if it rested already.
    ///
    /// Only for what the target is to blame for: running out of descriptors here says nothing.
    pub fn failed(&self, now: Instant, began: Instant) -> Option<Duration> {
        let mut record = self.record();
        if record.streak > 0 && self.nanos(began) < record.counts_from {
            return None;
        }
        record.streak = record.streak.saturating_add(1);
        let rest = rest_after(record.streak);
        record.counts_from = self.nanos(now).saturating_add(nanos(rest));
        self.rest_until.store(record.counts_from, Relaxed);
        Some(rest)
    }

    /// A connection succeeded. Returns whether that ended a rest.
    pub fn succeeded(&self) -> bool {
        if self.rest_until.load(Relaxed) == 0 {
            return false;
        }
        let mut record = self.record();
        record.streak = 0;
        self.rest_until.swap(0, Relaxed) != 0
    }

    /// An active check failed. Returns whether the target went down by it.
    pub fn check_failed(&self) -> bool {
        let mut record = self.record();
        record.checks_failed = record.checks_failed.saturating_add(1);
        record.checks_failed >= FALL && !self.down.swap(true, Relaxed)
    }

    /// An active check succeeded. Returns whether the target was down or resting before.
    pub fn check_succeeded(&self) -> bool {
        let was_down = self.forget_checks();
        self.succeeded() || was_down
    }

    /// Undoes what checks found, for a rule that no longer checks. Returns whether the target was
    /// down.
    pub fn forget_checks(&self) -> bool {
        let mut record = self.record();
        record.checks_failed = 0;
        self.down.swap(false, Relaxed)
    }

    /// Takes leave to connect: true if the target is well, and for the first who asks after a
    /// rest. That one's connection decides how it goes on; until then, or for as long as the rest
    /// was, the others are told false.
    pub fn claim(&self, now: Instant) -> bool {
        if self.rest_until.load(Relaxed) == 0 {
            return !self.down.load(Relaxed);
        }
        let record = self.record();
        if !self.is_well(now) {
            return false;
        }
        if record.streak > 0 {
            let until = self.nanos(now).saturating_add(nanos(rest_after(record.streak)));
            self.rest_until.store(until, Relaxed);
        }
        true
    }

    /// Whether connections may go there: not down, and not in a rest.
    pub fn is_well(&self, now: Instant) -> bool {
        !self.down.load(Relaxed) && self.rest_until.load(Relaxed) <= self.nanos(now)
    }

    /// What to say about the target.
    pub fn state(&self, now: Instant) -> HealthState {
        let until = self.rest_until.load(Relaxed);
        if self.down.load(Relaxed) {
            HealthState::Down
        } else if until == 0 {
            HealthState::Well
        } else {
            let left = until.saturating_sub(self.nanos(now));
            HealthState::Resting { left: Duration::from_nanos(left) }
        }
    }

    /// A place in the order in which targets are tried when none is well: those that only rest
    /// before those that are down, then the one whose rest ends first.
    pub(super) fn last_resort(&self) -> (bool, u64) {
        (self.down.load(Relaxed), self.rest_until.load(Relaxed))
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time as nanoseconds from 1 on, so that 0 is free to mean none.
    fn nanos(&self, time: Instant) -> u64 {
        nanos(time.saturating_duration_since(self.epoch)).saturating_add(1)
    }
}

fn rest_after(streak: u32) -> Duration {
    let doublings = streak.saturating_sub(1).min(31);
    FIRST_REST.saturating_mul(1 << doublings).min(LONGEST_REST)
}

/// Nanoseconds, at most 584 years of them.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
