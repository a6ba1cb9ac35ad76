//! Waking the loop from outside: triggers and signals.

use std::io;

use crate::map::SocketMap;
use crate::trigger::Trigger;
use crate::wake::Wake;

impl SocketMap {
    /// Returns a handle with which other threads wake this loop and run closures on it.
    ///
    /// # Errors
    /// Fails if the system has no descriptors left for the socket pair that wakes the loop.
    pub fn trigger(&mut self) -> io::Result<Trigger> {
        self.wake()?.trigger()
    }

    /// Returns the waker, created and registered when it is first needed.
    pub(crate) fn wake(&mut self) -> io::Result<&mut Wake> {
        if self.wake.is_none() {
            let wake = Wake::new()?;
            // On a simulated network every pass checks the waker: a real socket cannot wake a
            // simulated clock.
            if self.network.is_none() {
                wake.listen(&mut self.poller)?;
            }
            self.wake = Some(wake);
        }
        self.wake.as_mut().ok_or_else(|| io::Error::other("the loop has no waker"))
    }
}
