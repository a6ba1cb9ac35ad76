//! One pass of the loop, and the loop.

use std::io;
use std::time::Duration;

use crate::map::SocketMap;
use crate::poller::{Event, Interest, Readiness};
use crate::slot::Notices;
use crate::trigger::WAKE;

/// How long [`SocketMap::run_with`] runs.
///
/// ```
/// use asyncore::{LoopOptions, SocketMap};
/// use std::time::Duration;
///
/// # fn main() -> std::io::Result<()> {
/// let mut map = SocketMap::new()?;
/// let once = LoopOptions { timeout: Some(Duration::ZERO), count: Some(1) };
/// map.run_with(once)
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct LoopOptions {
    /// The longest that one pass waits, for ever by default; timers and triggers end a wait
    /// anyway. Python's default was 30 s.
    pub timeout: Option<Duration>,
    /// The number of passes after which the loop returns; no limit by default.
    pub count: Option<u64>,
}

/// What one pass came to.
///
/// ```
/// use asyncore::SocketMap;
/// use std::time::Duration;
///
/// # fn main() -> std::io::Result<()> {
/// let mut map = SocketMap::new()?;
/// while !map.is_empty() {
///     if map.poll(Some(Duration::from_secs(1)))?.exit {
///         break;
///     }
///     // Whatever the program does besides.
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a pass can ask to leave the loop"]
pub struct Pass {
    /// How many sockets were ready.
    pub events: usize,
    /// A callback returned [`ExitNow`](crate::ExitNow): call no further pass.
    pub exit: bool,
}

impl SocketMap {
    /// Runs until the map is empty: no channel is left, no call is put off, and no
    /// [`Trigger`](crate::Trigger) is held anywhere; or until a callback returns
    /// [`ExitNow`](crate::ExitNow).
    ///
    /// # Errors
    /// What the system's wait fails with. On a simulated network, a loop that nothing could ever
    /// wake.
    pub fn run(&mut self) -> io::Result<()> {
        self.run_with(LoopOptions::default())
    }

    /// Runs as [`run`](SocketMap::run) does, with bounds on the number and length of its passes.
    ///
    /// # Errors
    /// As `run`.
    pub fn run_with(&mut self, options: LoopOptions) -> io::Result<()> {
        let mut passes = 0;
        loop {
            self.settle();
            let exit = std::mem::take(&mut self.exit);
            if exit || self.is_finished() || options.count.is_some_and(|count| passes >= count) {
                return Ok(());
            }
            passes += 1;
            if self.pass(options.timeout)?.exit {
                return Ok(());
            }
        }
    }

    /// Makes one pass: waits up to `timeout` (for ever when `None`) until sockets are ready,
    /// timers are due or a trigger is pulled, and calls everyone whom that concerns.
    ///
    /// # Errors
    /// As [`run`](SocketMap::run).
    pub fn poll(&mut self, timeout: Option<Duration>) -> io::Result<Pass> {
        self.pass(timeout)
    }

    #[inline(always)]
    fn pass(&mut self, timeout: Option<Duration>) -> io::Result<Pass> {
        self.settle();
        if std::mem::take(&mut self.exit) {
            return Ok(Pass { events: 0, exit: true });
        }
        if self.settings.check_predicates {
            self.check_predicates();
        }
        let timeout = self.wait_time(timeout);
        let mut events = std::mem::take(&mut self.events);
        let mut waited = self.poller.wait(&mut events, timeout);
        // A signal ended the wait: no events, but timers and triggers may be due.
        if waited.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {
            waited = Ok(());
        }
        self.now = self.poller.now();
        self.stats.passes += 1;
        if waited.is_ok() {
            self.dispatch_events(&events);
        }
        let count = events.len();
        self.events = events;
        waited?;
        self.run_timers();
        self.settle();
        Ok(Pass { events: count, exit: std::mem::take(&mut self.exit) })
    }

    #[inline(always)]
    fn dispatch_events(&mut self, events: &[Event]) {
        self.stats.events += events.len() as u64;
        for event in events {
            if self.exit {
                // What is left is still ready in the next pass.
                return;
            }
            if event.key == WAKE {
                self.run_wake();
            } else {
                self.dispatch(slotmap::KeyData::from_ffi(event.key).into(), event.readiness);
            }
            if !self.agenda.due.is_empty() {
                self.deliver_due();
            }
        }
        if !self.always_ready.is_empty() {
            self.dispatch_always_ready();
        }
        if self.network.is_some() {
            self.run_wake();
        }
    }

    #[inline(never)]
    fn dispatch_always_ready(&mut self) {
        for index in 0..self.always_ready.len() {
            let Some(&key) = self.always_ready.get(index) else {
                break;
            };
            let Some(slot) = self.slots.get(key) else {
                continue;
            };
            let readiness = Readiness {
                readable: slot.registered.contains(Interest::READ),
                writable: slot.registered.contains(Interest::WRITE),
                ..Readiness::default()
            };
            self.dispatch(key, readiness);
            self.deliver_due();
        }
    }

    /// The shortest of the caller's timeout, the first timer, and nothing if something is ready.
    fn wait_time(&mut self, timeout: Option<Duration>) -> Option<Duration> {
        let ready = self
            .always_ready
            .iter()
            .any(|key| self.slots.get(*key).is_some_and(|slot| !slot.registered.is_empty()));
        if ready {
            return Some(Duration::ZERO);
        }
        let Some(deadline) = self.timers.next_deadline() else {
            return timeout;
        };
        let left = deadline.saturating_duration_since(self.poller.now());
        Some(timeout.map_or(left, |timeout| timeout.min(left)))
    }

    /// Whether nothing can happen any more.
    fn is_finished(&mut self) -> bool {
        if self.slots.is_empty() {
            if let Some(deadline) = self.draining.take() {
                self.timers.cancel(deadline);
                return true;
            }
        }
        if !self.is_idle() {
            return false;
        }
        // The last trigger may have been pulled just before it was dropped.
        self.run_wake();
        self.settle();
        self.is_idle()
    }

    fn is_idle(&self) -> bool {
        let awaited = self.wake.as_ref().is_some_and(|wake| wake.is_awaited());
        self.slots.is_empty() && self.timers.is_empty() && !awaited
    }

    /// Delivers what was noted, until nothing is.
    pub(crate) fn deliver_due(&mut self) {
        while let Some(key) = self.agenda.due.pop_front() {
            if let Some(slot) = self.slots.get_mut(key) {
                slot.is_due = false;
            }
            self.deliver(key);
        }
    }

    pub(crate) fn has_notice(&mut self, key: crate::token::Key, notice: Notices) -> bool {
        self.slots.get_mut(key).is_some_and(|slot| slot.notices.take(notice))
    }
}
