//! A channel's silence, and the time.

use std::time::{Duration, Instant};

use crate::channel::Channel;

impl Channel<'_> {
    /// Sets after how much time without a byte in or out `handle_timeout` is called; `None`, the
    /// default, is never.
    ///
    /// Traffic begins the time anew at no cost. For a limit on something else than silence, use
    /// [`call_later`](Channel::call_later).
    pub fn set_timeout(&mut self, after: impl Into<Option<Duration>>) {
        self.map.limit_silence(self.key, after.into());
    }

    /// The time on the map's clock, which a simulated network can drive.
    pub fn now(&self) -> Instant {
        self.map.now()
    }
}
