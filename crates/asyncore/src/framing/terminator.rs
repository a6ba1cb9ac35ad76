use std::borrow::Cow;

/// The condition that ends the message being received.
///
/// `into()` converts everything that Python's `set_terminator` takes: a byte string or a number.
///
/// # Differences from asynchat
///
/// `Length(0)` is found at once, so that a body of length 0 needs no special case. In Python a
/// terminator of 0 means the same as `None`: collect forever.
///
/// # Examples
///
/// ```
/// use asyncore::Terminator;
///
/// assert_eq!(Terminator::from(b"\r\n"), Terminator::from("\r\n"));
/// assert_eq!(Terminator::from(512), Terminator::Length(512));
/// assert_eq!(Terminator::from(""), Terminator::None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Terminator {
    /// The message ends where these bytes are found; they are not part of it. An empty byte
    /// string means [`Terminator::None`].
    Bytes(Cow<'static, [u8]>),
    /// The message ends after this many bytes.
    Length(usize),
    /// The message does not end: all input is collected.
    #[default]
    None,
}

impl Terminator {
    /// Maps an empty byte string, which would be found everywhere, to no terminator, like
    /// Python's `not terminator`.
    pub(super) fn normalized(self) -> Self {
        match self {
            Terminator::Bytes(bytes) if bytes.is_empty() => Terminator::None,
            other => other,
        }
    }
}

impl From<&'static [u8]> for Terminator {
    fn from(bytes: &'static [u8]) -> Self {
        Terminator::Bytes(Cow::Borrowed(bytes)).normalized()
    }
}

impl<const N: usize> From<&'static [u8; N]> for Terminator {
    fn from(bytes: &'static [u8; N]) -> Self {
        Terminator::from(bytes.as_slice())
    }
}

impl From<&'static str> for Terminator {
    fn from(text: &'static str) -> Self {
        Terminator::from(text.as_bytes())
    }
}

impl From<Vec<u8>> for Terminator {
    fn from(bytes: Vec<u8>) -> Self {
        Terminator::Bytes(Cow::Owned(bytes)).normalized()
    }
}

impl From<usize> for Terminator {
    fn from(length: usize) -> Self {
        Terminator::Length(length)
    }
}

/// Returns the length of the longest proper prefix of `needle` that `haystack` ends with.
///
/// This is the number of bytes to hold back at the end of a buffer because the rest of a
/// terminator may still come. The running time can grow with the square of `needle.len()`;
/// [`Framer`](crate::Framer) does the same in linear time.
///
/// # Differences from asynchat
///
/// The function is defined for every input: an empty `needle` gives 0 (Python: -1), and a
/// `haystack` that ends with the whole of `needle` gives the longest shorter prefix.
///
/// # Examples
///
/// ```
/// use asyncore::find_prefix_at_end;
///
/// assert_eq!(find_prefix_at_end(b"qwerty\r", b"\r\n"), 1);
/// assert_eq!(find_prefix_at_end(b"qwertydkjf", b"\r\n"), 0);
/// ```
pub fn find_prefix_at_end(haystack: &[u8], needle: &[u8]) -> usize {
    (1..needle.len()).rev().find(|&length| haystack.ends_with(&needle[..length])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_python_accepts_converts() {
        assert_eq!(Terminator::from(b"\n"), Terminator::Bytes(Cow::Borrowed(b"\n")));
        assert_eq!(Terminator::from(&b"\n"[..]), Terminator::Bytes(Cow::Borrowed(b"\n")));
        assert_eq!(Terminator::from(vec![b'\n']), Terminator::Bytes(Cow::Owned(vec![b'\n'])));
        assert_eq!(Terminator::from(7), Terminator::Length(7));
        assert_eq!(Terminator::default(), Terminator::None);
    }

    #[test]
    fn an_empty_byte_string_is_no_terminator() {
        assert_eq!(Terminator::from(b""), Terminator::None);
        assert_eq!(Terminator::from(Vec::new()), Terminator::None);
        assert_eq!(Terminator::Bytes(Cow::Borrowed(b"")).normalized(), Terminator::None);
    }

    #[test]
    fn the_longest_prefix_at_the_end_is_found() {
        assert_eq!(find_prefix_at_end(b"xaba", b"abab"), 3);
        assert_eq!(find_prefix_at_end(b"xaa", b"aab"), 2);
        assert_eq!(find_prefix_at_end(b"a", b"aab"), 1);
    }

    #[test]
    fn a_whole_needle_at_the_end_is_not_a_prefix() {
        assert_eq!(find_prefix_at_end(b"\r\n", b"\r\n"), 0);
        assert_eq!(find_prefix_at_end(b"abab", b"abab"), 2);
    }

    #[test]
    fn find_prefix_at_end_accepts_empty_input() {
        assert_eq!(find_prefix_at_end(b"", b""), 0);
        assert_eq!(find_prefix_at_end(b"abc", b""), 0);
        assert_eq!(find_prefix_at_end(b"", b"abc"), 0);
        assert_eq!(find_prefix_at_end(b"abc", b"c"), 0);
    }
}
