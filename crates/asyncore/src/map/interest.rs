//! From the predicates' answers to what the poller watches for.

use crate::channel::Channel;
use crate::error::context;
use crate::map::SocketMap;
use crate::poller::{AnyPoller, Interest, Source};
use crate::slot::{Notices, Phase};
use crate::token::Key;

impl SocketMap {
    /// Delivers what is due and asks the predicates of what was touched, until both are done.
    pub(crate) fn settle(&mut self) {
        loop {
            self.deliver_due();
            if self.flow.has_crossed() {
                self.reconsider_sources();
            }
            if self.agenda.touched.is_empty() {
                return;
            }
            self.touch_dependents();
            while let Some(key) = self.agenda.touched.pop() {
                self.update_interest(key);
            }
        }
    }

    /// Adds those whose predicates consulted a touched channel.
    ///
    /// One step is enough: asking a predicate changes no channel.
    fn touch_dependents(&mut self) {
        if !self.agenda.has_links {
            return;
        }
        for index in 0..self.agenda.touched.len() {
            self.touch_dependents_of(self.agenda.touched[index]);
        }
    }

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

    fn update_interest(&mut self, key: Key) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        slot.touched = false;
        let slot = &self.slots[key];
        let wanted = match slot.phase {
            Phase::Connecting => Interest::WRITE,
            Phase::Lingering => Interest::READ,
            Phase::Closed => return,
            Phase::Listening if slot.listener.as_ref().is_some_and(|it| it.paused) => {
                Interest::NONE
            }
            // An accepting socket is never writable, as in asyncore.
            Phase::Listening => self.ask(key).and(Interest::READ),
            Phase::Created | Phase::Connected if !slot.can_transfer() => Interest::NONE,
            // What still comes is thrown away, so that a peer that sends first and reads later
            // gets to reading.
            Phase::Created | Phase::Connected if slot.closing && slot.is_stream() => Interest::READ,
            Phase::Created | Phase::Connected if slot.closing => Interest::NONE,
            // The peer is gone, and nobody will read what it sent before.
            Phase::Created | Phase::Connected if slot.write_dead && self.is_held_back(key) => {
                return self.close_now(key, None);
            }
            // The end comes when all is read.
            Phase::Created | Phase::Connected if slot.write_dead => Interest::READ,
            Phase::Created | Phase::Connected => self.ask(key),
        };
        let wanted = self.without_held_back(key, wanted);
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        slot.wanted = wanted;
        let registration = slot.registration(wanted);
        self.register(key, registration);
    }

    /// `wanted` without reading, where the channel is paused or its sink is full.
    fn without_held_back(&self, key: Key, wanted: Interest) -> Interest {
        let Some(slot) = self.slots.get(key) else { return wanted };
        let reads = matches!(slot.phase, Phase::Created | Phase::Connected | Phase::Listening)
            && !slot.closing;
        if reads && self.is_held_back(key) { wanted.without(Interest::READ) } else { wanted }
    }

    /// Asks the channel's predicates, and records which other channels they consult.
    ///
    /// A handler whose predicates are the default ones is not called: their answers are known.
    fn ask(&mut self, key: Key) -> Interest {
        let slot = &self.slots[key];
        if slot.default_predicates.get() == Interest::READ | Interest::WRITE {
            return slot.default_answers();
        }
        self.agenda.begin_asking(key);
        let answers = self.lend(key, |handler, ch| {
            let ch: &Channel<'_> = ch;
            let mut wanted = Interest::NONE;
            if handler.readable(ch) {
                wanted = wanted | Interest::READ;
            }
            if handler.writable(ch) {
                wanted = wanted | Interest::WRITE;
            }
            wanted
        });
        self.record_consulted(key);
        match answers {
            Some(Ok(wanted)) => wanted,
            Some(Err(error)) => {
                // It would fail at every asking, so there is no way on for the channel.
                self.fail(key, error);
                self.note(key, Notices::CLOSE);
                Interest::NONE
            }
            None => Interest::NONE,
        }
    }

    fn record_consulted(&mut self, key: Key) {
        if !self.agenda.end_asking() {
            return;
        }
        self.agenda.has_links = true;
        let mut consulted = self.agenda.take_consulted();
        for other in consulted.drain(..) {
            let Some(slot) = self.slots.get_mut(key) else {
                break;
            };
            let links = slot.links.get_or_insert_default();
            if links.consults.contains(&other) {
                continue;
            }
            if self.slots.contains_key(other) {
                self.slots[key].links.get_or_insert_default().consults.push(other);
                self.slots[other].links.get_or_insert_default().consulted_by.push(key);
            }
        }
        self.agenda.give_back(consulted);
    }

    /// Makes the poller watch for `interest`, with no system call when it does already.
    pub(super) fn register(&mut self, key: Key, wanted: Option<Interest>) {
        let slot = &mut self.slots[key];
        if wanted == slot.registered {
            return;
        }
        let Some(transport) = &slot.transport else {
            return;
        };
        let (source, id) = (transport.source(), slotmap::Key::data(&key).as_ffi());
        let outcome = match (slot.registered, wanted) {
            _ if slot.always_ready => Ok(()),
            (_, None) => self.poller.delete(source),
            (None, Some(interest)) => self.poller.add(source, id, interest),
            (Some(_), Some(interest)) => self.poller.modify(source, id, interest),
        };
        match outcome {
            Ok(()) => {
                slot.registered = wanted;
                if wanted == Some(Interest::NONE) && !self.poller.reports_ends() {
                    self.check_end_later(key);
                }
            }
            Err(error) if is_never_blocking(&error) => {
                slot.registered = wanted;
                slot.always_ready = true;
                self.always_ready.push(key);
            }
            Err(error) => {
                self.fail(key, context(error, "cannot watch the channel").into());
                self.note(key, Notices::CLOSE);
            }
        }
    }

    /// Takes the channel off the poller; its descriptor stays open.
    pub(crate) fn deregister(&mut self, key: Key) {
        self.unwatch(key, |poller, source| {
            // It cannot fail for a source that was added, and nothing could be done.
            let _ = poller.delete(source);
        });
    }

    /// Takes the channel off the poller and closes its descriptor.
    pub(crate) fn close_transport(&mut self, key: Key) {
        let is_connection = self.slots.get(key).is_some_and(|it| it.phase != Phase::Listening);
        if is_connection {
            self.unwatch(key, AnyPoller::closing);
        } else {
            // Listeners are passed on to other processes, and this is no place to save a call.
            self.deregister(key);
        }
        if let Some(slot) = self.slots.get_mut(key) {
            slot.transport = None;
        }
    }

    fn unwatch(&mut self, key: Key, stop: impl FnOnce(&mut AnyPoller, Source<'_>)) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let registered = slot.registered.take();
        if std::mem::take(&mut slot.always_ready) {
            self.always_ready.retain(|other| *other != key);
        } else if let (Some(_), Some(transport)) = (registered, &slot.transport) {
            stop(&mut self.poller, transport.source());
        }
    }

    /// Asks everybody, and panics where an answer changed without the map being told.
    pub(crate) fn check_predicates(&mut self) {
        for key in self.slots.keys().collect::<Vec<_>>() {
            let slot = &self.slots[key];
            let asked = slot.phase == Phase::Listening || slot.can_transfer();
            let paused = slot.listener.as_ref().is_some_and(|it| it.paused);
            if !asked || slot.closing || slot.write_dead || paused {
                continue;
            }
            let before = slot.wanted;
            let now = match slot.phase {
                Phase::Listening => self.ask(key).and(Interest::READ),
                _ => self.ask(key),
            };
            let now = self.without_held_back(key, now);
            assert!(
                before == now,
                "the predicates of channel {:?} answered {before:?} and now answer {now:?}, \
                 though nothing touched it; call touch() on it when what they depend on changes",
                self.channel_mut(key),
            );
        }
    }
}

/// epoll and kqueue refuse what is always ready, such as regular files.
fn is_never_blocking(error: &std::io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::PERM)
}
