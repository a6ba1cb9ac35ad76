//! The scripts that the fuzzer generates.

use arbitrary::Arbitrary;
use asyncore::Terminator;

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum End<'a> {
    Static(u8),
    Owned(&'a [u8]),
    Length(u8),
    Never,
}

#[derive(Arbitrary, Debug)]
pub enum Op<'a> {
    Feed(&'a [u8]),
    FeedUntil(&'a [u8], u8),
    FeedAndSet(&'a [u8], u8, End<'a>),
    Set(End<'a>),
    Clear,
}

#[derive(Arbitrary, Debug)]
pub struct Script<'a> {
    pub ops: Vec<Op<'a>>,
    /// The terminators of the messages, in order.
    pub ends: Vec<End<'a>>,
    pub pieces: Vec<&'a [u8]>,
}

const NEEDLES: [&[u8]; 6] = [b"a", b"ab", b"aab", b"abab", b"aabaaab", b"abcabd"];

/// Maps `bytes` to an alphabet of four letters, so that full, partial and overlapping terminators
/// are frequent.
pub fn letters(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| b'a' + byte % 4).collect()
}

pub fn terminator(end: End<'_>) -> Terminator {
    match end {
        End::Static(which) => NEEDLES[usize::from(which) % NEEDLES.len()].into(),
        End::Owned(bytes) => letters(bytes).into(),
        End::Length(length) => usize::from(length).into(),
        End::Never => Terminator::None,
    }
}
