//! Closing channels: at once, when their output is sent, or all together.

use std::io;
use std::net::Shutdown;
use std::time::Duration;

use crate::connection::{Act, InputEnd, Phase};
use crate::map::{SocketMap, Task};
use crate::slot::Notices;
use crate::token::Key;

impl SocketMap {
    /// Closes the socket of every channel now; each `handle_close` is called after the running
    /// callback has returned.
    ///
    /// Queued output is lost; [`drain`](SocketMap::drain) sends it first.
    pub fn close_all(&mut self) {
        for key in self.slots.keys().collect::<Vec<_>>() {
            self.close_now(key, None);
        }
    }

    /// Returns whether a drain is in progress.
    pub fn is_draining(&self) -> bool {
        self.draining.is_some()
    }

    /// Closes a channel after its `handle_drain`, unless it is held open.
    pub(crate) fn close_drained(&mut self, key: Key) {
        if self.slots.get(key).is_some_and(|slot| !slot.held_open) {
            self.close_when_done(key);
        }
    }

    /// Returns whether a drain is complete, and clears its state then.
    pub(crate) fn end_of_drain(&mut self) -> bool {
        let ended = self.slots.is_empty().then(|| self.draining.take()).flatten();
        ended.is_some_and(|deadline| {
            self.timers.cancel(deadline);
            true
        })
    }

    /// Returns whether no channel and no timer is left, and no trigger exists.
    pub(crate) fn is_idle(&self) -> bool {
        let awaited = self.wake.as_ref().is_some_and(|wake| wake.is_awaited());
        self.slots.is_empty() && self.timers.is_empty() && !awaited
    }

    /// Starts a graceful shutdown: closes the listeners, lets every other channel send its queue
    /// and close, and closes the remaining channels after `deadline`.
    ///
    /// Every other channel gets [`handle_drain`](crate::Dispatcher::handle_drain) first. A channel
    /// that is [held open](crate::Channel::hold_open), because its answer is still in preparation,
    /// stays until it is released or the deadline has passed.
    ///
    /// This returns at once. The loop continues, and [`run`](crate::EventLoop::run) returns when
    /// the last channel has ended, even if timers remain.
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
            let listening =
                self.slots.get(key).is_some_and(|it| it.connection.is(Phase::Listening));
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
        let act = slot.connection.close_when_sent();
        if act == Act::SendRest {
            self.note_waiting_output(key, true);
            self.touch(key);
        }
        self.perform(key, act);
    }

    /// Shuts down the local half of the stream once its output is sent.
    pub(crate) fn shutdown_when_sent(&mut self, key: Key) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        if slot.connection.end_output_when_sent() != Act::SendRest {
            return;
        }
        if slot.layered().is_some() {
            // Only the flush knows how much is below the layers.
            self.note(key, Notices::SEND);
        } else if !slot.has_output() {
            self.all_sent(key);
        }
    }

    /// Takes the action that a transition of the connection returned.
    pub(crate) fn perform(&mut self, key: Key, act: Act) {
        match act {
            Act::Nothing => {}
            Act::NotifyEof => self.note(key, Notices::EOF),
            Act::Close => self.close_now(key, None),
            // After the running callback, the flush finds out whether anything is left.
            Act::SendRest => self.note(key, Notices::SEND),
            Act::EndOutput => self.end_output(key),
        }
    }

    /// Takes the action that waited until all output was sent.
    pub(crate) fn all_sent(&mut self, key: Key) {
        let slot = &self.slots[key];
        let act = slot.connection.all_sent();
        if act != Act::Nothing && slot.layered().is_some() && !self.finish_layers(key) {
            return;
        }
        self.perform(key, act);
    }

    /// Shuts down the local half. A closing channel then lingers until the peer does the same.
    fn end_output(&mut self, key: Key) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let was_ended = slot.connection.output_has_ended();
        let outcome = match &slot.transport {
            Some(transport) if !was_ended => transport.shutdown(Shutdown::Write),
            _ => Ok(()),
        };
        if outcome.is_err() && slot.connection.is_closing() {
            // The peer is gone already.
            return self.close_now(key, None);
        }
        // If the connection stays open, the poller reports its failure.
        if slot.connection.output_ended() {
            self.limit_phase(key, self.settings.linger);
            self.touch(key);
        }
    }

    /// Closes a channel if both halves of its stream have ended.
    pub(crate) fn close_if_both_ended(&mut self, key: Key) {
        if self.slots.get(key).is_some_and(|slot| slot.connection.both_ended()) {
            self.close_now(key, None);
        }
    }

    /// Closes the channel's socket now, and notes `handle_close`.
    pub(crate) fn close_now(&mut self, key: Key, cause: Option<io::Error>) {
        let Some(slot) = self.slots.get(key) else {
            return;
        };
        if slot.connection.is(Phase::Closed) {
            return;
        }
        if let Some(layered) = self.slots[key].layered_mut() {
            // The closing message tells the peer that nothing is missing. It is sent as far as the
            // socket takes it now.
            let _ = layered.finish();
        }
        self.close_transport(key);
        let slot = &mut self.slots[key];
        slot.connection.close(cause);
        slot.framer = None;
        let channel = self.channel_mut(key);
        tracing::debug!(
            target: "asyncore",
            channel = ?channel,
            cause = channel.close_cause().map(tracing::field::display),
            "channel closed"
        );
        self.cancel_timers(key);
        self.abandon_host(key);
        self.note(key, Notices::CLOSE);
        self.touch(key);
    }

    /// Notes that `recv` has found the end of the stream.
    pub(crate) fn stream_ended(&mut self, key: Key) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let end = slot.layered().and_then(|layered| layered.input_end());
        let act = slot.connection.end_input(end.unwrap_or(InputEnd::Orderly));
        self.perform(key, act);
    }

    /// Handles a lost connection: input that was received before is still read, then the channel
    /// ends.
    pub(crate) fn send_failed(&mut self, key: Key, cause: io::Error) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let act = slot.connection.fail_output(cause);
        self.perform(key, act);
        self.discard_output(key);
        self.touch(key);
    }

    /// Removes the channel from the map.
    pub(crate) fn discard_slot(&mut self, key: Key) {
        if self.slots.get(key).is_some_and(|slot| !slot.connection.is(Phase::Closed)) {
            self.deregister(key);
            self.abandon_host(key);
        }
        // handle_close may have set a timer.
        self.cancel_timers(key);
        self.touch_dependents_of(key);
        self.release_sources(key);
        self.discard_output(key);
        let handler = self.slots.get_mut(key).and_then(|slot| slot.handler.take());
        self.drop_handler(key, handler);
        let successor = self.successors.remove(key);
        self.drop_handler(key, successor);
        let Some(slot) = self.slots.remove(key) else {
            return;
        };
        match slot.is_attempt() {
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
