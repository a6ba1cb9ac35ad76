//! Bytes in both directions.

use std::iter::Sum;
use std::ops::{Add, AddAssign};

/// Bytes from client to target, and from target to client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bytes {
    pub(crate) up: u64,
    pub(crate) down: u64,
}

impl Bytes {
    /// The larger of each direction.
    pub(crate) fn max(self, other: Bytes) -> Bytes {
        Bytes { up: self.up.max(other.up), down: self.down.max(other.down) }
    }

    /// By how much each direction grew since `before`, for each second of `elapsed`.
    pub(crate) fn per_second_since(self, before: Bytes, elapsed: f64) -> Bytes {
        Bytes {
            up: per_second(self.up, before.up, elapsed),
            down: per_second(self.down, before.down, elapsed),
        }
    }
}

/// By how much a counter grew, for each second of `elapsed`.
pub(crate) fn per_second(now: u64, before: u64, elapsed: f64) -> u64 {
    // A float that does not fit, such as one divided by zero, becomes the nearest number.
    (now.saturating_sub(before) as f64 / elapsed).round() as u64
}

impl Add for Bytes {
    type Output = Bytes;

    fn add(self, other: Bytes) -> Bytes {
        Bytes { up: self.up + other.up, down: self.down + other.down }
    }
}

impl AddAssign for Bytes {
    fn add_assign(&mut self, other: Bytes) {
        *self = *self + other;
    }
}

impl Sum for Bytes {
    fn sum<I: Iterator<Item = Bytes>>(all: I) -> Bytes {
        all.fold(Bytes::default(), Add::add)
    }
}
