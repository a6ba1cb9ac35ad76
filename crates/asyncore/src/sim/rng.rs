//! The random number generator behind every decision of a simulated run.

use std::ops::Range;
use std::time::Duration;

/// A small deterministic random number generator (SplitMix64).
///
/// The library has its own because a seed printed by a failed test must replay the same run years
/// later: the stream must never change with the version of a dependency. It is not suitable for
/// cryptography.
pub(super) struct Rng(u64);

impl Rng {
    /// Creates a generator whose stream is determined by `seed`.
    pub(super) fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// Returns the next 64 random bits.
    pub(super) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from 0 up to, but not including, `bound`; 0 if `bound` is 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.next_u64()) * u128::from(bound);
        (product >> 64) as u64
    }

    /// Returns `true` with the given probability: never for 0.0 and below, always for 1.0 and
    /// above.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        let unit = (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        unit < probability
    }

    /// Shuffles `items`.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }

    /// Returns a random part of `whole`, at least 1, with the given probability; otherwise `whole`.
    pub(super) fn part(&mut self, whole: usize, probability: f64) -> usize {
        if whole > 1 && self.chance(probability) {
            1 + self.below(whole as u64) as usize
        } else {
            whole
        }
    }

    pub(super) fn duration(&mut self, range: &Range<Duration>) -> Duration {
        let width = range.end.saturating_sub(range.start).as_nanos();
        let offset = self.below(u64::try_from(width).unwrap_or(u64::MAX));
        range.start + Duration::from_nanos(offset)
    }
}
