use std::borrow::Cow;
use std::mem;

use memchr::memchr;
use memchr::memmem::Finder;

use super::failure::FailureFunction;
use super::framer::{Step, collect};

/// A byte string to find in a stream, and the length of the partial match at the stream's end.
#[derive(Clone, Debug)]
pub(super) struct Delimiter {
    needle: Cow<'static, [u8]>,
    /// Kept because preparing a search costs as much as finding the end of a short line.
    finder: Finder<'static>,
    failure: FailureFunction,
    held: usize,
}

impl Delimiter {
    /// Creates a search for `needle`, which must not be empty.
    pub(super) fn new(needle: Cow<'static, [u8]>) -> Self {
        let finder = match &needle {
            Cow::Borrowed(bytes) => Finder::new(*bytes),
            Cow::Owned(bytes) => Finder::new(bytes).into_owned(),
        };
        Self { needle, finder, failure: FailureFunction::default(), held: 0 }
    }

    /// Takes the next step along `input`, like [`Framer::step`](super::Framer::step).
    pub(super) fn scan<'d>(&mut self, input: &mut &'d [u8]) -> Option<Step<'d>> {
        if self.held > 0 { self.resume(input) } else { self.search(input) }
    }

    /// Drops the bytes that are held back.
    pub(super) fn clear(&mut self) {
        self.held = 0;
    }

    /// Returns the bytes to find.
    pub(super) fn needle(&self) -> &Cow<'static, [u8]> {
        &self.needle
    }

    /// Returns the bytes that are held back because they may be the beginning of the needle.
    pub(super) fn held(&self) -> &[u8] {
        &self.needle[..self.held]
    }

    /// Searches `input` for a whole needle, and holds back a partial one at its end.
    fn search<'d>(&mut self, input: &mut &'d [u8]) -> Option<Step<'d>> {
        // This is also the fast path from a Collect to the Found that follows it.
        if input.starts_with(&self.needle) {
            *input = &input[self.needle.len()..];
            return Some(Step::Found);
        }
        if let Some(at) = self.finder.find(input) {
            return Some(collect(input, at));
        }
        let tail = &input[input.len() - input.len().min(self.needle.len() - 1)..];
        // Fast path for the usual case: without the needle's first byte, nothing is held.
        if let Some(at) = memchr(self.needle[0], tail) {
            for &byte in &tail[at..] {
                self.held = self.failure.advance(&self.needle, self.held, byte);
            }
        }
        let data = input.len() - self.held;
        let step = (data > 0).then(|| collect(input, data));
        *input = &[];
        step
    }

    /// Continues a partial match until the needle is complete or none of the held bytes can belong
    /// to it any more.
    fn resume<'d>(&mut self, input: &mut &'d [u8]) -> Option<Step<'d>> {
        let mut matched = self.held;
        for (index, &byte) in input.iter().enumerate() {
            let taken = index + 1;
            matched = self.failure.advance(&self.needle, matched, byte);
            if matched <= taken {
                // A needle can now only lie within `input`, where `search` finds it.
                let data = mem::take(&mut self.held);
                return Some(self.collect_held(data));
            }
            if matched == self.needle.len() {
                let data = self.held + taken - matched;
                if data > 0 {
                    self.held -= data;
                    return Some(self.collect_held(data));
                }
                self.held = 0;
                *input = &input[taken..];
                return Some(Step::Found);
            }
        }
        let data = self.held + input.len() - matched;
        self.held = matched;
        *input = &[];
        (data > 0).then(|| self.collect_held(data))
    }

    /// Collects the first `length` held bytes. They are a prefix of the needle, so a static needle
    /// lends them without a copy.
    fn collect_held<'d>(&self, length: usize) -> Step<'d> {
        Step::Collect(match &self.needle {
            Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[..length]),
            Cow::Owned(bytes) => Cow::Owned(bytes[..length].to_vec()),
        })
    }
}
