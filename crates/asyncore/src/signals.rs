//! Signals of the operating system, as calls on the loop.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::SigId;

use crate::error::Result;
use crate::map::SocketMap;

type Call = Box<dyn FnMut(&mut SocketMap) -> Result>;

/// A signal that the loop watches for, until the map is dropped.
pub(crate) struct Watch {
    came: Arc<AtomicBool>,
    call: Option<Call>,
    ids: [SigId; 2],
}

impl Drop for Watch {
    fn drop(&mut self) {
        for id in self.ids {
            signal_hook::low_level::unregister(id);
        }
    }
}

impl SocketMap {
    /// Calls `call` on the loop whenever the process gets the signal `signal`.
    ///
    /// Several signals of one number that come before the loop gets to them are one call. A
    /// watch alone does not keep [`run`](SocketMap::run) from returning. Feature `signals`.
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
        let mouth = wake.mouth()?;
        // The flag first: whoever is woken by the other must find it set.
        let flag = signal_hook::flag::register(signal, Arc::clone(&came))?;
        let ring = signal_hook::low_level::pipe::register(signal, mouth)?;
        wake.signals.push(Watch { came, call: Some(Box::new(call)), ids: [flag, ring] });
        Ok(())
    }

    pub(crate) fn run_signals(&mut self) {
        let mut index = 0;
        // Looked up anew each time, since a call may watch for another signal.
        while let Some(watch) = self.wake.as_mut().and_then(|wake| wake.signals.get_mut(index)) {
            if watch.came.swap(false, Ordering::SeqCst) {
                if let Some(mut call) = watch.call.take() {
                    self.run_call("a signal's call", &mut call);
                    self.deliver_due();
                    if let Some(watch) = self.wake.as_mut().and_then(|it| it.signals.get_mut(index))
                    {
                        watch.call = Some(call);
                    }
                }
            }
            index += 1;
        }
    }
}
