use std::error::Error;
use std::{fmt, mem};

/// A buffer for the pieces of one incoming message, up to a limit.
///
/// It corresponds to Python's `_collect_incoming_data` and `_get_data`: collect in
/// `collect_incoming_data`, take in `found_terminator`.
///
/// # Differences from asynchat
///
/// Python's list of pieces has no limit, so a peer that never sends the terminator fills memory.
/// Here a message over the limit is an error, and the program decides how to treat the peer.
///
/// # Examples
///
/// ```
/// use asyncore::Accumulator;
///
/// let mut line = Accumulator::with_limit(8);
/// line.collect(b"hel")?;
/// line.collect(b"lo")?;
/// assert_eq!(line.take(), b"hello");
/// assert!(line.collect(b"far too long").is_err());
/// assert!(line.is_empty());
/// # Ok::<(), asyncore::TooLong>(())
/// ```
#[derive(Clone, Debug)]
pub struct Accumulator {
    data: Vec<u8>,
    limit: usize,
}

impl Accumulator {
    /// Maximum message length of [`Accumulator::new`]: 1 MiB.
    pub const DEFAULT_LIMIT: usize = 1 << 20;

    /// Creates an empty accumulator for messages of up to [`Accumulator::DEFAULT_LIMIT`] bytes.
    pub const fn new() -> Self {
        Self::with_limit(Self::DEFAULT_LIMIT)
    }

    /// Creates an empty accumulator for messages of up to `limit` bytes. Memory is allocated as
    /// data arrives.
    pub const fn with_limit(limit: usize) -> Self {
        Self { data: Vec::new(), limit }
    }

    /// Adds a piece to the message.
    ///
    /// # Errors
    ///
    /// [`TooLong`] if the message would exceed the limit. The accumulator then adds nothing of
    /// `data` and keeps what it collected before.
    pub fn collect(&mut self, data: &[u8]) -> Result<(), TooLong> {
        if data.len() > self.limit - self.data.len() {
            return Err(TooLong {
                limit: self.limit,
                size: self.data.len().saturating_add(data.len()),
            });
        }
        self.data.extend_from_slice(data);
        Ok(())
    }

    /// Takes the message and leaves the accumulator empty for the next one.
    pub fn take(&mut self) -> Vec<u8> {
        mem::take(&mut self.data)
    }

    /// Drops the collected bytes, and keeps their memory for the next message.
    pub fn clear(&mut self) {
        self.data.clear();
    }

    /// Returns the bytes collected so far.
    pub fn as_slice(&self) -> &[u8] {
        &self.data
    }

    /// Returns the number of bytes collected so far.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Returns `true` if nothing has been collected.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }
}

impl Default for Accumulator {
    fn default() -> Self {
        Self::new()
    }
}

/// The error for a message that exceeds the limit of its [`Accumulator`].
///
/// # Examples
///
/// ```
/// use asyncore::{Accumulator, Channel, Dispatcher, Error, TooLong};
///
/// let error = Accumulator::with_limit(4).collect(b"hello").unwrap_err();
/// assert_eq!((error.limit(), error.size()), (4, 5));
///
/// /// A `handle_error` that tells the peer before it closes.
/// fn handle_error(ch: &mut Channel<'_>, error: Error) {
///     if error.is::<TooLong>() {
///         ch.push(b"500 line too long\r\n");
///     }
///     ch.close_when_done();
/// }
/// # let _ = handle_error;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    limit: usize,
    size: usize,
}

impl TooLong {
    /// Returns the maximum message length, in bytes.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Returns the length of the message including the refused piece, in bytes.
    pub fn size(&self) -> usize {
        self.size
    }
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the incoming message is too long: {} bytes so far, the limit is {}; \
             if such messages are legitimate, create the accumulator with a higher limit",
            self.size, self.limit
        )
    }
}

impl Error for TooLong {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_exactly_the_limit_is_accepted() {
        let mut accumulator = Accumulator::with_limit(4);
        accumulator.collect(b"abc").unwrap();
        accumulator.collect(b"d").unwrap();
        accumulator.collect(b"").unwrap();
        assert_eq!(accumulator.as_slice(), b"abcd");
    }

    #[test]
    fn a_piece_over_the_limit_is_not_added() {
        let mut accumulator = Accumulator::with_limit(4);
        accumulator.collect(b"abc").unwrap();
        let error = accumulator.collect(b"de").unwrap_err();
        assert_eq!((error.limit(), error.size()), (4, 5));
        let sentence = error.to_string();
        assert!(sentence.contains("5 bytes so far, the limit is 4"), "{sentence}");
        assert_eq!((accumulator.as_slice(), accumulator.len()), (&b"abc"[..], 3));
    }

    #[test]
    fn take_and_clear_restore_the_whole_limit() {
        let mut accumulator = Accumulator::with_limit(3);
        accumulator.collect(b"abc").unwrap();
        assert_eq!(accumulator.take(), b"abc");
        accumulator.collect(b"def").unwrap();
        accumulator.clear();
        assert!(accumulator.is_empty());
        accumulator.collect(b"ghi").unwrap();
        assert_eq!(accumulator.take(), b"ghi");
        assert_eq!(accumulator.take(), b"");
    }

    #[test]
    fn the_default_limit_is_one_mebibyte() {
        let mut accumulator = Accumulator::default();
        accumulator.collect(&vec![0; 1_048_576]).unwrap();
        assert_eq!(accumulator.collect(b"x").unwrap_err().limit(), 1_048_576);
    }
}
