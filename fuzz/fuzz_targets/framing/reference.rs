//! A framer whose steps are checked against a reference.

use std::mem;

use asyncore::{Framer, Step, Terminator, find_prefix_at_end};

use crate::script::{End, letters, terminator};

/// A framer, and the input that it has not passed on yet.
#[derive(Default)]
pub struct Checked<'a> {
    framer: Framer,
    terminator: Terminator,
    rest: Vec<u8>,
    message: Vec<u8>,
    messages: Vec<Vec<u8>>,
    /// The terminators of the messages to come, last to first.
    ends: Vec<End<'a>>,
}

impl<'a> Checked<'a> {
    /// Returns a framer that looks for `ends` in order.
    pub fn new(ends: &[End<'a>]) -> Self {
        let mut checked = Checked { ends: ends.iter().rev().copied().collect(), ..Self::default() };
        checked.next_end();
        checked
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        self.feed_until(bytes, usize::MAX);
    }

    /// Feeds `bytes`, takes at most `steps` steps, and puts back the rest.
    pub fn feed_until(&mut self, bytes: &[u8], steps: usize) {
        let data = letters(bytes);
        let mut input = &data[..];
        self.rest.extend_from_slice(input);
        let _ = (0..steps).all(|_| self.step(&mut input));
        self.framer.unread(input);
    }

    /// Feeds `bytes`, and changes the terminator after at most `steps` steps.
    pub fn feed_and_set(&mut self, bytes: &[u8], steps: usize, end: End<'_>) {
        let data = letters(bytes);
        let mut input = &data[..];
        self.rest.extend_from_slice(input);
        let _ = (0..steps).all(|_| self.step(&mut input));
        self.set(end);
        while self.step(&mut input) {}
    }

    pub fn set(&mut self, end: End<'_>) {
        self.terminator = terminator(end);
        self.framer.set_terminator(terminator(end));
    }

    pub fn clear(&mut self) {
        self.framer.clear();
        self.rest.clear();
    }

    /// Returns the complete messages, the start of the next one, and the input held back.
    pub fn result(self) -> (Vec<Vec<u8>>, Vec<u8>, Vec<u8>) {
        (self.messages, self.message, self.rest)
    }

    fn next_end(&mut self) {
        if let Some(end) = self.ends.pop() {
            self.set(end);
        }
    }

    /// Takes one step and checks that the reference allows it; returns false when the framer needs
    /// more input.
    fn step(&mut self, input: &mut &[u8]) -> bool {
        let (length, end) = self.examine();
        match self.framer.step(input) {
            Some(Step::Collect(data)) => {
                assert!(!data.is_empty() && data.len() <= length, "collected too much");
                assert!(
                    self.rest.drain(..data.len()).eq(data.iter().copied()),
                    "collected other bytes than were fed"
                );
                if let Terminator::Length(left) = &mut self.terminator {
                    *left -= data.len();
                }
                self.message.extend_from_slice(&data);
            }
            Some(Step::Found) => {
                assert_eq!(length, 0, "found before the message was complete");
                self.rest.drain(..end.expect("found a terminator that was not fed"));
                if let Terminator::Length(_) = self.terminator {
                    self.terminator = Terminator::None;
                }
                self.messages.push(mem::take(&mut self.message));
                self.next_end();
            }
            None => {
                assert_eq!((length, end), (0, None), "stopped too early");
                assert!(input.is_empty() && !self.framer.has_pending());
                return false;
            }
        }
        assert_eq!(self.framer.terminator(), self.terminator);
        true
    }

    /// Returns the length of the rest that certainly belongs to the message, and the length of the
    /// terminator after it, if it is complete.
    fn examine(&self) -> (usize, Option<usize>) {
        let rest = &self.rest;
        match &self.terminator {
            Terminator::Bytes(end) => match rest.windows(end.len()).position(|it| it == &end[..]) {
                Some(at) => (at, Some(end.len())),
                None => (rest.len() - find_prefix_at_end(rest, end), None),
            },
            Terminator::Length(length) if rest.len() >= *length => (*length, Some(0)),
            Terminator::Length(_) | Terminator::None => (rest.len(), None),
        }
    }
}
