//! A channel's silence, and the time.

use std::time::{Duration, Instant};

use crate::channel::Channel;
use crate::map::Task;
use crate::slot::IdleTimeout;

impl Channel<'_> {
    /// Sets after how much time without a byte in or out `handle_timeout` is called; `None`, the
    /// default, is never.
    ///
    /// Traffic begins the time anew at no cost. For a limit on something else than silence, use
    /// [`call_later`](Channel::call_later).
    pub fn set_timeout(&mut self, after: impl Into<Option<Duration>>) {
        let now = self.map.now();
        let deadline = after.into().map(|after| (after, self.map.deadline(after)));
        let Some(slot) = self.map.slots.get_mut(self.key) else {
            return;
        };
        slot.last_activity = now;
        if let Some(idle) = slot.idle.take() {
            self.map.timers.cancel(idle.timer);
        }
        if let Some((after, deadline)) = deadline {
            let timer = self.map.timers.insert(deadline, Task::Idle(self.key));
            slot.idle = Some(Box::new(IdleTimeout { after, timer }));
        }
    }

    /// The time on the map's clock, which a simulated network can drive.
    pub fn now(&self) -> Instant {
        self.map.now()
    }
}
