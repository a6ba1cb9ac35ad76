//! How channels end: at once, when all is sent, or all of them together.

use std::io;
use std::net::Shutdown;
use std::time::Duration;

use crate::map::{SocketMap, Task};
use crate::panic;
use crate::slot::{Notices, OwnHalf, Phase};
use crate::token::Key;

impl SocketMap {
    /// Closes every channel: its socket now, and `handle_close` is called when the running callback
    /// has returned.
    ///
    /// Output that is still queued is lost: [`drain`](SocketMap::drain) sends it.
    pub fn close_all(&mut self) {
        for key in self.slots.keys().collect::<Vec<_>>() {
            self.close_now(key, None);
        }
    }

    /// Whether a drain has begun and is not over.
    pub fn is_draining(&self) -> bool {
        self.draining.is_some()
    }

    /// Closes a channel whose handler knows of the drain, unless it is held open.
    pub(crate) fn close_drained(&mut self, key: Key) {
        if self.slots.get(key).is_some_and(|slot| !slot.held_open) {
            self.close_when_done(key);
        }
    }

    /// Whether a drain has come to its end, which is noted.
    pub(crate) fn end_of_drain(&mut self) -> bool {
        let ended = self.slots.is_empty().then(|| self.draining.take()).flatten();
        ended.is_some_and(|deadline| {
            self.timers.cancel(deadline);
            true
        })
    }

    /// Whether no channel is left, no call is put off and no trigger is held.
    pub(crate) fn is_idle(&self) -> bool {
        let awaited = self.wake.as_ref().is_some_and(|wake| wake.is_awaited());
        self.slots.is_empty() && self.timers.is_empty() && !awaited
    }

    /// Begins to end in good order: closes the listeners, lets every other channel send what is
    /// queued and close, and closes what is left after `deadline`.
    ///
    /// Every channel gets [`handle_drain`](crate::Dispatcher::handle_drain) first. One that is
    /// [held open](Channel::hold_open), because its answer is still being made, stays until it is
    /// released or the deadline has come.
    ///
    /// This returns at once; the loop goes on, and [`run`](crate::EventLoop::run) returns when the last
    /// channel has ended, whatever is put off for later.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut map = asyncore::SocketMap::new()?;
    /// map.drain(Duration::from_secs(10));
    /// map.run()
    /// # }
    /// ```
    pub fn drain(&mut self, deadline: Duration) {
        for key in self.tokens().map(|token| token.key).collect::<Vec<_>>() {
            let listening = self.slots.get(key).is_some_and(|it| it.phase == Phase::Listening);
            if listening {
                self.close_now(key, None);
            } else {
                self.note(key, Notices::DRAIN);
            }
        }
        let at = self.deadline(deadline);
        let deadline = self.timers.insert(at, Task::CloseAll);
        if let Some(before) = self.draining.replace(deadline) {
            self.timers.cancel(before);
        }
    }

