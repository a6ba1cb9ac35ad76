//! What the map does when a deadline has come.

use std::time::Duration;

use crate::error::{Error, ExitNow, Result};
use crate::log::{self, LogType};
use crate::map::SocketMap;
use crate::panic;
use crate::timer::{Timer, TimerKey};
use crate::token::Key;

/// What a timer stands for.
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

    /// Runs what is due by now, but not what that sets for now, so that sockets get their turn.
    pub(crate) fn run_timers(&mut self) {
        for _ in 0..self.timers.len() {
            if self.exit {
                return;
            }
            let Some((key, task)) = self.timers.pop_due(self.now) else {
                return;
            };
            self.stats.timers += 1;
            self.run_task(key, task);
            self.deliver_due();
        }
    }

    fn run_task(&mut self, timer: TimerKey, task: Task) {
        match task {
            Task::Once(call) => self.run_call("a timer", call),
            Task::Every(mut call) => {
                self.run_call("a timer", &mut call);
                self.timers.put_back(timer, Task::Every(call));
            }
            Task::Channel(key) => self.channel_due(key),
            Task::NextAddress(key) => self.try_next_address(key),
            Task::Accept(key) => self.resume_listener(key),
            Task::CheckEnds => self.check_ends(),
            Task::CloseAll => self.close_all(),
        }
    }

    /// Runs a closure that belongs to no channel.
    pub(crate) fn run_call(&mut self, what: &str, call: impl FnOnce(&mut SocketMap) -> Result) {
        let outcome = panic::catch(|| call(self));
        if let Err(error) = outcome.and_then(|result| result) {
            self.call_failed(what, &error);
        }
    }

    fn call_failed(&mut self, what: &str, error: &Error) {
        if error.is::<ExitNow>() {
            self.exit = true;
        } else {
            self.stats.errors += 1;
            log::emit(LogType::Error, format_args!("uncaptured error in {what} ({error})"));
        }
    }
}
