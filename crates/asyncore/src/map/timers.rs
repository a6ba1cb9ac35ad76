//! Timers: scheduled calls, and the map's own deadlines.

use std::time::Duration;

use crate::error::Result;
use crate::map::SocketMap;
use crate::timer::Timer;
use crate::token::Key;

/// The work of a timer.
pub(crate) enum Task {
    Once(Box<dyn FnOnce(&mut SocketMap) -> Result>),
    Every(Box<dyn FnMut(&mut SocketMap) -> Result>),
    /// A deadline of a channel may have passed.
    Channel(Key),
    /// The next address of a host may be tried.
    NextAddress(Key),
    /// A listener that ran out of descriptors may try again.
    Accept(Key),
    /// Connections whose end the poller cannot report have to be checked.
    CheckEnds,
    /// The deadline of a drain has passed.
    CloseAll,
}

impl SocketMap {
    /// Schedules `call` to run once, after `delay`.
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
    /// map.run() // until no timer is left
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

    /// Schedules `call` to run repeatedly, `period` after its last call, until it is cancelled.
    ///
    /// A period below a millisecond counts as one millisecond, so that sockets get their turn.
    pub fn call_every(
        &mut self,
        period: Duration,
        call: impl FnMut(&mut SocketMap) -> Result + 'static,
    ) -> Timer {
        let period = period.max(Duration::from_millis(1));
        let deadline = self.deadline(period);
        Timer(self.timers.insert_repeating(deadline, period, Task::Every(Box::new(call))))
    }

    /// Cancels a timer. Returns false if its call was already made or cancelled.
    pub fn cancel(&mut self, timer: Timer) -> bool {
        self.timers.cancel(timer.0)
    }

    /// Schedules a timer again, for `delay` from now. Returns false if its call was already made or
    /// cancelled.
    pub fn reset(&mut self, timer: Timer, delay: Duration) -> bool {
        let deadline = self.deadline(delay);
        self.timers.reset(timer.0, deadline)
    }
}
