//! A channel's deadlines: for its phase, for silence, and for stalled output.
//!
//! A channel has one timer for all of them. INVARIANT: it is due no later than the first deadline.
//! A deadline that moves later or ends does not change the timer; the timer finds the due deadlines
//! when it fires.

use std::io;
use std::time::{Duration, Instant};

use crate::connection::Phase;
use crate::map::{SocketMap, Task};
use crate::slot::Notices;
use crate::timer::TimerKey;
use crate::token::Key;

/// Maximum delay, which every clock can represent.
const MAX_DELAY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The deadlines of a channel that has any.
#[derive(Default)]
pub(crate) struct Deadlines {
    timer: Option<TimerKey>,
    /// Deadline of the phase: connecting, shaking hands, or lingering.
    phase: Option<Instant>,
    silence: Option<SilenceLimit>,
    /// The time since which queued output has made no progress.
    stalled_since: Option<Instant>,
    /// Maximum time for which output may stall. With `None`, only a closing channel has a limit,
    /// the map's.
    send_timeout: Option<Duration>,
}

/// The limit on time without traffic, after which the channel gets `handle_timeout`.
struct SilenceLimit {
    after: Duration,
    /// The time at which the limit was set, or `handle_timeout` was last due.
    since: Instant,
}

impl Deadlines {
    /// Returns the deadline for silence of a channel whose last traffic was at `last_activity`.
    fn silence_ends(&self, last_activity: Instant) -> Option<Instant> {
        self.silence.as_ref().map(|limit| limit.since.max(last_activity) + limit.after)
    }
}

impl SocketMap {
    /// Returns the instant `delay` from now; longer delays than `MAX_DELAY` count as that.
    pub(crate) fn deadline(&self, delay: Duration) -> Instant {
        self.poller.now() + delay.min(MAX_DELAY)
    }

    /// Returns the channel's time limit for connecting.
    pub(crate) fn connect_timeout(&self, key: Key) -> Duration {
        let own = self.slots.get(key).and_then(|slot| slot.dial.as_ref()?.connect_timeout);
        own.unwrap_or(self.settings.connect_timeout)
    }

    /// Returns the time limit for the handshakes of the channel's layers.
    pub(crate) fn handshake_timeout(&self, key: Key) -> Duration {
        let own = self.slots.get(key).and_then(|slot| slot.dial.as_ref()?.handshake_timeout);
        own.unwrap_or(self.settings.handshake_timeout)
    }

    /// Sets the deadline of the phase that the channel has entered.
    pub(crate) fn limit_phase(&mut self, key: Key, limit: Duration) {
        let deadline = self.deadline(limit);
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        slot.deadlines.get_or_insert_default().phase = Some(deadline);
        self.wake_channel_at(key, deadline);
    }

    /// Clears the deadline of the phase, which is over.
    pub(crate) fn lift_phase_limit(&mut self, key: Key) {
        let Some(deadlines) = self.slots.get_mut(key).and_then(|it| it.deadlines.as_mut()) else {
            return;
        };
        deadlines.phase = None;
        if deadlines.silence.is_none() && deadlines.stalled_since.is_none() {
            self.cancel_channel_timer(key);
        }
    }

    /// Sets or clears the limit on the channel's silence.
    pub(crate) fn limit_silence(&mut self, key: Key, after: Option<Duration>) {
        let since = self.now();
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let deadlines = slot.deadlines.get_or_insert_default();
        deadlines.silence = after.map(|it| SilenceLimit { after: it.min(MAX_DELAY), since });
        match deadlines.silence_ends(since) {
            Some(deadline) => self.wake_channel_at(key, deadline),
            None if deadlines.phase.is_none() && deadlines.stalled_since.is_none() => {
                self.cancel_channel_timer(key);
            }
            None => {}
        }
    }

    /// Clears all deadlines of a channel that ends.
    pub(crate) fn lift_limits(&mut self, key: Key) {
        self.cancel_channel_timer(key);
        if let Some(slot) = self.slots.get_mut(key) {
            slot.deadlines = None;
        }
    }

    /// Makes the channel's timer fire at `deadline` or earlier.
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

    /// Handles the channel's timer.
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

    /// Handles the end of the time limit of a phase.
    fn phase_expired(&mut self, key: Key) {
        match self.slots.get(key).map(|slot| slot.connection.phase()) {
            Some(Phase::Connecting) => self.connect_timed_out(key),
            Some(Phase::Handshaking) => self.handshake_timed_out(key),
            Some(Phase::Lingering) => self.close_now(key, None),
            _ => {}
        }
    }

    /// Sets how long queued output may stall.
    pub(crate) fn set_send_timeout(&mut self, key: Key, limit: Option<Duration>) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let limit = limit.map(|limit| limit.min(MAX_DELAY));
        slot.deadlines.get_or_insert_default().send_timeout = limit;
        self.note_waiting_output(key, true);
    }

    /// Returns the limit on stalled output that applies to the channel now.
    fn send_timeout(&self, key: Key) -> Option<Duration> {
        let slot = self.slots.get(key)?;
        let own = slot.deadlines.as_ref().and_then(|deadlines| deadlines.send_timeout);
        own.or(slot.connection.is_closing().then_some(self.settings.send_timeout.min(MAX_DELAY)))
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

    /// Closes the channel if its output has stalled for the time limit.
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
            // A reset, so that the peer cannot take a part of the output for the whole.
            if let Some(transport) = &mut slot.transport {
                transport.reset_on_close();
            }
            self.close_now(key, Some(io::Error::new(io::ErrorKind::TimedOut, what)));
        }
    }

    /// Notes `handle_timeout` if the channel was silent for the time limit, and restarts the time.
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
