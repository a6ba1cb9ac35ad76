//! Calls that are put off, and what else waits for its time.

use std::time::Duration;

use crate::error::Result;
use crate::map::SocketMap;
use crate::timer::Timer;
use crate::token::Key;

/// The work of a timer.
pub(crate) enum Task {
    Once(Box<dyn FnOnce(&mut SocketMap) -> Result>),
    Every(Box<dyn FnMut(&mut SocketMap) -> Result>),
    /// A channel may have been silent, or in a phase, for its time.
    Channel(Key),
    /// The next address of a host may be tried.
    NextAddress(Key),
    /// A listener that ran out of descriptors may try again.
    Accept(Key),
    /// Channels whose end the poller cannot report have to be looked at.
    CheckEnds,
    /// The time to drain is over.
    CloseAll,
}

impl SocketMap {
    /// Calls `call` once, after `delay`.
    ///
    /// Timers run between the events of channels, never inside a callback. An error is logged;
    /// [`ExitNow`](crate::ExitNow) leaves the loop.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut map = asyncore::SocketMap::new()?;
    /// map.call_later(Duration::from_millis(1), |map| {
    ///     assert!(map.is_empty());
    ///     Ok(())
    /// });
    /// map.run() // until nothing is put off any more
    /// # }
    /// ```
    pub fn call_later(
        &mut self,
        delay: Duration,
        call: impl FnOnce(&mut SocketMap) -> Result + 'static,
    ) -> Timer {
        let deadline = self.deadline(delay);
        Timer(self.timers.insert(deadline, Task::Once(Box::new(call))))
    }

    /// Calls `call` again and again, `period` after its last call, until it is cancelled.
    ///
    /// A period of zero is taken as a millisecond, so that sockets get their turn.
    pub fn call_every(
        &mut self,
        period: Duration,
        call: impl FnMut(&mut SocketMap) -> Result + 'static,
    ) -> Timer {
        let period = period.max(Duration::from_millis(1));
        let deadline = self.deadline(period);
        Timer(self.timers.insert_repeating(deadline, period, Task::Every(Box::new(call))))
    }

    /// Cancels a call; false if it has been made already, or was cancelled before.
    pub fn cancel(&mut self, timer: Timer) -> bool {
        self.timers.cancel(timer.0)
    }

    /// Puts a call off anew, by `delay` from now; false if it has been made already, or was
    /// cancelled before.
    pub fn reset(&mut self, timer: Timer, delay: Duration) -> bool {
        let deadline = self.deadline(delay);
        self.timers.reset(timer.0, deadline)
    }
}
