/// The failure function of the Knuth-Morris-Pratt algorithm: the shorter match that a partial
/// match falls back to when the next byte does not fit.
///
/// A border of a string is a proper prefix of it that is also a suffix.
#[derive(Clone, Debug, Default)]
pub(super) struct FailureFunction {
    /// At `i`, the length of the longest border of the first `i + 1` bytes. Computed on the first
    /// mismatch, since most streams never split a terminator.
    lengths: Vec<usize>,
}

impl FailureFunction {
    /// Returns how many bytes of `needle` are matched after `byte`, given that `matched` bytes
    /// were matched before it. Takes constant time per byte, averaged over a stream.
    ///
    /// `needle` must be the same in every call, and `matched` less than its length.
    pub(super) fn advance(&mut self, needle: &[u8], matched: usize, byte: u8) -> usize {
        if matched > 0 && needle[matched] != byte && self.lengths.is_empty() {
            self.fill(needle);
        }
        self.extend_match(needle, matched, byte)
    }

    fn fill(&mut self, needle: &[u8]) {
        self.lengths.reserve(needle.len());
        self.lengths.push(0);
        let mut border = 0;
        for &byte in &needle[1..] {
            border = self.extend_match(needle, border, byte);
            self.lengths.push(border);
        }
    }

    fn extend_match(&self, needle: &[u8], mut matched: usize, byte: u8) -> usize {
        while matched > 0 && needle[matched] != byte {
            matched = self.lengths[matched - 1];
        }
        matched + usize::from(needle[matched] == byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(needle: &[u8]) -> Vec<usize> {
        let mut failure = FailureFunction::default();
        failure.fill(needle);
        failure.lengths
    }

    #[test]
    fn the_table_holds_the_longest_borders() {
        assert_eq!(table(b"a"), [0]);
        assert_eq!(table(b"aab"), [0, 1, 0]);
        assert_eq!(table(b"abab"), [0, 0, 1, 2]);
        assert_eq!(table(b"aabaaab"), [0, 1, 0, 1, 2, 2, 3]);
    }

    #[test]
    fn a_mismatch_falls_back_to_the_longest_border_that_fits() {
        let mut failure = FailureFunction::default();
        assert_eq!(failure.advance(b"aab", 2, b'a'), 2);
        assert_eq!(failure.advance(b"aab", 2, b'b'), 3);
        assert_eq!(failure.advance(b"aab", 2, b'x'), 0);
    }

    #[test]
    fn no_table_is_computed_without_a_mismatch() {
        let mut failure = FailureFunction::default();
        assert_eq!(failure.advance(b"\r\n", 0, b'x'), 0);
        assert_eq!(failure.advance(b"\r\n", 0, b'\r'), 1);
        assert_eq!(failure.advance(b"\r\n", 1, b'\n'), 2);
        assert!(failure.lengths.is_empty());
    }
}
