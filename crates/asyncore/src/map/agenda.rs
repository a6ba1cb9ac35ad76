//! What the loop has to come back to: notices to deliver and predicates to ask again.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use crate::token::Key;

/// The channels with something due, and those whose predicates may answer differently now.
#[derive(Default)]
pub(crate) struct Agenda {
    /// Channels with notices, in the order in which they got the first.
    pub(crate) due: VecDeque<Key>,
    pub(crate) touched: Vec<Key>,
    /// Whether any predicate has ever consulted another channel.
    pub(crate) has_links: bool,
    /// Whose predicates run now, so that what they consult is recorded.
    asking: Cell<Option<Key>>,
    consulted: RefCell<Vec<Key>>,
}

impl Agenda {
    pub(crate) fn begin_asking(&mut self, key: Key) {
        self.asking.set(Some(key));
    }

    /// Ends the recording, and tells whether anything was consulted.
    pub(crate) fn end_asking(&mut self) -> bool {
        self.asking.set(None);
        !self.consulted.get_mut().is_empty()
    }

    /// The list of what was consulted, to be drained and given back.
    pub(crate) fn take_consulted(&mut self) -> Vec<Key> {
        std::mem::take(self.consulted.get_mut())
    }

    pub(crate) fn give_back(&mut self, mut consulted: Vec<Key>) {
        consulted.clear();
        *self.consulted.get_mut() = consulted;
    }

    /// Notes that a predicate, if one runs, depends on the channel `key`.
    pub(crate) fn consult(&self, key: Key) {
        if self.asking.get().is_some_and(|asking| asking != key) {
            self.consulted.borrow_mut().push(key);
        }
    }
}

/// Which channels a channel's predicates consulted, and whose predicates consulted it.
///
/// Both ends of each dependency are kept, so that recording one again and resolving one cost
/// what the channel itself depends on (few), not how many depend on it (perhaps thousands).
#[derive(Default)]
pub(crate) struct Links {
    pub(crate) consults: Vec<Key>,
    pub(crate) consulted_by: Vec<Key>,
}
