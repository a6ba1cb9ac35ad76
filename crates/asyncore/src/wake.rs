//! The socket pair with which other threads and signal handlers wake the loop.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Weak};

use crate::poller::{AnyPoller, Interest, Source};
use crate::trigger::{Trigger, TriggerCall};

/// The poller key of the receiving end. No channel has this key, since the generation of a channel
/// in use is odd.
pub(crate) const WAKE: u64 = 0;

/// Maximum number of calls queued for the loop, to bound the memory that its callers can fill.
pub(crate) const MAX_QUEUED_CALLS: usize = 1024;

/// The sending end of the socket pair. Dropping the last trigger wakes the loop once more.
pub(crate) struct Waker(UnixStream);

impl Waker {
    pub(crate) fn wake(&self) {
        // A write fails only if the socket is full, which also wakes the loop, or if the loop is
        // gone.
        let _ = (&self.0).write(&[1]);
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        self.wake();
    }
}

/// The map's side of its triggers and signals.
pub(crate) struct Wake {
    rx: UnixStream,
    tx: UnixStream,
    /// The sender that each trigger clones.
    calls: SyncSender<TriggerCall>,
    queued: Receiver<TriggerCall>,
    /// The waker of the existing triggers.
    waker: Weak<Waker>,
    #[cfg(feature = "signals")]
    pub(crate) signals: Vec<crate::signals::Watch>,
}

impl Wake {
    pub(crate) fn new() -> io::Result<Self> {
        let (rx, tx) = UnixStream::pair()?;
        rx.set_nonblocking(true)?;
        tx.set_nonblocking(true)?;
        let (calls, queued) = sync_channel(MAX_QUEUED_CALLS);
        Ok(Wake {
            rx,
            tx,
            calls,
            queued,
            waker: Weak::new(),
            #[cfg(feature = "signals")]
            signals: Vec::new(),
        })
    }

    /// Returns `true` if a trigger exists.
    pub(crate) fn is_awaited(&self) -> bool {
        self.waker.strong_count() > 0
    }

    /// Duplicates the sending end.
    #[cfg(feature = "signals")]
    pub(crate) fn sender(&self) -> io::Result<UnixStream> {
        self.tx.try_clone()
    }

    pub(crate) fn trigger(&mut self) -> io::Result<Trigger> {
        let waker = match self.waker.upgrade() {
            Some(waker) => waker,
            None => {
                let waker = Arc::new(Waker(self.tx.try_clone()?));
                self.waker = Arc::downgrade(&waker);
                waker
            }
        };
        Ok(Trigger { calls: self.calls.clone(), waker })
    }

    /// Registers the receiving end with the poller.
    pub(crate) fn listen(&self, poller: &mut AnyPoller) -> io::Result<()> {
        poller.add(Source::Fd(self.rx.as_fd()), WAKE, Interest::READ)
    }

    /// Reads the pending wake-up bytes, so that they do not wake the loop again.
    pub(crate) fn clear(&mut self) {
        let mut bytes = [0; 256];
        while matches!(self.rx.read(&mut bytes), Ok(256)) {}
    }

    pub(crate) fn next_call(&self) -> Option<TriggerCall> {
        self.queued.try_recv().ok()
    }
}
