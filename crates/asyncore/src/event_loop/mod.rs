//! What runs: one pass after another waits, dispatches, and settles.
//!
//! `pass` is the loop itself. `dispatch` goes from one ready channel to its callbacks, `deliver`
//! hands over what was noted while they ran, and `settle` turns the answers of predicates into
//! what the poller watches. `due` does the same for timers and `wake` for other threads.

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

/// Owns a [`SocketMap`] and runs it.
///
/// It dereferences to its map, so that everything that a callback can do with the map can be done
/// with the loop between two passes. Dropping it closes the sockets and drops the handlers without
/// calling them; [`close_all`](EventLoop::close_all) and [`drain`](SocketMap::drain) call them.
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
/// event_loop.run() // until no call is put off and no channel is left
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

    /// Runs until the map is empty: no channel is left, no call is put off, and no
    /// [`Trigger`](crate::Trigger) is held anywhere; or until a callback returns
    /// [`ExitNow`](crate::ExitNow).
    ///
    /// # Errors
    /// The system's, of a failed wait. On a simulated network, a loop that nothing could ever
    /// wake.
    pub fn run(&mut self) -> io::Result<()> {
        self.run_with(LoopOptions::default())
    }

    /// Runs as [`run`](EventLoop::run) does, with bounds on the number and length of its passes.
    ///
    /// # Errors
    /// As `run`.
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

    /// Makes one pass: waits up to `timeout` (for ever when `None`) until sockets are ready,
    /// timers are due or a trigger is pulled, and makes the callbacks for them.
    ///
    /// # Errors
    /// As [`run`](EventLoop::run).
    pub fn poll(&mut self, timeout: Option<Duration>) -> io::Result<Pass> {
        self.pass(timeout)
    }

    /// Closes every channel at once; each gets its `handle_close` before this returns.
    ///
    /// Output that is still queued is lost: [`drain`](SocketMap::drain) sends it. Errors of
    /// handlers are logged as always, so there is nothing to ignore (`ignore_all` in Python).
    pub fn close_all(&mut self) {
        self.map.close_all();
        self.deliver_due();
    }

    /// Whether nothing can happen any more.
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
        // One by one, so that a handler whose own Drop panics costs no other.
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
