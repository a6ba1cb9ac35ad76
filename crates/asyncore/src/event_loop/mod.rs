//! The event loop: each pass settles, waits, and dispatches.
//!
//! `pass` makes one pass. `dispatch` calls the callbacks of a ready channel, `deliver` delivers the
//! notices that arose while they ran, and `settle` evaluates predicates and registers the interest
//! with the poller. `due` runs timers, and `wake` runs calls of triggers and signals.

mod deliver;
mod dispatch;
mod due;
mod embed;
mod pass;
mod settle;
mod stale;
mod wake;

use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

pub use self::pass::{LoopOptions, Pass};
use self::stale::StaleEvents;
use crate::map::SocketMap;
use crate::poller::Event;

/// An event loop, which owns a [`SocketMap`] and runs it.
///
/// The loop dereferences to its map, so that the program can use the map between two passes as a
/// callback does during one. Dropping the loop closes the sockets and drops the handlers without
/// calling them; [`close_all`](EventLoop::close_all) and [`drain`](SocketMap::drain) call them
/// first.
///
/// ```
/// use std::time::Duration;
///
/// # fn main() -> std::io::Result<()> {
/// let mut event_loop = asyncore::SocketMap::new()?;
/// event_loop.call_later(Duration::from_millis(1), |map| {
///     assert!(map.is_empty());
///     Ok(())
/// });
/// event_loop.run() // until no timer and no channel is left
/// # }
/// ```
pub struct EventLoop {
    map: Box<SocketMap>,
    stale: StaleEvents,
    /// The events of a wait; empty between two passes.
    events: Vec<Event>,
}

impl EventLoop {
    pub(crate) fn new(map: Box<SocketMap>) -> Self {
        EventLoop { map, stale: StaleEvents::default(), events: Vec::new() }
    }

    /// Runs until no channel and no timer is left and no [`Trigger`](crate::Trigger) exists, until
    /// a [drain](SocketMap::drain) is complete, or until a callback returns
    /// [`ExitNow`](crate::ExitNow).
    ///
    /// # Errors
    /// Returns the system's error if a wait fails. On a simulated network, fails if nothing could
    /// ever wake the loop.
    pub fn run(&mut self) -> io::Result<()> {
        self.run_with(LoopOptions::default())
    }

    /// Runs as [`run`](EventLoop::run) does, with limits on the number and duration of passes.
    ///
    /// # Errors
    /// As [`run`](EventLoop::run).
    pub fn run_with(&mut self, options: LoopOptions) -> io::Result<()> {
        let mut passes = 0;
        loop {
            self.settle();
            let exit = std::mem::take(&mut self.map.exit);
            if exit || self.is_finished() || options.count.is_some_and(|count| passes >= count) {
                return Ok(());
            }
            passes += 1;
            if self.pass(options.timeout)?.exit {
                return Ok(());
            }
        }
    }

    /// Makes one pass: waits up to `timeout` (without limit if `None`) until sockets are ready,
    /// timers are due or a trigger is pulled, and makes the callbacks for them.
    ///
    /// # Errors
    /// As [`run`](EventLoop::run).
    pub fn poll(&mut self, timeout: Option<Duration>) -> io::Result<Pass> {
        self.pass(timeout)
    }

    /// Closes every channel now. Each gets its `handle_close` before this returns.
    ///
    /// Queued output is lost; [`drain`](SocketMap::drain) sends it first. Errors of handlers are
    /// logged as always, so there is no counterpart to Python's `ignore_all`.
    pub fn close_all(&mut self) {
        self.map.close_all();
        self.deliver_due();
    }

    /// Returns whether the loop has nothing left to do.
    fn is_finished(&mut self) -> bool {
        if self.map.end_of_drain() {
            return true;
        }
        if !self.map.is_idle() {
            return false;
        }
        // The last trigger may have been pulled just before it was dropped.
        self.run_wake();
        self.settle();
        self.map.is_idle()
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        // One by one, so that a panic in the Drop of one handler does not affect the others.
        self.map.drop_handlers();
    }
}

impl Deref for EventLoop {
    type Target = SocketMap;

    fn deref(&self) -> &SocketMap {
        &self.map
    }
}

impl DerefMut for EventLoop {
    fn deref_mut(&mut self) -> &mut SocketMap {
        &mut self.map
    }
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.map.fmt(f)
    }
}
