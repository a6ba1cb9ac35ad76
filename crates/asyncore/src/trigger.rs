//! A handle for waking the loop from other threads.

use std::fmt;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;
use crate::map::SocketMap;
use crate::wake::{MAX_QUEUED_CALLS, Waker};

/// A closure that is queued for the loop's thread.
pub type TriggerCall = Box<dyn FnOnce(&mut SocketMap) -> Result + Send>;

/// A handle that wakes a loop and runs a closure on it, from any thread.
///
/// [`SocketMap::trigger`] creates it. While any trigger exists, [`EventLoop::run`] does not return,
/// since another call may come; after the last is dropped, it can. Medusa's `trigger` was a channel
/// of its own; this one belongs to the map.
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
///
/// [`EventLoop::run`]: crate::EventLoop::run
#[derive(Clone)]
pub struct Trigger {
    pub(crate) calls: SyncSender<TriggerCall>,
    pub(crate) waker: Arc<Waker>,
}

impl Trigger {
    /// Runs `call` on the loop's thread, soon, between two callbacks. On a simulated network, whose
    /// wait a real thread cannot wake, the next pass runs it.
    ///
    /// The loop logs an error of `call`; [`ExitNow`](crate::ExitNow) leaves the loop.
    ///
    /// # Errors
    /// If 1,024 calls are already queued, or if the map was dropped. The error contains the closure.
    pub fn pull_trigger(
        &self,
        call: impl FnOnce(&mut SocketMap) -> Result + Send + 'static,
    ) -> std::result::Result<(), TriggerError> {
        self.calls.try_send(Box::new(call)).map_err(|error| match error {
            TrySendError::Full(call) => TriggerError::Full(NotTaken::new(call)),
            TrySendError::Disconnected(call) => TriggerError::Closed(NotTaken::new(call)),
        })?;
        self.waker.wake();
        Ok(())
    }

    /// Runs `call` on the loop's thread, and blocks this thread until the queue has room.
    pub(crate) fn pull_when_possible(
        &self,
        call: impl FnOnce(&mut SocketMap) -> Result + Send + 'static,
    ) {
        // A map that was dropped does not need the call.
        if self.calls.send(Box::new(call)).is_ok() {
            self.waker.wake();
        }
    }
}

impl fmt::Debug for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<Trigger>")
    }
}

/// The error of [`Trigger::pull_trigger`], with the closure that was not queued.
///
/// ```
/// use asyncore::{SocketMap, TriggerError};
///
/// # fn main() -> std::io::Result<()> {
/// let mut map = SocketMap::new()?;
/// let trigger = map.trigger()?;
/// drop(map);
/// assert!(matches!(trigger.pull_trigger(|_| Ok(())), Err(TriggerError::Closed(_))));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum TriggerError {
    /// 1,024 calls are already queued, because the loop is slower than its callers. Retry later.
    Full(NotTaken),
    /// The map was dropped.
    Closed(NotTaken),
}

/// A closure that no loop has taken; [`TriggerError::into_call`] returns it.
///
/// It can be shared between threads, which a closure cannot, so that the error converts into
/// [`Error`](crate::Error) with `?`.
pub struct NotTaken(Mutex<TriggerCall>);

impl NotTaken {
    fn new(call: TriggerCall) -> Self {
        NotTaken(Mutex::new(call))
    }

    fn into_call(self) -> TriggerCall {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<closure>")
    }
}

impl TriggerError {
    /// Returns the closure that was not queued.
    pub fn into_call(self) -> TriggerCall {
        match self {
            TriggerError::Full(call) | TriggerError::Closed(call) => call.into_call(),
        }
    }
}

impl fmt::Display for TriggerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TriggerError::Full(_) => {
                write!(f, "{MAX_QUEUED_CALLS} calls are already queued for the loop; retry later")
            }
            TriggerError::Closed(_) => f.write_str("the socket map of this trigger was dropped"),
        }
    }
}

impl std::error::Error for TriggerError {}
