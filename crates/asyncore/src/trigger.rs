//! Waking the loop from other threads and from signal handlers.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use crate::error::Result;
use crate::map::SocketMap;
use crate::poller::{AnyPoller, Interest, Source};

/// The key under which the poller reports the waking socket; no channel has it, since the
/// generation of a channel in use is odd.
pub(crate) const WAKE: u64 = 0;

/// How many calls wait for the loop at the most.
const QUEUE: usize = 1024;

type Thunk = Box<dyn FnOnce(&mut SocketMap) -> Result + Send>;

/// Wakes a loop and runs a closure on it, from any thread.
///
/// Made by [`SocketMap::trigger`]. While one is held anywhere, [`SocketMap::run`] does not
/// return, since something may still come; dropping the last lets it. Medusa's `trigger` was a
/// channel of its own; this one belongs to the map.
///
/// ```
/// use asyncore::SocketMap;
///
/// # fn main() -> std::io::Result<()> {
/// let mut map = SocketMap::new()?;
/// let trigger = map.trigger()?;
/// std::thread::spawn(move || {
///     let answer = 6 * 7; // what would have blocked the loop
///     trigger.pull_trigger(move |map| {
///         assert_eq!(answer, 42);
///         assert!(map.is_empty());
///         Ok(())
///     })
/// });
/// map.run() // until the thread is done with its trigger
/// # }
/// ```
#[derive(Clone)]
pub struct Trigger {
    thunks: SyncSender<Thunk>,
    bell: Arc<Bell>,
}

/// Why a trigger could not be pulled; the closure is dropped.
///
/// ```
/// use asyncore::{SocketMap, TriggerError};
///
/// # fn main() -> std::io::Result<()> {
/// let mut map = SocketMap::new()?;
/// let trigger = map.trigger()?;
/// drop(map);
/// assert_eq!(trigger.pull_trigger(|_| Ok(())), Err(TriggerError::Closed));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TriggerError {
    /// 1,024 calls wait already: the loop is slower than those who call it.
    Full,
    /// The map is gone.
    Closed,
}

impl fmt::Display for TriggerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TriggerError::Full => write!(f, "{QUEUE} calls wait for the loop already; try later"),
            TriggerError::Closed => f.write_str("the socket map of this trigger is gone"),
        }
    }
}

impl std::error::Error for TriggerError {}

/// The writing end of the waking socket; rings a last time when the last trigger goes.
struct Bell(UnixStream);

impl Bell {
    fn ring(&self) {
        // A full socket wakes the loop as well, and a closed one has nobody left to wake.
        let _ = (&self.0).write(&[1]);
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.ring();
    }
}

impl Trigger {
    /// Runs `thunk` on the loop's thread, soon, between two callbacks. On a simulated network,
    /// whose clock nothing real can wake, that is in the next pass.
    ///
    /// An error of `thunk` is logged; [`ExitNow`](crate::ExitNow) leaves the loop.
    ///
    /// # Errors
    /// When 1,024 calls wait already, and when the map is gone.
    pub fn pull_trigger(
        &self,
        thunk: impl FnOnce(&mut SocketMap) -> Result + Send + 'static,
    ) -> std::result::Result<(), TriggerError> {
        self.thunks.try_send(Box::new(thunk)).map_err(|error| match error {
            TrySendError::Full(_) => TriggerError::Full,
            TrySendError::Disconnected(_) => TriggerError::Closed,
        })?;
        self.bell.ring();
        Ok(())
    }
}

impl Trigger {
    /// Runs `thunk` on the loop's thread, waiting for room in the queue on this one.
    pub(crate) fn pull_when_possible(
        &self,
        thunk: impl FnOnce(&mut SocketMap) -> Result + Send + 'static,
    ) {
        // When the map is gone, nobody wants it any more.
        if self.thunks.send(Box::new(thunk)).is_ok() {
            self.bell.ring();
        }
    }
}

impl fmt::Debug for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<Trigger>")
    }
}

/// The map's side of its triggers and signals.
pub(crate) struct Wake {
    ears: UnixStream,
    /// What new triggers are copies of; held apart from those, so that they can be counted.
    thunks: SyncSender<Thunk>,
    waiting: Receiver<Thunk>,
    mouth: UnixStream,
    bell: std::sync::Weak<Bell>,
    #[cfg(feature = "signals")]
    pub(crate) signals: Vec<crate::signals::Watch>,
}

impl Wake {
    fn new() -> io::Result<Self> {
        let (ears, mouth) = UnixStream::pair()?;
        ears.set_nonblocking(true)?;
        mouth.set_nonblocking(true)?;
        let (thunks, waiting) = sync_channel(QUEUE);
        Ok(Wake {
            ears,
            thunks,
            waiting,
            mouth,
            bell: std::sync::Weak::new(),
            #[cfg(feature = "signals")]
            signals: Vec::new(),
        })
    }

    /// Whether somebody holds a trigger.
    pub(crate) fn is_awaited(&self) -> bool {
        self.bell.strong_count() > 0
    }

    /// Another writing end of the waking socket.
    #[cfg(feature = "signals")]
    pub(crate) fn mouth(&self) -> io::Result<UnixStream> {
        self.mouth.try_clone()
    }

    fn trigger(&mut self) -> io::Result<Trigger> {
        let bell = match self.bell.upgrade() {
            Some(bell) => bell,
            None => {
                let bell = Arc::new(Bell(self.mouth.try_clone()?));
                self.bell = Arc::downgrade(&bell);
                bell
            }
        };
        Ok(Trigger { thunks: self.thunks.clone(), bell })
    }

    /// Has the poller watch for rings.
    pub(crate) fn listen(&self, poller: &mut AnyPoller) -> io::Result<()> {
        poller.add(Source::Fd(self.ears.as_fd()), WAKE, Interest::READ)
    }

    fn silence(&mut self) {
        let mut rings = [0; 256];
        while matches!(self.ears.read(&mut rings), Ok(256)) {}
    }
}

impl SocketMap {
    /// A handle with which other threads wake this loop and run closures on it.
    ///
    /// # Errors
    /// When the system has no descriptors left for the socket pair that wakes the loop.
    pub fn trigger(&mut self) -> io::Result<Trigger> {
        self.wake()?.trigger()
    }

    /// The waking socket, made and registered when it is first needed.
    pub(crate) fn wake(&mut self) -> io::Result<&mut Wake> {
        if self.wake.is_none() {
            let wake = Wake::new()?;
            // On a simulated network every pass looks anyway: nothing real can wake its clock.
            if self.network.is_none() {
                wake.listen(&mut self.poller)?;
            }
            self.wake = Some(wake);
        }
        self.wake.as_mut().ok_or_else(|| io::Error::other("no waking socket"))
    }

    /// Runs what triggers and signals have asked for by now.
    pub(crate) fn run_wake(&mut self) {
        let Some(wake) = &mut self.wake else { return };
        wake.silence();
        #[cfg(feature = "signals")]
        self.run_signals();
        for _ in 0..QUEUE {
            let Some(thunk) = self.wake.as_ref().and_then(|it| it.waiting.try_recv().ok()) else {
                return;
            };
            self.run_call("a trigger", thunk);
            self.deliver_due();
        }
    }
}
