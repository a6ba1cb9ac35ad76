//! Signals of the operating system, as calls on the loop.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::error::Result;
use crate::map::SocketMap;
use crate::signals::Watch;

impl SocketMap {
    /// Calls `call` on the loop whenever the process gets the signal `signal`.
    ///
    /// Several signals of one number that come before the loop gets to them are one call. A
    /// watch alone does not keep [`run`](crate::EventLoop::run) from returning. Feature `signals`.
    ///
    /// # Errors
    /// For a signal that cannot be caught (`SIGKILL`, `SIGSTOP`) or must not (`SIGSEGV`,
    /// `SIGILL`, `SIGFPE`), and when the system has no descriptors left.
    ///
    /// ```
    /// use asyncore::SocketMap;
    /// use std::time::Duration;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut map = SocketMap::new()?;
    /// map.on_signal(15 /* SIGTERM */, |map| {
    ///     map.drain(Duration::from_secs(10));
    ///     Ok(())
    /// })?;
    /// map.run()
    /// # }
    /// ```
    pub fn on_signal(
        &mut self,
        signal: i32,
        call: impl FnMut(&mut SocketMap) -> Result + 'static,
    ) -> io::Result<()> {
        if signal_hook::consts::FORBIDDEN.contains(&signal) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("signal {signal} cannot be handled by a program"),
            ));
        }
        let wake = self.wake()?;
        let came = Arc::new(AtomicBool::new(false));
        let sender = wake.sender()?;
        // The flag first: a loop that the other wakes must find it set.
        let flag = signal_hook::flag::register(signal, Arc::clone(&came))?;
        let waking = signal_hook::low_level::pipe::register(signal, sender)?;
        wake.signals.push(Watch::new(came, Box::new(call), [flag, waking]));
        Ok(())
    }

    pub(crate) fn signal_watch(&mut self, index: usize) -> Option<&mut Watch> {
        self.wake.as_mut()?.signals.get_mut(index)
    }
}
