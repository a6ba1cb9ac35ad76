//! Delivering what was noted on channels while callbacks ran.

use crate::error::Error;
use crate::event_loop::EventLoop;
use crate::slot::Notices;
use crate::token::Key;

impl EventLoop {
    /// Delivers what was noted, until nothing is left.
    pub(super) fn deliver_due(&mut self) {
        while let Some(key) = self.map.work.due.pop_front() {
            if let Some(slot) = self.map.slots.get_mut(key) {
                slot.is_due = false;
            }
            self.deliver(key);
        }
    }

    /// Delivers what is due on one channel, in a fixed order.
    fn deliver(&mut self, key: Key) {
        let map = &mut *self.map;
        let Some(slot) = map.slots.get_mut(key) else {
            return;
        };
        // Most often there is an answer to send and nothing else.
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
        // After the error: whether input goes on is for `handle_error` to decide.
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
            // What the callbacks above have noted comes before the end.
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
            // What handle_error itself did does not go to it again, or that might never end.
            _ => map.slots.get_mut(key).and_then(|slot| slot.failure.take()).map(|it| *it),
        };
        if let Some(again) = again {
            map.report(key, &again);
            map.close_now(key, None);
        }
        // What waits for the queue to be sent must not wait on if a failing producer was its end.
        map.note(key, Notices::SEND);
    }

    /// Makes the last callback of a channel, and takes it out of the map.
    fn deliver_close(&mut self, key: Key) {
        let map = &mut *self.map;
        // A poller or a predicate that failed closes a channel whose handler did not.
        map.close_now(key, None);
        if let Some(Err(error)) = map.lend(key, |handler, ch| handler.handle_close(ch)) {
            map.report(key, &error);
        }
        map.discard_slot(key);
    }
}
