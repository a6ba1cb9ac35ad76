//! Settling: evaluating predicates and registering the interest with the poller.

use crate::channel::Channel;
use crate::connection::Phase;
use crate::event_loop::EventLoop;
use crate::poller::Interest;
use crate::slot::Notices;
use crate::token::Key;

impl EventLoop {
    /// Delivers notices and evaluates the predicates of touched channels, until nothing is left of
    /// either.
    pub(super) fn settle(&mut self) {
        loop {
            self.deliver_due();
            if self.map.flow.has_crossed() {
                self.map.reconsider_sources();
            }
            if self.map.work.touched.is_empty() {
                return;
            }
            self.touch_dependents();
            while let Some(key) = self.map.work.touched.pop() {
                self.update_interest(key);
            }
        }
    }

    /// Touches the channels whose predicates consulted a touched channel.
    ///
    /// One step is enough, because a predicate cannot change a channel.
    fn touch_dependents(&mut self) {
        if !self.map.work.has_links {
            return;
        }
        for index in 0..self.map.work.touched.len() {
            self.map.touch_dependents_of(self.map.work.touched[index]);
        }
    }

    fn update_interest(&mut self, key: Key) {
        let Some(slot) = self.map.slots.get_mut(key) else {
            return;
        };
        slot.touched = false;
        if slot.layered().is_some() {
            self.map.settle_layers(key);
        }
        let slot = &self.map.slots[key];
        let wanted = match slot.connection.phase() {
            Phase::Connecting => Interest::WRITE,
            Phase::Handshaking => Interest::READ,
            Phase::Lingering => Interest::READ,
            Phase::Closed => return,
            Phase::Listening if slot.listener.as_ref().is_some_and(|it| it.paused) => {
                Interest::NONE
            }
            // An accepting socket is never writable, as in asyncore.
            Phase::Listening => self.evaluate_predicates(key).and(Interest::READ),
            Phase::Created | Phase::Connected if !slot.connection.can_transfer() => Interest::NONE,
            // Input is discarded, so that a peer that sends first and reads later starts to read.
            Phase::Created | Phase::Connected
                if slot.connection.is_closing() && slot.connection.is_stream() =>
            {
                Interest::READ
            }
            Phase::Created | Phase::Connected if slot.connection.is_closing() => Interest::NONE,
            // The peer is gone, and the input received before will not be read.
            Phase::Created | Phase::Connected
                if slot.connection.output_failed() && self.map.is_held_back(key) =>
            {
                return self.map.close_now(key, None);
            }
            // The channel ends when all input is read.
            Phase::Created | Phase::Connected if slot.connection.output_failed() => Interest::READ,
            Phase::Created | Phase::Connected => self.evaluate_predicates(key),
        };
        let wanted = self.without_held_back(key, wanted);
        let slot = &mut self.map.slots[key];
        slot.wanted = wanted;
        let registration = slot.registration(wanted);
        if registration != slot.registered {
            self.map.register(key, registration);
        }
        self.map.note_self_ready(key);
    }

    /// Returns `wanted` without reading if the channel is paused or its sink is full.
    fn without_held_back(&self, key: Key, wanted: Interest) -> Interest {
        let slot = &self.map.slots[key];
        if !slot.can_be_held_back() {
            return wanted;
        }
        let phase = slot.connection.phase();
        let reads = matches!(phase, Phase::Created | Phase::Connected | Phase::Listening)
            && !slot.connection.is_closing();
        if reads && self.map.is_held_back(key) { wanted.without(Interest::READ) } else { wanted }
    }

    /// Evaluates the channel's predicates, and records the channels that they consult.
    ///
    /// A handler that overrides neither predicate is not called.
    fn evaluate_predicates(&mut self, key: Key) -> Interest {
        let slot = &self.map.slots[key];
        if slot.default_predicates.get() == Interest::READ | Interest::WRITE {
            return slot.default_answers();
        }
        self.map.work.begin_recording(key);
        let answers = self.map.lend(key, |handler, ch| {
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
                // The predicate would fail at every evaluation, so the channel has to close.
                self.map.fail(key, error);
                self.map.note(key, Notices::CLOSE);
                Interest::NONE
            }
            None => Interest::NONE,
        }
    }

    /// Links the channel with the channels that its predicates consulted.
    fn record_consulted(&mut self, key: Key) {
        if !self.map.work.end_recording() {
            return;
        }
        self.map.work.has_links = true;
        let mut consulted = self.map.work.take_consulted();
        for other in consulted.drain(..) {
            let Some(slot) = self.map.slots.get_mut(key) else {
                break;
            };
            let links = slot.links.get_or_insert_default();
            if links.consults.contains(&other) {
                continue;
            }
            if self.map.slots.contains_key(other) {
                self.map.slots[key].links.get_or_insert_default().consults.push(other);
                self.map.slots[other].links.get_or_insert_default().consulted_by.push(key);
            }
        }
        self.map.work.give_back(consulted);
    }

    /// Evaluates all predicates, and panics if an answer changed although the channel was not
    /// touched.
    pub(super) fn check_predicates(&mut self) {
        for key in self.map.slots.keys().collect::<Vec<_>>() {
            let slot = &self.map.slots[key];
            let evaluated = slot.connection.is(Phase::Listening) || slot.connection.can_transfer();
            let paused = slot.listener.as_ref().is_some_and(|it| it.paused);
            if !evaluated
                || slot.connection.is_closing()
                || slot.connection.output_failed()
                || paused
            {
                continue;
            }
            let before = slot.wanted;
            let now = match slot.connection.phase() {
                Phase::Listening => self.evaluate_predicates(key).and(Interest::READ),
                _ => self.evaluate_predicates(key),
            };
            let now = self.without_held_back(key, now);
            assert!(
                before == now,
                "the predicates of channel {:?} returned {before:?} and now return {now:?}, \
                 although nothing touched it; call touch() on it when something that they \
                 depend on changes",
                self.map.channel_mut(key),
            );
        }
    }
}
