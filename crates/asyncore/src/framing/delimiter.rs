use std::borrow::Cow;
use std::mem;

use memchr::memchr;
use memchr::memmem::Finder;

use super::borders::Borders;
use super::framer::{Step, collect};

/// A byte string being looked for in a stream, and how much of it the stream ended with so far.
#[derive(Clone, Debug)]
pub(super) struct Delimiter {
    needle: Cow<'static, [u8]>,
    /// Kept, because to prepare a search costs as much as to find the end of a short line.
    finder: Finder<'static>,
    borders: Borders,
    held: usize,
}

impl Delimiter {
    /// Looks for `needle`, which must not be empty.
    pub(super) fn new(needle: Cow<'static, [u8]>) -> Self {
        let finder = match &needle {
            Cow::Borrowed(bytes) => Finder::new(*bytes),
            Cow::Owned(bytes) => Finder::new(bytes).into_owned(),
        };
        Self { needle, finder, borders: Borders::default(), held: 0 }
    }

    /// Takes the next step along `input`, like [`Framer::step`](super::Framer::step).
    pub(super) fn scan<'d>(&mut self, input: &mut &'d [u8]) -> Option<Step<'d>> {
        if self.held > 0 { self.resume(input) } else { self.search(input) }
    }

    /// Forgets the bytes that are held back.
    pub(super) fn clear(&mut self) {
        self.held = 0;
    }

    /// The bytes looked for.
    pub(super) fn needle(&self) -> &Cow<'static, [u8]> {
        &self.needle
    }

    /// The bytes that are held back because they may be the beginning of the needle.
    pub(super) fn held(&self) -> &[u8] {
        &self.needle[..self.held]
    }

    /// Looks for a needle that lies in `input` from its beginning to its end.
    fn search<'d>(&mut self, input: &mut &'d [u8]) -> Option<Step<'d>> {
        // Also the quick way from a Collect to the Found behind it.
        if input.starts_with(&self.needle) {
            *input = &input[self.needle.len()..];
            return Some(Step::Found);
        }
        if let Some(at) = self.finder.find(input) {
            return Some(collect(input, at));
        }
        let tail = &input[input.len() - input.len().min(self.needle.len() - 1)..];
        // Without the needle's first byte nothing is held: the usual case, seen fast.
        if let Some(at) = memchr(self.needle[0], tail) {
            for &byte in &tail[at..] {
                self.held = self.borders.advance(&self.needle, self.held, byte);
            }
        }
        let data = input.len() - self.held;
        let step = (data > 0).then(|| collect(input, data));
        *input = &[];
        step
    }

    /// Goes on with a needle whose beginning is held, until it is complete or none of the held
    /// bytes can belong to it any more.
    fn resume<'d>(&mut self, input: &mut &'d [u8]) -> Option<Step<'d>> {
        let mut matched = self.held;
        for (index, &byte) in input.iter().enumerate() {
            let taken = index + 1;
            matched = self.borders.advance(&self.needle, matched, byte);
            if matched <= taken {
                // The needle, if it is there, lies within `input`, where `search` will find it.
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

    /// Held bytes are the beginning of the needle, so a static one lends them without a copy.
    fn collect_held<'d>(&self, length: usize) -> Step<'d> {
        Step::Collect(match &self.needle {
            Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[..length]),
            Cow::Owned(bytes) => Cow::Owned(bytes[..length].to_vec()),
        })
    }
}
