//! Calls on the loop for signals of the operating system.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::error::Result;
use crate::map::SocketMap;
use crate::signals::Watch;

impl SocketMap {
    /// Calls `call` on the loop whenever the process receives `signal`.
    ///
    /// Several signals of one number that arrive before the loop handles them result in one call. A
    /// watch alone does not keep [`run`](crate::EventLoop::run) from returning. Requires the
    /// feature `signals`.
    ///
    /// # Errors
    /// Fails for a signal that cannot be caught (`SIGKILL`, `SIGSTOP`) or must not be (`SIGSEGV`,
    /// `SIGILL`, `SIGFPE`), and if the system has no descriptors left.
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
        // The flag is registered first: the loop that the pipe wakes must find it set.
        let flag = signal_hook::flag::register(signal, Arc::clone(&came))?;
        let waking = signal_hook::low_level::pipe::register(signal, sender)?;
        wake.signals.push(Watch::new(came, Box::new(call), [flag, waking]));
        Ok(())
    }

    pub(crate) fn signal_watch(&mut self, index: usize) -> Option<&mut Watch> {
        self.wake.as_mut()?.signals.get_mut(index)
    }
}
