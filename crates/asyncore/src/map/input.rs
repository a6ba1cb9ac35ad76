//! The input that a dialogue is parsing.

use std::rc::Rc;

use crate::token::Key;

/// The input that a channel's dialogue parses now; its handler has seen only a part of it.
///
/// A callback can take the rest, when it moves the socket or the stream elsewhere.
///
/// INVARIANT: while a dialogue parses `input`, the last `input.len()` bytes here are `input`.
#[derive(Default)]
pub(crate) struct CurrentInput {
    key: Key,
    bytes: Option<Rc<Vec<u8>>>,
    end: usize,
    /// Number of bytes before `end` that are not parsed yet.
    left: usize,
}

impl CurrentInput {
    /// Records the received input of channel `key`: the first `end` of `bytes`.
    #[inline]
    pub(crate) fn begin(&mut self, key: Key, bytes: &Rc<Vec<u8>>, end: usize) {
        *self = CurrentInput { key, bytes: Some(Rc::clone(bytes)), end, left: 0 };
    }

    #[inline]
    pub(crate) fn end(&mut self) {
        self.bytes = None;
        self.left = 0;
    }

    /// Prepares to parse `input`, and copies it unless it is the input received last.
    pub(crate) fn begin_parsing(&mut self, key: Key, input: &[u8]) {
        if !self.ends_with(key, input) {
            self.begin(key, &Rc::new(input.to_vec()), input.len());
        }
        self.left = input.len();
    }

    fn ends_with(&self, key: Key, input: &[u8]) -> bool {
        let Some(bytes) = self.bytes.as_ref().filter(|_| self.key == key) else {
            return input.is_empty();
        };
        let start = self.end.checked_sub(input.len());
        start.is_some_and(|start| std::ptr::eq(bytes[start..self.end].as_ptr(), input.as_ptr()))
    }

    #[inline]
    pub(crate) fn left(&self) -> usize {
        self.left
    }

    #[inline]
    pub(crate) fn set_left(&mut self, left: usize) {
        self.left = left;
    }

    /// Takes the input that channel `key` has not parsed yet.
    pub(crate) fn take_rest(&mut self, key: Key) -> &[u8] {
        if self.key != key {
            return &[];
        }
        let left = std::mem::take(&mut self.left);
        self.bytes.as_ref().map_or(&[], |bytes| &bytes[self.end - left..self.end])
    }
}
