//! Whether a target is up, from what connections and health checks met there.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a target backs off after the first failed connection; every further failure doubles it.
pub const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// The longest time for which a target backs off.
pub const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// Active checks that have to fail in a row before the target counts as down. One that succeeds
/// brings it back.
pub const FALL: u32 = 2;

/// The health of one target, shared by the workers.
///
/// **Passive**: after a failed connection the target backs off, for [`FIRST_BACKOFF`] at first and twice as
/// long each time up to [`LONGEST_BACKOFF`]. After that, one connection goes there (see
/// [`claim`](Self::claim)): if it succeeds the target is up, if it fails it backs off again. Of the
/// many connections that can be under way when a target goes away, only the first to fail counts:
/// the others say nothing new.
///
/// **Active**: [`FALL`] failed checks in a row make the target [`Down`](HealthState::Down), one
/// that succeeds brings it up and ends its backing off. A client's connection does not lift what checks
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
/// assert!(!health.is_up(now));
/// health.succeeded();
/// assert!(health.is_up(now));
/// ```
#[derive(Debug)]
pub struct Health {
    epoch: Instant,
    /// When backing off ends, in nanoseconds after `epoch`; 0 is never. Written under `record`.
    backoff_until: AtomicU64,
    down: AtomicBool,
    /// It was used or checked.
    known: AtomicBool,
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
    /// It was not used or checked so far. It takes connections.
    Unknown,
    /// It takes connections, as the last one or a check has shown.
    Up,
    /// A connection failed; for `left` longer it gets none while others are up. Zero is a time that
    /// is over without a success so far.
    BackingOff {
        /// How much of the time is left.
        left: Duration,
    },
    /// Checks failed.
    Down,
}

impl Health {
    /// The health of a target that nothing is known about.
    pub fn new(now: Instant) -> Self {
        Health {
            epoch: now,
            backoff_until: AtomicU64::new(0),
            down: AtomicBool::new(false),
            known: AtomicBool::new(false),
            record: Mutex::default(),
        }
    }

    /// A connection that was begun at `began` was refused or timed out. Returns how long the
    /// target backs off if it does for this, `None` if it did already.
    ///
    /// Only for what the target is to blame for: running out of descriptors here says nothing.
    pub fn failed(&self, now: Instant, began: Instant) -> Option<Duration> {
        let mut record = self.record();
        if record.streak > 0 && self.nanos(began) < record.counts_from {
            return None;
        }
        record.streak = record.streak.saturating_add(1);
        let backoff = backoff_after(record.streak);
        record.counts_from = self.nanos(now).saturating_add(nanos(backoff));
        self.backoff_until.store(record.counts_from, Relaxed);
        Some(backoff)
    }

    /// A connection succeeded. Returns whether that ended a time of backing off.
    pub fn succeeded(&self) -> bool {
        if !self.known.load(Relaxed) {
            self.known.store(true, Relaxed);
        }
        if self.backoff_until.load(Relaxed) == 0 {
            return false;
        }
        let mut record = self.record();
        record.streak = 0;
        self.backoff_until.swap(0, Relaxed) != 0
    }

    /// An active check failed. Returns whether the target went down by it.
    pub fn check_failed(&self) -> bool {
        let mut record = self.record();
        record.checks_failed = record.checks_failed.saturating_add(1);
        record.checks_failed >= FALL && !self.down.swap(true, Relaxed)
    }

    /// An active check succeeded. Returns whether the target was down or backing off.
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

    /// Takes leave to connect: true if the target is up, and for the first caller after it backed
    /// off. That connection decides how it goes on; until then, or for as long as the target backed
    /// off, the answer is false.
    pub fn claim(&self, now: Instant) -> bool {
        if self.backoff_until.load(Relaxed) == 0 {
            return !self.down.load(Relaxed);
        }
        let record = self.record();
        if !self.is_up(now) {
            return false;
        }
        if record.streak > 0 {
            let until = self.nanos(now).saturating_add(nanos(backoff_after(record.streak)));
            self.backoff_until.store(until, Relaxed);
        }
        true
    }

    /// Whether connections may go there: not down, and not backing off.
    pub fn is_up(&self, now: Instant) -> bool {
        !self.down.load(Relaxed) && self.backoff_until.load(Relaxed) <= self.nanos(now)
    }

    /// What to say about the target.
    pub fn state(&self, now: Instant) -> HealthState {
        let until = self.backoff_until.load(Relaxed);
        if self.down.load(Relaxed) {
            HealthState::Down
        } else if until == 0 && !self.known.load(Relaxed) {
            HealthState::Unknown
        } else if until == 0 {
            HealthState::Up
        } else {
            let left = until.saturating_sub(self.nanos(now));
            HealthState::BackingOff { left: Duration::from_nanos(left) }
        }
    }

    /// A place in the order in which targets are tried when none is up: those that back off before
    /// those that are down, then the one that has backed off first.
    pub(super) fn last_resort(&self) -> (bool, u64) {
        (self.down.load(Relaxed), self.backoff_until.load(Relaxed))
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time as nanoseconds from 1 on, so that 0 is free to mean none.
    fn nanos(&self, time: Instant) -> u64 {
        nanos(time.saturating_duration_since(self.epoch)).saturating_add(1)
    }
}

fn backoff_after(streak: u32) -> Duration {
    let doublings = streak.saturating_sub(1).min(31);
    FIRST_BACKOFF.saturating_mul(1 << doublings).min(LONGEST_BACKOFF)
}

/// Nanoseconds, at most 584 years of them.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