    /// Closes the channel once its output is sent.
    pub(crate) fn close_when_done(&mut self, key: Key) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        if slot.is_ending() {
            return;
        }
        if slot.phase == Phase::Connecting {
            slot.closing = true;
        } else if slot.can_transfer() {
            slot.closing = true;
            // The flush finds out whether anything is left, when the running callback is done.
            self.note(key, Notices::SEND);
            self.note_waiting_output(key, true);
            self.touch(key);
        } else {
            self.close_now(key, None);
        }
    }

    /// Ends our half of the stream; while something is left to send, `flush` does it after that.
    pub(crate) fn shutdown_when_sent(&mut self, key: Key) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        if slot.own_half == OwnHalf::Ended {
            return;
        }
        slot.own_half = OwnHalf::Ending;
        if slot.has_output() || !slot.can_transfer() {
            return;
        }
        slot.own_half = OwnHalf::Ended;
        if slot.eof {
            // The close that follows ends it as well.
            return self.close_if_both_ended(key);
        }
        if let Some(transport) = &slot.transport {
            // A connection that is gone already has told so, or will.
            let _ = transport.shutdown(Shutdown::Write);
        }
    }

    /// Ends a channel on which nothing can happen any more: both halves have ended.
    pub(crate) fn close_if_both_ended(&mut self, key: Key) {
        let Some(slot) = self.slots.get(key) else { return };
        if slot.eof && slot.own_half == OwnHalf::Ended && slot.phase == Phase::Connected {
            self.close_now(key, None);
        }
    }

    /// All is sent on a channel that closes: shuts our half down and waits for the peer's.
    pub(crate) fn finish(&mut self, key: Key) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let peer_may_send = slot.phase == Phase::Connected && !slot.eof && !slot.write_dead;
        let stream = slot.transport.as_ref().filter(|transport| transport.is_stream());
        let Some(transport) = stream.filter(|_| peer_may_send) else {
            return self.close_now(key, None);
        };
        if slot.own_half != OwnHalf::Ended && transport.shutdown(Shutdown::Write).is_err() {
            // The peer is gone already.
            return self.close_now(key, None);
        }
        slot.own_half = OwnHalf::Ended;
        slot.phase = Phase::Lingering;
        self.limit_phase(key, self.settings.linger);
        self.touch(key);
    }

    /// Ends the channel: its socket is closed now, and `handle_close` is due.
    pub(crate) fn close_now(&mut self, key: Key, cause: Option<io::Error>) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        if slot.phase == Phase::Closed {
            return;
        }
        slot.cause = slot.cause.take().or(cause);
        let channel = self.channel_mut(key);
        tracing::debug!(
            target: "asyncore",
            channel = ?channel,
            cause = channel.close_cause().map(tracing::field::display),
            "channel closed"
        );
        self.close_transport(key);
        self.cancel_timers(key);
        self.abandon_host(key);
        let slot = &mut self.slots[key];
        slot.phase = Phase::Closed;
        slot.framer = None;
        self.discard_output(key);
        self.note(key, Notices::CLOSE);
        self.touch(key);
    }

    /// `recv` has come to the end of the stream.
    pub(crate) fn stream_ended(&mut self, key: Key) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        if std::mem::replace(&mut slot.eof, true) {
            return;
        }
        if slot.write_dead {
            self.close_now(key, None);
        } else {
            self.note(key, Notices::EOF);
        }
    }

    /// The connection is lost: what was received before is still read, then the channel ends.
    pub(crate) fn send_failed(&mut self, key: Key, cause: io::Error) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        if slot.eof || slot.closing || !slot.is_stream() {
            return self.close_now(key, Some(cause));
        }
        slot.write_dead = true;
        slot.cause.get_or_insert(cause);
        self.discard_output(key);
        self.touch(key);
    }

    /// Takes the channel out of the map.
    pub(crate) fn discard_slot(&mut self, key: Key) {
        if self.slots.get(key).is_some_and(|slot| slot.phase != Phase::Closed) {
            self.deregister(key);
            self.abandon_host(key);
        }
        // A handle_close may have set one.
        self.cancel_timers(key);
        self.touch_dependents_of(key);
        self.release_sources(key);
        self.discard_output(key);
        let handler = self.slots.get_mut(key).and_then(|slot| slot.handler.take());
        // A handler's own Drop can panic too.
        if let Err(error) = panic::catch(|| drop(handler)) {
            self.report(key, &error);
        }
        let Some(slot) = self.slots.remove(key) else {
            return;
        };
        match slot.is_attempt {
            true => self.attempts -= 1,
            false => self.stats.closed += 1,
        }
        self.resume_listeners();
        if let Some(links) = &slot.links {
            for consulted in &links.consults {
                let other = self.slots.get_mut(*consulted).and_then(|it| it.links.as_mut());
                if let Some(other) = other {
                    other.consulted_by.retain(|dependent| *dependent != key);
                }
            }
        }
    }

    fn cancel_timers(&mut self, key: Key) {
        self.lift_limits(key);
        let listener = self.slots.get_mut(key).and_then(|slot| slot.listener.take());
        if let Some(retry) = listener.and_then(|listener| listener.retry) {
            self.timers.cancel(retry);
        }
    }
}
