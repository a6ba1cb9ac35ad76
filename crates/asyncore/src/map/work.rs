//! Queued work: notices to deliver and predicates to evaluate.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use crate::map::SocketMap;
use crate::poller::Interest;
use crate::slot::{Notices, Slot};
use crate::token::Key;

/// The channels with notices, and those whose predicates have to be evaluated.
#[derive(Default)]
pub(crate) struct WorkQueue {
    /// Channels with notices, in the order of their first notice.
    pub(crate) due: VecDeque<Key>,
    pub(crate) touched: Vec<Key>,
    /// Set once a predicate has consulted another channel.
    pub(crate) has_links: bool,
    /// The channel whose predicates run now; what they consult is recorded.
    evaluating: Cell<Option<Key>>,
    consulted: RefCell<Vec<Key>>,
}

impl WorkQueue {
    #[inline]
    fn note_touched(&mut self, slot: &mut Slot, key: Key) {
        if !slot.touched {
            slot.touched = true;
            self.touched.push(key);
        }
    }

    pub(crate) fn begin_recording(&mut self, key: Key) {
        self.evaluating.set(Some(key));
    }

    /// Ends the recording, and returns whether anything was consulted.
    pub(crate) fn end_recording(&mut self) -> bool {
        self.evaluating.set(None);
        !self.consulted.get_mut().is_empty()
    }

    /// Takes the list of consulted channels, to be drained and given back.
    pub(crate) fn take_consulted(&mut self) -> Vec<Key> {
        std::mem::take(self.consulted.get_mut())
    }

    pub(crate) fn give_back(&mut self, mut consulted: Vec<Key>) {
        consulted.clear();
        *self.consulted.get_mut() = consulted;
    }

    /// Records that the running predicate, if any, depends on the channel `key`.
    pub(crate) fn consult(&self, key: Key) {
        if self.evaluating.get().is_some_and(|evaluating| evaluating != key) {
            self.consulted.borrow_mut().push(key);
        }
    }
}

/// The channels that a channel's predicates consulted, and those whose predicates consulted it.
///
/// Both directions of each dependency are stored, so that recording and resolving one costs as many
/// steps as the channel has dependencies (few), not as it has dependents (perhaps thousands).
#[derive(Default)]
pub(crate) struct Links {
    pub(crate) consults: Vec<Key>,
    pub(crate) consulted_by: Vec<Key>,
}

impl SocketMap {
    /// Makes the loop evaluate the channel's predicates again, and lifts the suppression of
    /// readiness.
    pub(crate) fn touch(&mut self, key: Key) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        slot.suppressed = Interest::NONE;
        self.work.note_touched(slot, key);
    }

    /// Touches the channel unless it is settled, so that touching would change nothing.
    #[inline]
    pub(crate) fn touch_unsettled(&mut self, key: Key) {
        if self.slots.get(key).is_some_and(|slot| !slot.is_settled()) {
            self.touch(key);
        }
    }

    /// Makes the loop evaluate the channel's predicates again, without lifting the suppression of
    /// readiness.
    pub(crate) fn reconsider(&mut self, key: Key) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        self.work.note_touched(slot, key);
    }

    /// Adds a notice, which the loop delivers to the channel when no callback runs.
    pub(crate) fn note(&mut self, key: Key, notice: Notices) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        slot.notices.insert(notice);
        if !slot.is_due {
            slot.is_due = true;
            self.work.due.push_back(key);
        }
    }

    /// Touches the channels whose predicates have consulted this one.
    pub(crate) fn touch_dependents_of(&mut self, key: Key) {
        let Some(links) = self.slots.get_mut(key).and_then(|slot| slot.links.as_mut()) else {
            return;
        };
        let mut dependents = std::mem::take(&mut links.consulted_by);
        for dependent in dependents.drain(..) {
            if let Some(slot) = self.slots.get_mut(dependent) {
                if let Some(links) = slot.links.as_mut() {
                    links.consults.retain(|consulted| *consulted != key);
                }
            }
            self.touch(dependent);
        }
        if let Some(links) = self.slots.get_mut(key).and_then(|slot| slot.links.as_mut()) {
            links.consulted_by = dependents;
        }
    }

    /// Removes `notice` from the channel, and returns whether it was set.
    pub(crate) fn take_notice(&mut self, key: Key, notice: Notices) -> bool {
        self.slots.get_mut(key).is_some_and(|slot| slot.notices.take(notice))
    }
}
