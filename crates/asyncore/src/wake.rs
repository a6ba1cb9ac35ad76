//! The socket pair by which other threads and signal handlers wake the loop.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Weak};

use crate::poller::{AnyPoller, Interest, Source};
use crate::trigger::{Trigger, TriggerCall};

/// The key under which the poller reports the receiving end; no channel has it, since the
/// generation of a channel in use is odd.
pub(crate) const WAKE: u64 = 0;

/// Maximum number of calls that wait for the loop.
pub(crate) const MAX_QUEUED_CALLS: usize = 1024;

/// The sending end; wakes the loop a last time when the last trigger is dropped.
pub(crate) struct Waker(UnixStream);

impl Waker {
    pub(crate) fn wake(&self) {
        // A full socket wakes the loop as well, and a closed one has no loop to wake.
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
    /// Cloned for each trigger.
    calls: SyncSender<TriggerCall>,
    queued: Receiver<TriggerCall>,
    /// Alive while a trigger is.
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

    /// Whether a trigger exists.
    pub(crate) fn is_awaited(&self) -> bool {
        self.waker.strong_count() > 0
    }

    /// Another sending end.
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

    /// Has the poller watch the receiving end.
    pub(crate) fn listen(&self, poller: &mut AnyPoller) -> io::Result<()> {
        poller.add(Source::Fd(self.rx.as_fd()), WAKE, Interest::READ)
    }

    /// Takes out what woke the loop, so that it can be woken again.
    pub(crate) fn clear(&mut self) {
        let mut bytes = [0; 256];
        while matches!(self.rx.read(&mut bytes), Ok(256)) {}
    }

    pub(crate) fn next_call(&self) -> Option<TriggerCall> {
        self.queued.try_recv().ok()
    }
}
