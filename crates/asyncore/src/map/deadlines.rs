//! A channel's deadlines: for the phase it is in, for its silence, and for output that stalls.
//!
//! A channel has one timer for all. It is due no later than the first of them, and what passes or
//! moves a deadline leaves it alone: what is due is found out when it comes.

use std::io;
use std::time::{Duration, Instant};

use crate::connection::Phase;
use crate::map::{SocketMap, Task};
use crate::slot::Notices;
use crate::timer::TimerKey;
use crate::token::Key;

/// The longest time that counts, which every clock can tell.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The deadlines of a channel that has any.
#[derive(Default)]
pub(crate) struct Deadlines {
    timer: Option<TimerKey>,
    /// When the phase has to be over: connecting, or lingering.
    phase: Option<Instant>,
    silence: Option<SilenceLimit>,
    /// Since when output has been queued without a byte leaving.
    stalled_since: Option<Instant>,
    /// Maximum time for which output stalls; `None` while the channel is open has no limit.
    send_timeout: Option<Duration>,
}

/// The time after which a channel without traffic gets `handle_timeout`.
struct SilenceLimit {
    after: Duration,
    /// When it was set, or `handle_timeout` was called.
    since: Instant,
}

impl Deadlines {
    /// When a channel whose last traffic was at `last_activity` has been silent for its time.
    fn silence_ends(&self, last_activity: Instant) -> Option<Instant> {
        self.silence.as_ref().map(|limit| limit.since.max(last_activity) + limit.after)
    }
}

impl SocketMap {
    /// The instant `delay` from now, or a century from now if that is sooner.
    pub(crate) fn deadline(&self, delay: Duration) -> Instant {
        self.poller.now() + delay.min(CENTURY)
    }

    /// How long the channel may take to connect.
    pub(crate) fn connect_timeout(&self, key: Key) -> Duration {
        let own = self.slots.get(key).and_then(|slot| slot.dial.as_ref()?.connect_timeout);
        own.unwrap_or(self.settings.connect_timeout)
    }

    /// How long the layers of the channel may take to shake hands.
    pub(crate) fn handshake_timeout(&self, key: Key) -> Duration {
        let own = self.slots.get(key).and_then(|slot| slot.dial.as_ref()?.handshake_timeout);
        own.unwrap_or(self.settings.handshake_timeout)
    }

    /// Limits the phase that the channel has come to.
    pub(crate) fn limit_phase(&mut self, key: Key, limit: Duration) {
        let deadline = self.deadline(limit);
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        slot.deadlines.get_or_insert_default().phase = Some(deadline);
        self.wake_channel_at(key, deadline);
    }

    /// The phase is over.
    pub(crate) fn lift_phase_limit(&mut self, key: Key) {
        let Some(deadlines) = self.slots.get_mut(key).and_then(|it| it.deadlines.as_mut()) else {
            return;
        };
        deadlines.phase = None;
        if deadlines.silence.is_none() && deadlines.stalled_since.is_none() {
            self.cancel_channel_timer(key);
        }
    }

    /// Limits the channel's silence from now on, or no more.
    pub(crate) fn limit_silence(&mut self, key: Key, after: Option<Duration>) {
        let since = self.now();
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let deadlines = slot.deadlines.get_or_insert_default();
        deadlines.silence = after.map(|it| SilenceLimit { after: it.min(CENTURY), since });
        match deadlines.silence_ends(since) {
            Some(deadline) => self.wake_channel_at(key, deadline),
            None if deadlines.phase.is_none() && deadlines.stalled_since.is_none() => {
                self.cancel_channel_timer(key);
            }
            None => {}
        }
    }

    /// Lifts all limits of a channel that ends.
    pub(crate) fn lift_limits(&mut self, key: Key) {
        self.cancel_channel_timer(key);
        if let Some(slot) = self.slots.get_mut(key) {
            slot.deadlines = None;
        }
    }

    /// Has the channel's timer come at `deadline`, or before.
    fn wake_channel_at(&mut self, key: Key, deadline: Instant) {
        let Some(deadlines) = self.slots.get_mut(key).and_then(|it| it.deadlines.as_mut()) else {
            return;
        };
        match deadlines.timer {
            Some(timer) => self.timers.hasten(timer, deadline),
            None => {
                deadlines.timer = Some(self.timers.insert(deadline, Task::Channel(key)));
            }
        }
    }

    fn cancel_channel_timer(&mut self, key: Key) {
        let deadlines = self.slots.get_mut(key).and_then(|slot| slot.deadlines.as_mut());
        if let Some(timer) = deadlines.and_then(|deadlines| deadlines.timer.take()) {
            self.timers.cancel(timer);
        }
    }

