//! One pass of the loop.

use std::io;
use std::time::Duration;

use crate::event_loop::EventLoop;
use crate::poller::{EVENTS_PER_WAIT, Event, Interest, Readiness};
use crate::wake::WAKE;

/// Limits for [`EventLoop::run_with`].
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
    /// Maximum duration of one wait, unlimited by default; timers and triggers end a wait earlier.
    /// Python's default was 30 s.
    pub timeout: Option<Duration>,
    /// Number of passes after which the loop returns, unlimited by default.
    pub count: Option<u64>,
}

/// The outcome of one pass.
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
///     // The program's other work.
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pass {
    /// Number of ready sockets.
    pub events: usize,
    /// Whether a callback returned [`ExitNow`](crate::ExitNow), which ends [`EventLoop::run`]. A
    /// program without such a callback can ignore this.
    pub exit: bool,
}

/// The outcome of one wait.
struct Waited {
    events: usize,
    /// A signal interrupted the wait, so readiness is unknown.
    interrupted: bool,
}

/// Maximum number of interrupted waits in a row before timers run anyway.
const MAX_INTERRUPTS: usize = 16;

impl EventLoop {
    #[inline(always)]
    pub(super) fn pass(&mut self, timeout: Option<Duration>) -> io::Result<Pass> {
        self.settle();
        if std::mem::take(&mut self.map.exit) {
            return Ok(Pass { events: 0, exit: true });
        }
        if self.map.settings.check_predicates {
            self.check_predicates();
        }
        let timeout = self.wait_time(timeout);
        self.map.stats.passes += 1;
        let waited = self.wait_and_dispatch(timeout)?;
        let mut events = waited.events;
        if self.map.timers.next_deadline().is_some_and(|deadline| deadline <= self.map.now) {
            // If the wait has timed out, nothing was ready.
            if waited.events > 0 || waited.interrupted {
                events += self.catch_up()?;
            }
            self.run_timers();
        }
        self.settle();
        Ok(Pass { events, exit: std::mem::take(&mut self.map.exit) })
    }

    #[inline(always)]
    fn wait_and_dispatch(&mut self, timeout: Option<Duration>) -> io::Result<Waited> {
        let mut events = std::mem::take(&mut self.events);
        let outcome = self.map.poller.wait(&mut events, timeout);
        self.map.now = self.map.poller.now();
        let waited = match outcome {
            Ok(()) => {
                self.dispatch_events(&events);
                Ok(Waited { events: events.len(), interrupted: false })
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                Ok(Waited { events: 0, interrupted: true })
            }
            Err(error) => Err(error),
        };
        self.events = events;
        waited
    }

    /// Dispatches all channels that are already ready, before due timers run.
    ///
    /// After a delay (a slow callback, a stopped process) deadlines may have passed although input
    /// arrived in time. Such input must be dispatched first. It arrived before `now`, so waits
    /// without a timeout report it until one returns fewer events than it could.
    #[inline(never)]
    fn catch_up(&mut self) -> io::Result<usize> {
        let (now, mut count) = (self.map.now, 0);
        for _ in 0..=self.map.slots.len() / EVENTS_PER_WAIT + MAX_INTERRUPTS {
            self.settle();
            if self.map.exit {
                break;
            }
            let waited = self.wait_and_dispatch(Some(Duration::ZERO))?;
            count += waited.events;
            if waited.events < EVENTS_PER_WAIT && !waited.interrupted {
                break;
            }
        }
        self.map.now = now;
        Ok(count)
    }

    #[inline(always)]
    fn dispatch_events(&mut self, events: &[Event]) {
        self.map.stats.events += events.len() as u64;
        for event in events {
            if self.map.exit {
                // The remaining channels are still ready in the next pass.
                return;
            }
            if event.key == WAKE {
                self.run_wake();
            } else {
                self.dispatch(slotmap::KeyData::from_ffi(event.key).into(), event.readiness);
            }
            if !self.map.work.due.is_empty() {
                self.deliver_due();
            }
        }
        if !self.map.self_ready.is_empty() {
            self.dispatch_self_ready();
        }
        if self.map.network.is_some() {
            self.run_wake();
        }
    }

    /// Dispatches channels that are ready without the poller.
    #[inline(never)]
    fn dispatch_self_ready(&mut self) {
        for index in 0..self.map.self_ready.len() {
            let Some(&key) = self.map.self_ready.get(index) else {
                break;
            };
            let Some(slot) = self.map.slots.get(key) else {
                continue;
            };
            let interest = slot.registered.unwrap_or_default();
            let readiness = Readiness {
                readable: interest.contains(Interest::READ),
                writable: interest.contains(Interest::WRITE) && slot.always_ready,
                ..Readiness::default()
            };
            self.dispatch(key, readiness);
            self.deliver_due();
        }
    }

    /// Returns the time to wait: up to the caller's timeout or the first timer, and zero if a
    /// channel is ready without the poller.
    fn wait_time(&mut self, timeout: Option<Duration>) -> Option<Duration> {
        let map = &mut *self.map;
        if !map.self_ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let Some(deadline) = map.timers.next_deadline() else {
            return timeout;
        };
        let left = deadline.saturating_duration_since(map.poller.now());
        Some(timeout.map_or(left, |timeout| timeout.min(left)))
    }
}
