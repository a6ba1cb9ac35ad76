//! Delivering the notices that channels got while callbacks ran.

use crate::error::Error;
use crate::event_loop::EventLoop;
use crate::slot::Notices;
use crate::token::Key;

impl EventLoop {
    /// Delivers notices until none is left.
    pub(super) fn deliver_due(&mut self) {
        while let Some(key) = self.map.work.due.pop_front() {
            if let Some(slot) = self.map.slots.get_mut(key) {
                slot.is_due = false;
            }
            self.deliver(key);
        }
    }

    /// Delivers the notices of one channel, in the order of [`Notices`].
    fn deliver(&mut self, key: Key) {
        let map = &mut *self.map;
        let Some(slot) = map.slots.get_mut(key) else {
            return;
        };
        // The common case: output to send and nothing else.
        if slot.notices.take_alone(Notices::SEND) {
            return map.flush(key);
        }
        if map.take_notice(key, Notices::CONNECT) {
            map.touch(key);
            map.callback(key, |handler, ch| handler.handle_connect(ch));
        }
        if map.take_notice(key, Notices::SEND) {
            map.flush(key);
        }
        if map.take_notice(key, Notices::ERROR) {
            self.deliver_error(key);
        }
        let map = &mut *self.map;
        // After the error, because `handle_error` decides whether to read on.
        if map.take_notice(key, Notices::PARSE) {
            map.touch(key);
            map.callback(key, |handler, ch| handler.handle_pending_input(ch));
        }
        if map.take_notice(key, Notices::DRAIN) {
            map.touch(key);
            map.callback(key, |handler, ch| handler.handle_drain(ch));
            map.close_drained(key);
        }
        if map.take_notice(key, Notices::TIMEOUT) {
            map.touch(key);
            map.callback(key, |handler, ch| handler.handle_timeout(ch));
        }
        if map.take_notice(key, Notices::EOF) {
            tracing::debug!(target: "asyncore", channel = ?map.channel_mut(key), "end of stream");
            map.touch(key);
            map.callback(key, |handler, ch| handler.handle_eof(ch));
            map.close_if_both_ended(key);
        }
        if map.take_notice(key, Notices::CLOSE) {
            // Notices from the callbacks above come before the end.
            if map.slots.get(key).is_some_and(|slot| !slot.notices.is_empty()) {
                self.deliver(key);
            }
            self.deliver_close(key);
        }
    }

    #[cold]
    fn deliver_error(&mut self, key: Key) {
        let map = &mut *self.map;
        let Some(slot) = map.slots.get_mut(key) else {
            return;
        };
        slot.outbox.set_overflowed(false);
        let Some(error) = slot.failure.take() else {
            return;
        };
        map.stats.errors += 1;
        map.touch(key);
        let told = error.to_string();
        let outcome = map.lend(key, |handler, ch| handler.handle_error(ch, *error));
        let again = match outcome {
            Some(Err(again)) => {
                map.report(key, &Error::msg(told));
                Some(again)
            }
            // A failure of handle_error does not go to it again, because that might never end.
            _ => map.slots.get_mut(key).and_then(|slot| slot.failure.take()).map(|it| *it),
        };
        if let Some(again) = again {
            map.report(key, &again);
            map.close_now(key, None);
        }
        // If the queue ended with the failed producer, a close that waits for the queue is due.
        map.note(key, Notices::SEND);
    }

    /// Makes the last callback of a channel, and removes it from the map.
    fn deliver_close(&mut self, key: Key) {
        let map = &mut *self.map;
        // If the poller or a predicate has failed, the channel is not closed yet.
        map.close_now(key, None);
        if let Some(Err(error)) = map.lend(key, |handler, ch| handler.handle_close(ch)) {
            map.report(key, &error);
        }
        map.discard_slot(key);
    }
}
