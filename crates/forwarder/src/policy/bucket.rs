//! How much may happen a second.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The longest wait that is answered. The caller asks again after it.
pub const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// The burst a bucket of bytes has at least, so that a low rate does not cut reads to pieces.
pub const LEAST_BYTE_BURST: u64 = 64 * 1024;

/// Tokens are counted in billionths, so that a nanosecond's worth is a whole number at any rate.
const UNIT: i128 = 1_000_000_000;

/// A token bucket: so many tokens a second, and a burst of one second's worth at once.
///
/// Never more than `rate * t + burst` is given in any interval of length `t`, to the token: the
/// arithmetic is exact, and time that runs backwards, as between workers, adds nothing.
///
/// ```
/// use std::time::{Duration, Instant};
/// use forwarder::policy::Bucket;
///
/// let now = Instant::now();
/// let mut bucket = Bucket::events(10, now);
/// assert_eq!(bucket.take(now, 10), Ok(()));
/// let wait = bucket.take(now, 1).unwrap_err();
/// assert_eq!(wait, Duration::from_millis(100));
/// assert_eq!(bucket.take(now + wait, 1), Ok(()));
/// ```
#[derive(Clone, Debug)]
pub struct Bucket {
    rate: u64,
    least_burst: u64,
    /// What is in it, in billionths of a token; negative is promised with [`draw`](Self::draw).
    level: i128,
    updated: Instant,
}

/// Tokens taken by [`Bucket::draw`], to be used when `wait` is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// How many tokens.
    pub amount: u64,
    /// How long to wait before using them.
    pub wait: Duration,
}

impl Bucket {
    /// A full bucket of bytes; its burst is at least [`LEAST_BYTE_BURST`].
    pub fn bytes(rate: u64, now: Instant) -> Self {
        Bucket::full(rate, LEAST_BYTE_BURST, now)
    }

    /// A full bucket of events, such as connections. At a rate of 0 nothing ever happens.
    pub fn events(rate: u64, now: Instant) -> Self {
        Bucket::full(rate, 0, now)
    }

    fn full(rate: u64, least_burst: u64, now: Instant) -> Self {
        let mut bucket = Bucket { rate, least_burst, level: 0, updated: now };
        bucket.level = bucket.capacity();
        bucket
    }

    /// Takes `n` tokens, or none and says how long until there are so many, at most
    /// [`LONGEST_WAIT`]. More than [`burst`](Self::burst) there never are.
    pub fn take(&mut self, now: Instant, n: u64) -> Result<(), Duration> {
        let wait = self.wait_for(now, n);
        if !wait.is_zero() {
            return Err(wait);
        }
        self.level -= i128::from(n) * UNIT;
        Ok(())
    }

    /// Takes up to `most` tokens: what is there if that is worth while, and otherwise a small
    /// share of what comes, with the wait until it has.
    ///
    /// Worth while is a [`share`](Self::share). A waiting connection holds its share already: each of many
    /// waits once, in the order they came, and is not woken to find that another was quicker. Each
    /// that waits adds at most a hundredth of a second to the next one's wait (the time of one token
    /// at rates below 100). What would take [`LONGEST_WAIT`] is not given: the amount is 0 then.
    pub fn draw(&mut self, now: Instant, most: u64) -> Draw {
        let there = self.available(now);
        let share = most.min(self.share());
        let draw = if there >= share {
            Draw { amount: there.min(most), wait: Duration::ZERO }
        } else {
            match self.wait_for(now, share) {
                LONGEST_WAIT => return Draw { amount: 0, wait: LONGEST_WAIT },
                wait => Draw { amount: share, wait },
            }
        };
        self.level -= i128::from(draw.amount) * UNIT;
        draw
    }

    /// Puts back tokens that were taken and not used.
    pub fn give_back(&mut self, n: u64) {
        self.level = self.capacity().min(self.level + i128::from(n) * UNIT);
    }

    /// Goes on at another rate, with what is there as far as it fits. Waits that were answered
    /// before stay as they are.
    pub fn set_rate(&mut self, now: Instant, rate: u64) {
        self.refill(now);
        self.rate = rate;
        self.level = self.level.min(self.capacity());
    }

    /// How many tokens there are.
    pub fn available(&mut self, now: Instant) -> u64 {
        self.refill(now);
        u64::try_from(self.level / UNIT).unwrap_or(0)
    }

    /// How long until there are `n` tokens, at most [`LONGEST_WAIT`]; zero is now.
    pub fn wait_for(&mut self, now: Instant, n: u64) -> Duration {
        self.refill(now);
        let missing = i128::from(n) * UNIT - self.level;
        if missing <= 0 {
            return Duration::ZERO;
        }
        if self.rate == 0 || n > self.burst() {
            return LONGEST_WAIT;
        }
        let rate = i128::from(self.rate);
        let nanos = missing / rate + i128::from(missing % rate != 0);
        u64::try_from(nanos).map_or(LONGEST_WAIT, Duration::from_nanos).min(LONGEST_WAIT)
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.updated);
        if !elapsed.is_zero() {
            let elapsed = i128::try_from(elapsed.as_nanos()).unwrap_or(i128::MAX);
            let added = elapsed.saturating_mul(i128::from(self.rate));
            self.level = self.level.saturating_add(added).min(self.capacity());
            self.updated = now;
        }
    }

    fn capacity(&self) -> i128 {
        i128::from(self.burst()) * UNIT
    }

    /// Tokens a second.
    pub fn rate(&self) -> u64 {
        self.rate
    }

    /// The least that is worth waking up for: a hundredth of a second's worth, from 1 to 16,384
    /// tokens.
    pub fn share(&self) -> u64 {
        (self.rate / 100).clamp(1, 16 * 1024)
    }

    /// The most that can be taken at once: one second's worth, or the least burst.
    pub fn burst(&self) -> u64 {
        self.rate.max(self.least_burst)
    }
}

/// A [`Bucket`] that workers share.
#[derive(Debug)]
pub struct SharedBucket(Mutex<Bucket>);

impl SharedBucket {
    /// Shares `bucket`.
    pub fn new(bucket: Bucket) -> Self {
        SharedBucket(Mutex::new(bucket))
    }

    /// The bucket, for one operation: another worker may be next.
    pub fn lock(&self) -> MutexGuard<'_, Bucket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
