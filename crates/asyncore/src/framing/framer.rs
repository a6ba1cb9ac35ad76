use std::borrow::Cow;
use std::mem;

use super::delimiter::Delimiter;
use super::terminator::Terminator;

/// Splits a stream of bytes at its current [`Terminator`].
///
/// The caller feeds what it has read to [`Framer::step`] until that answers `None`, and acts on
/// each [`Step`]. Between two steps it may change the terminator, and the new one applies to the
/// very next byte of the stream: the one after what has been collected or found.
///
/// At the end of the input, bytes that may turn out to be the beginning of the terminator are
/// held back. Everything else is passed on at once, so the framer keeps no message: at most one
/// byte less than the terminator is held, and a message of any length costs no memory.
/// Every byte is looked at a constant number of times, however the input is cut into pieces.
///
/// # Differences from asynchat
///
/// - `Length(0)` is found at once, before any input.
/// - A terminator set while data is being collected replaces the one that is being looked for,
///   also when all of that one has been read already. Python reports the old one still, or
///   counts the new one down by what was collected.
/// - When the terminator is replaced while bytes are held, they are examined under the new one
///   right away (see [`Framer::has_pending`]); Python waits for the next read.
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

/// What [`Framer::step`] came upon.
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

/// The current terminator, and how far the stream has come towards it.
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

/// Input that comes before all other: bytes held for a terminator that was replaced since, and
/// what was put back.
#[derive(Clone, Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    start: usize,
}

impl Framer {
    /// A framer without a terminator: it collects everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what ends the message, from the next byte on.
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

    /// Drops the bytes that are held back or were put back. The terminator stays as it is.
    pub fn clear(&mut self) {
        if let Target::Delimiter(delimiter) = &mut self.target {
            delimiter.clear();
        }
        self.pending = Pending::default();
    }

    /// Puts back what [`Framer::step`] has left of its input, so that the stream goes on there
    /// although the caller cannot keep it: when a callback failed, for example.
    ///
    /// It is copied, and kept until it has been stepped through.
    pub fn unread(&mut self, input: &[u8]) {
        self.pending.push(input);
    }

    /// Takes out the bytes that are held back or were put back: input that has led to no step.
    pub(crate) fn take_unread(&mut self) -> Vec<u8> {
        let mut unread = match &self.target {
            Target::Delimiter(delimiter) => delimiter.held().to_vec(),
            Target::Length(_) | Target::None => Vec::new(),
        };
        unread.extend_from_slice(self.pending.unread());
        self.clear();
        unread
    }

    /// Takes the next step along the stream, and removes from the front of `input` what that
    /// step has dealt with.
    ///
    /// `None` means that more input is needed: `input` is empty then, and the next call wants
    /// what follows it in the stream. After `Some`, call again with the same `input`, even if it
    /// is empty by now.
    ///
    /// The terminator stays after it was found, except that a [`Terminator::Length`] becomes
    /// [`Terminator::None`] until the next one is set.
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

    /// The current terminator. For [`Terminator::Length`], how many bytes are still to come.
    pub fn terminator(&self) -> Terminator {
        match &self.target {
            Target::Delimiter(delimiter) => Terminator::Bytes(delimiter.needle().clone()),
            Target::Length(left) => Terminator::Length(*left),
            Target::None => Terminator::None,
        }
    }

    /// Whether [`Framer::step`] has something to do even without new input: a `Length(0)` to
    /// find, bytes held back for a terminator that was replaced since, or input put back.
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
