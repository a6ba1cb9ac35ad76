//! Running due timers: calls, and the deadlines of channels.

use crate::error::{Error, ExitNow, Result};
use crate::event_loop::EventLoop;
use crate::log::LogType;
use crate::map::{SocketMap, Task};
use crate::panic;
use crate::timer::TimerKey;

impl EventLoop {
    /// Runs the timers that are due now, but not those that they set for now, so that sockets get
    /// their turn.
    pub(super) fn run_timers(&mut self) {
        for _ in 0..self.map.timers.len() {
            if self.map.exit {
                return;
            }
            let Some((key, task)) = self.map.timers.pop_due(self.map.now) else {
                return;
            };
            self.map.stats.timers += 1;
            self.run_task(key, task);
            self.deliver_due();
        }
    }

    fn run_task(&mut self, timer: TimerKey, task: Task) {
        match task {
            Task::Once(call) => self.run_call("a timer", call),
            Task::Every(mut call) => {
                self.run_call("a timer", &mut call);
                self.map.timers.put_back(timer, Task::Every(call));
            }
            Task::Channel(key) => self.map.channel_due(key),
            Task::NextAddress(key) => self.map.try_next_address(key),
            Task::Accept(key) => self.map.resume_listener(key),
            Task::CheckEnds => self.map.check_ends(),
            Task::CloseAll => self.map.close_all(),
        }
    }

    /// Runs a closure that belongs to no channel, and logs its failure.
    pub(super) fn run_call(&mut self, what: &str, call: impl FnOnce(&mut SocketMap) -> Result) {
        let outcome = panic::catch(|| call(&mut self.map));
        if let Err(error) = outcome.and_then(|result| result) {
            self.call_failed(what, &error);
        }
    }

    fn call_failed(&mut self, what: &str, error: &Error) {
        if error.is::<ExitNow>() {
            self.map.exit = true;
        } else {
            self.map.stats.errors += 1;
            let line = format!("uncaptured error in {what} ({error})");
            self.map.emit(LogType::Error, line);
        }
    }
}
