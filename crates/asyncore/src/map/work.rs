//! Queued work: notices to deliver and predicates to ask again.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use crate::map::SocketMap;
use crate::poller::Interest;
use crate::slot::{Notices, Slot};
use crate::token::Key;

/// The channels with something due, and those whose predicates may answer differently now.
#[derive(Default)]
pub(crate) struct WorkQueue {
    /// Channels with notices, in the order in which they got the first.
    pub(crate) due: VecDeque<Key>,
    pub(crate) touched: Vec<Key>,
    /// Set once a predicate has consulted another channel.
    pub(crate) has_links: bool,
    /// The channel whose predicates run now; what they consult is recorded.
    asking: Cell<Option<Key>>,
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

/// The channels that a channel's predicates consulted, and those whose predicates consulted it.
///
/// Both ends of each dependency are kept, so that recording one again and resolving one cost
/// what the channel itself depends on (few), not how many depend on it (perhaps thousands).
#[derive(Default)]
pub(crate) struct Links {
    pub(crate) consults: Vec<Key>,
    pub(crate) consulted_by: Vec<Key>,
}

impl SocketMap {
    /// Says that the channel's predicates may answer differently from now on, and offers again
    /// what a callback left alone.
    pub(crate) fn touch(&mut self, key: Key) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        slot.suppressed = Interest::NONE;
        self.work.note_touched(slot, key);
    }

    /// Touches the channel unless it is known that nothing would come of it.
    #[inline]
    pub(crate) fn touch_unsettled(&mut self, key: Key) {
        if self.slots.get(key).is_some_and(|slot| !slot.is_settled()) {
            self.touch(key);
        }
    }

    /// Has the channel's predicates asked again, and leaves at rest what a callback left alone.
    pub(crate) fn reconsider(&mut self, key: Key) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        self.work.note_touched(slot, key);
    }

    /// Notes something to be delivered to the channel when no callback runs.
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

    /// Takes `notice` off the channel, and answers whether it was there.
    pub(crate) fn take_notice(&mut self, key: Key, notice: Notices) -> bool {
        self.slots.get_mut(key).is_some_and(|slot| slot.notices.take(notice))
    }
}
