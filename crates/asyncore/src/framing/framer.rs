use std::borrow::Cow;
use std::mem;

use super::delimiter::Delimiter;
use super::terminator::Terminator;

/// Splits a stream of bytes at its current [`Terminator`].
///
/// The caller passes the bytes it has read to [`Framer::step`] until that returns `None`, and
/// handles each [`Step`]. Between two steps it may change the terminator. The new one applies to
/// the very next byte of the stream: the one after the bytes already collected or found.
///
/// At the end of the input, the framer holds back bytes that may be the beginning of the
/// terminator. It passes everything else on at once and never stores a message: it holds at most
/// one byte less than the terminator, and a message of any length costs no memory.
/// Each byte takes constant time, averaged over the stream, however the input is cut into pieces.
///
/// # Differences from asynchat
///
/// - `Length(0)` is found at once, before any input.
/// - A terminator set while data is being collected replaces the current one, even if the current
///   one has been read completely. Python still reports the old one, or counts the new one down
///   by the number of bytes collected.
/// - When the terminator is replaced while bytes are held, they are matched against the new one
///   immediately (see [`Framer::has_pending`]); Python waits for the next read.
///
/// # Examples
///
/// ```
/// use asyncore::{Framer, Step, Terminator};
///
/// let mut framer = Framer::new();
/// framer.set_terminator(Terminator::from(b"\r\n"));
/// let (mut line, mut lines) = (Vec::new(), Vec::new());
/// for mut input in [&b"EHLO exam"[..], b"ple.org\r", b"\nQUIT\r\n"] {
///     while let Some(step) = framer.step(&mut input) {
///         match step {
///             Step::Collect(data) => line.extend_from_slice(&data),
///             Step::Found => lines.push(std::mem::take(&mut line)),
///         }
///     }
/// }
/// assert_eq!(lines, [&b"EHLO example.org"[..], b"QUIT"]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Framer {
    target: Target,
    pending: Pending,
}

/// One result of [`Framer::step`].
///
/// # Examples
///
/// ```
/// use asyncore::{Framer, Step, Terminator};
///
/// let mut framer = Framer::new();
/// framer.set_terminator(Terminator::from(b"\n"));
/// let mut input = &b"line\n"[..];
/// assert_eq!(framer.step(&mut input), Some(Step::Collect(b"line".into())));
/// assert_eq!(framer.step(&mut input), Some(Step::Found));
/// assert_eq!(framer.step(&mut input), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<'d> {
    /// The next piece of the message, never empty.
    Collect(Cow<'d, [u8]>),
    /// The terminator: the message is complete.
    Found,
}

/// The current terminator and the progress towards it.
#[derive(Clone, Debug, Default)]
#[allow(
    clippy::large_enum_variant,
    reason = "a box would cost an allocation each time the terminator changes"
)]
enum Target {
    Delimiter(Delimiter),
    Length(usize),
    #[default]
    None,
}

/// Input to process before any new input: bytes that were held for a terminator replaced since,
/// and bytes that were put back.
#[derive(Clone, Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    start: usize,
}

impl Framer {
    /// Creates a framer without a terminator, which collects everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the terminator that applies from the next byte on.
    pub fn set_terminator(&mut self, terminator: Terminator) {
        if let Target::Delimiter(replaced) = &self.target {
            if !replaced.held().is_empty() {
                self.pending.push_front(replaced.held());
            }
        }
        self.target = match terminator.normalized() {
            Terminator::Bytes(bytes) => Target::Delimiter(Delimiter::new(bytes)),
            Terminator::Length(length) => Target::Length(length),
            Terminator::None => Target::None,
        };
    }

    /// Drops the bytes that are held back or were put back. The terminator does not change.
    pub fn clear(&mut self) {
        if let Target::Delimiter(delimiter) = &mut self.target {
            delimiter.clear();
        }
        self.pending = Pending::default();
    }

    /// Puts back the input that [`Framer::step`] has left, so that the stream continues there
    /// even if the caller cannot keep the input: when a callback failed, for example.
    ///
    /// The framer copies the bytes and keeps them until it has stepped through them.
    pub fn unread(&mut self, input: &[u8]) {
        self.pending.push(input);
    }

    /// Takes out the bytes that are held back or were put back: input not yet part of a step.
    pub(crate) fn take_unread(&mut self) -> Vec<u8> {
        let mut unread = match &self.target {
            Target::Delimiter(delimiter) => delimiter.held().to_vec(),
            Target::Length(_) | Target::None => Vec::new(),
        };
        unread.extend_from_slice(self.pending.unread());
        self.clear();
        unread
    }

    /// Takes the next step along the stream, and removes the bytes of that step from the front of
    /// `input`.
    ///
    /// `None` means that more input is needed: `input` is then empty, and the next call must pass
    /// the bytes that follow it in the stream. After `Some`, call again with the same `input`,
    /// even if it is now empty.
    ///
    /// The terminator remains set after it was found, except that a [`Terminator::Length`]
    /// becomes [`Terminator::None`] until the next one is set.
    pub fn step<'d>(&mut self, input: &mut &'d [u8]) -> Option<Step<'d>> {
        if !self.pending.is_empty() {
            let mut pending = mem::take(&mut self.pending);
            let mut rest = pending.unread();
            let step = self.scan(&mut rest).map(Step::into_owned);
            if !rest.is_empty() {
                pending.start = pending.bytes.len() - rest.len();
                self.pending = pending;
            }
            if step.is_some() {
                return step;
            }
        }
        self.scan(input)
    }

    /// Returns the current terminator. A [`Terminator::Length`] holds the number of bytes still
    /// to come.
    pub fn terminator(&self) -> Terminator {
        match &self.target {
            Target::Delimiter(delimiter) => Terminator::Bytes(delimiter.needle().clone()),
            Target::Length(left) => Terminator::Length(*left),
            Target::None => Terminator::None,
        }
    }

    /// Returns `true` if [`Framer::step`] has work even without new input: a `Length(0)` to find,
    /// bytes that were held for a terminator replaced since, or input that was put back.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty() || matches!(self.target, Target::Length(0))
    }

    fn scan<'d>(&mut self, input: &mut &'d [u8]) -> Option<Step<'d>> {
        match &mut self.target {
            Target::Length(0) => {
                self.target = Target::None;
                Some(Step::Found)
            }
            _ if input.is_empty() => None,
            Target::Delimiter(delimiter) => delimiter.scan(input),
            Target::Length(left) => {
                let length = input.len().min(*left);
                *left -= length;
                Some(collect(input, length))
            }
            Target::None => Some(collect(input, input.len())),
        }
    }
}

impl Step<'_> {
    fn into_owned(self) -> Step<'static> {
        match self {
            Step::Collect(data) => Step::Collect(Cow::Owned(data.into_owned())),
            Step::Found => Step::Found,
        }
    }
}

impl Pending {
    fn push_front(&mut self, data: &[u8]) {
        self.bytes.splice(..self.start, data.iter().copied());
        self.start = 0;
    }

    fn push(&mut self, data: &[u8]) {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(data);
    }

    fn unread(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }
}

/// Collects the first `length` bytes of `input`.
pub(super) fn collect<'d>(input: &mut &'d [u8], length: usize) -> Step<'d> {
    let (data, rest) = input.split_at(length);
    *input = rest;
    Step::Collect(Cow::Borrowed(data))
}

#[cfg(test)]
mod tests;
