//! A channel's deadlines: that of the phase it is in, and that of its silence.
//!
//! A channel has one timer for both. It is due no later than the first of them, and what passes or
//! moves a deadline leaves it alone: what is due is found out when it comes.

use std::io;
use std::time::{Duration, Instant};

use crate::map::{SocketMap, Task};
use crate::slot::Phase;
use crate::timer::TimerKey;
use crate::token::Key;

/// The longest time that counts, which every clock can tell.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The deadlines of a channel that has any.
#[derive(Default)]
pub(crate) struct Deadlines {
    timer: Option<TimerKey>,
    phase: Option<PhaseLimit>,
    silence: Option<SilenceLimit>,
    pub(crate) connect_timeout: Option<Duration>,
}

/// When the phase has to be over: to connect, to send the rest, or to linger.
struct PhaseLimit {
    deadline: Instant,
    /// The bytes sent when it was set.
    bytes_out: u64,
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
        let deadlines = self.slots.get(key).and_then(|slot| slot.deadlines.as_ref());
        let own = deadlines.and_then(|deadlines| deadlines.connect_timeout);
        own.unwrap_or(self.settings.connect_timeout)
    }

    /// Limits the phase that the channel has come to.
    pub(crate) fn limit_phase(&mut self, key: Key, limit: Duration) {
        let deadline = self.deadline(limit);
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let bytes_out = slot.bytes_out;
        slot.deadlines.get_or_insert_default().phase = Some(PhaseLimit { deadline, bytes_out });
        self.wake_channel_at(key, deadline);
    }

    /// The phase is over.
    pub(crate) fn lift_phase_limit(&mut self, key: Key) {
        let Some(deadlines) = self.slots.get_mut(key).and_then(|it| it.deadlines.as_mut()) else {
            return;
        };
        deadlines.phase = None;
        if deadlines.silence.is_none() {
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
            None if deadlines.phase.is_none() => self.cancel_channel_timer(key),
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
        if let Some(limit) = deadlines.phase.take_if(|limit| limit.deadline <= now) {
            self.phase_expired(key, limit.bytes_out);
        }
        self.check_silence(key);
        let Some(slot) = self.slots.get(key) else {
            return;
        };
        let Some(deadlines) = &slot.deadlines else {
            return;
        };
        let phase = deadlines.phase.as_ref().map(|limit| limit.deadline);
        let silence = deadlines.silence_ends(slot.last_activity).filter(|_| !slot.is_ending());
        if let Some(first) = phase.into_iter().chain(silence).min() {
            self.wake_channel_at(key, first);
        }
    }

    /// A phase has lasted for its time.
    fn phase_expired(&mut self, key: Key, bytes_out: u64) {
        let Some(slot) = self.slots.get(key) else {
            return;
        };
        match slot.phase {
            Phase::Connecting => self.connect_timed_out(key),
            Phase::Lingering => self.close_now(key, None),
            _ if slot.closing && slot.bytes_out > bytes_out => {
                self.limit_phase(key, self.settings.send_timeout);
            }
            _ if slot.closing => {
                let left = slot.output_len();
                let limit = self.settings.send_timeout;
                let what = format!("the peer took none of the last {left} bytes in {limit:?}");
                self.close_now(key, Some(io::Error::new(io::ErrorKind::TimedOut, what)));
            }
            _ => {}
        }
    }

    /// Calls `handle_timeout` if the channel was silent for its time, and begins the time anew.
    fn check_silence(&mut self, key: Key) {
        let now = self.now;
        let Some(slot) = self.slots.get_mut(key).filter(|slot| !slot.is_ending()) else {
            return;
        };
        let Some(deadlines) = &mut slot.deadlines else {
            return;
        };
        let was_silent = deadlines.silence_ends(slot.last_activity).is_some_and(|end| end <= now);
        let Some(limit) = deadlines.silence.as_mut().filter(|_| was_silent) else {
            return;
        };
        limit.since = now;
        self.touch(key);
        self.callback(key, |handler, ch| handler.handle_timeout(ch));
    }
}
