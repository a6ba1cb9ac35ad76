//! A framer that is watched step by step.

use std::mem;

use asyncore::{Framer, Step, Terminator, find_prefix_at_end};

use crate::script::{End, letters, terminator};

/// A framer, and everything that it has not passed on yet.
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
    /// A framer that is to look for `ends`, one after the other.
    pub fn new(ends: &[End<'a>]) -> Self {
        let mut checked = Checked { ends: ends.iter().rev().copied().collect(), ..Self::default() };
        checked.next_end();
        checked
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        self.feed_until(bytes, usize::MAX);
    }

    /// Feeds some bytes for so many steps, and puts back what is left then.
    pub fn feed_until(&mut self, bytes: &[u8], steps: usize) {
        let data = letters(bytes);
        let mut input = &data[..];
        self.rest.extend_from_slice(input);
        let _ = (0..steps).all(|_| self.step(&mut input));
        self.framer.unread(input);
    }

    /// Feeds some bytes, and changes the terminator after so many steps.
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

    /// The complete messages, the beginning of the next, and what is held back.
    pub fn result(self) -> (Vec<Vec<u8>>, Vec<u8>, Vec<u8>) {
        (self.messages, self.message, self.rest)
    }

    fn next_end(&mut self) {
        if let Some(end) = self.ends.pop() {
            self.set(end);
        }
    }

    /// Takes a step, which the reference must allow; false when there is none to take.
    fn step(&mut self, input: &mut &[u8]) -> bool {
        let (length, end) = self.examine();
        match self.framer.step(input) {
            Some(Step::Collect(data)) => {
                assert!(!data.is_empty() && data.len() <= length, "collected too much");
                assert!(self.rest.drain(..data.len()).eq(data.iter().copied()), "other bytes");
                if let Terminator::Length(left) = &mut self.terminator {
                    *left -= data.len();
                }
                self.message.extend_from_slice(&data);
            }
            Some(Step::Found) => {
                assert_eq!(length, 0, "found before the message was complete");
                self.rest.drain(..end.expect("the terminator is not there"));
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

    /// How much of the rest belongs to the message for certain, and the length of the terminator
    /// that follows, if it is there.
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