    /// The channel's timer has come.
    pub(crate) fn channel_due(&mut self, key: Key) {
        let now = self.now;
        let Some(deadlines) = self.slots.get_mut(key).and_then(|it| it.deadlines.as_mut()) else {
            return;
        };
        deadlines.timer = None;
        if deadlines.phase.take_if(|deadline| *deadline <= now).is_some() {
            self.phase_expired(key);
        }
        self.check_stall(key);
        self.check_silence(key);
        let send_timeout = self.send_timeout(key);
        let Some(slot) = self.slots.get(key) else {
            return;
        };
        let Some(deadlines) = &slot.deadlines else {
            return;
        };
        let silence =
            deadlines.silence_ends(slot.traffic.last).filter(|_| !slot.connection.is_ending());
        let stall = deadlines.stalled_since.zip(send_timeout).map(|(since, limit)| since + limit);
        if let Some(first) = deadlines.phase.into_iter().chain(silence).chain(stall).min() {
            self.wake_channel_at(key, first);
        }
    }

    /// A phase has lasted for its time.
    fn phase_expired(&mut self, key: Key) {
        match self.slots.get(key).map(|slot| slot.connection.phase()) {
            Some(Phase::Connecting) => self.connect_timed_out(key),
            Some(Phase::Handshaking) => self.handshake_timed_out(key),
            Some(Phase::Lingering) => self.close_now(key, None),
            _ => {}
        }
    }

    /// Sets for how long queued output may stall.
    pub(crate) fn set_send_timeout(&mut self, key: Key, limit: Option<Duration>) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let limit = limit.map(|limit| limit.min(CENTURY));
        slot.deadlines.get_or_insert_default().send_timeout = limit;
        self.note_waiting_output(key, true);
    }

    /// The limit on stalled output that applies to the channel now.
    fn send_timeout(&self, key: Key) -> Option<Duration> {
        let slot = self.slots.get(key)?;
        let own = slot.deadlines.as_ref().and_then(|deadlines| deadlines.send_timeout);
        own.or(slot.connection.is_closing().then_some(self.settings.send_timeout.min(CENTURY)))
    }

    /// Notes that output waits for the socket, and whether some of it `moved` just now.
    pub(crate) fn note_waiting_output(&mut self, key: Key, moved: bool) {
        let Some(limit) = self.send_timeout(key) else {
            return;
        };
        let now = self.poller.now();
        let Some(slot) = self.slots.get_mut(key).filter(|slot| slot.connection.can_transfer())
        else {
            return;
        };
        let waits = slot.has_output() || slot.connection.is_closing();
        let deadlines = slot.deadlines.get_or_insert_default();
        if waits && (moved || deadlines.stalled_since.is_none()) {
            deadlines.stalled_since = Some(now);
            self.wake_channel_at(key, now + limit);
        }
    }

    /// Closes a channel whose output has stalled for its time.
    fn check_stall(&mut self, key: Key) {
        let (now, limit) = (self.now, self.send_timeout(key));
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let waits =
            slot.connection.can_transfer() && (slot.has_output() || slot.connection.is_closing());
        let left = slot.output_len();
        let Some(deadlines) = &mut slot.deadlines else {
            return;
        };
        if !waits {
            deadlines.stalled_since = None;
        }
        let Some((since, limit)) = deadlines.stalled_since.zip(limit) else {
            return;
        };
        if now.saturating_duration_since(since) >= limit {
            let what = format!("the peer took none of the last {left} bytes in {limit:?}");
            // A part of the output must not pass for the whole.
            if let Some(transport) = &mut slot.transport {
                transport.reset_on_close();
            }
            self.close_now(key, Some(io::Error::new(io::ErrorKind::TimedOut, what)));
        }
    }

    /// Notes that `handle_timeout` is due if the channel was silent for its time, and begins the
    /// time anew.
    fn check_silence(&mut self, key: Key) {
        let now = self.now;
        let Some(slot) = self.slots.get_mut(key).filter(|slot| !slot.connection.is_ending()) else {
            return;
        };
        let Some(deadlines) = &mut slot.deadlines else {
            return;
        };
        let was_silent = deadlines.silence_ends(slot.traffic.last).is_some_and(|end| end <= now);
        let Some(limit) = deadlines.silence.as_mut().filter(|_| was_silent) else {
            return;
        };
        limit.since = now;
        self.note(key, Notices::TIMEOUT);
    }
}
