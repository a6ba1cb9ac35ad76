//! A number of connections, its limit, and who waits for a place.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Refusal;

/// How long it is not told again that all places are taken.
const TOLD_FOR: Duration = Duration::from_secs(60);

/// Who waits for a place, with what wakes it from any thread.
pub struct Waiter(Box<dyn Fn() + Send + Sync>);

impl Waiter {
    /// One that `wake` wakes. It has to try and take a place then, and give it back if it has no
    /// use for it, so that the next one's turn comes.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Waiter(Box::new(wake)))
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter").finish_non_exhaustive()
    }
}

/// A number of connections and its limit.
///
/// A place that is given back wakes the one who has waited longest. Since whoever finds no place
/// queues before it looks a last time, and whoever leaves does so before it looks whether anybody
/// waits, one of them sees the other: hence the strict order of all that happens here.
#[derive(Debug)]
pub(super) struct Count {
    open: AtomicUsize,
    limit: AtomicUsize,
    /// What it is called when the limit is reached.
    pub(super) refusal: Refusal,
    /// How many wait, so that leaving costs no lock where nobody does.
    waiting: AtomicUsize,
    waiters: Mutex<VecDeque<Arc<Waiter>>>,
    /// When it was told last that all places are taken.
    told_full: Mutex<Option<Instant>>,
}

impl Count {
    pub(super) fn new(limit: usize, refusal: Refusal) -> Self {
        Count {
            open: AtomicUsize::new(0),
            limit: AtomicUsize::new(limit),
            refusal,
            waiting: AtomicUsize::new(0),
            waiters: Mutex::default(),
            told_full: Mutex::new(None),
        }
    }

    /// Adds one, if that keeps within the limit.
    pub(super) fn enter(&self) -> bool {
        let limit = self.limit();
        self.open.fetch_update(SeqCst, SeqCst, |open| (open < limit).then(|| open + 1)).is_ok()
    }

    /// Takes one off, and wakes the next who waits.
    pub(super) fn leave(&self) {
        self.open.fetch_sub(1, SeqCst);
        if self.waiting.load(SeqCst) > 0 {
            self.wake(1);
        }
    }

    /// Queues who waits behind the others; false if it is queued already.
    pub(super) fn queue(&self, waiter: &Arc<Waiter>) -> bool {
        let mut waiters = lock(&self.waiters);
        if waiters.iter().any(|other| Arc::ptr_eq(other, waiter)) {
            return false;
        }
        waiters.push_back(Arc::clone(waiter));
        self.waiting.store(waiters.len(), SeqCst);
        true
    }

    /// Changes the limit and wakes as many as that may concern. What is open stays open, also when
    /// it is more.
    pub(super) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, SeqCst);
        self.wake(limit.saturating_sub(self.open()));
    }

    fn wake(&self, most: usize) {
        let woken: Vec<_> = {
            let mut waiters = lock(&self.waiters);
            let count = most.min(waiters.len());
            let woken = waiters.drain(..count).collect();
            self.waiting.store(waiters.len(), SeqCst);
            woken
        };
        for Waiter(wake) in woken.iter().map(Arc::as_ref) {
            wake();
        }
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(SeqCst)
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.load(SeqCst)
    }

    /// Notes that all places are taken while somebody waits; true if that was not noted in the last
    /// minute, and is worth telling.
    pub(super) fn note_full(&self, now: Instant) -> bool {
        let mut told = lock(&self.told_full);
        let is_news = told.is_none_or(|told| now.saturating_duration_since(told) >= TOLD_FOR);
        if is_news {
            *told = Some(now);
        }
        is_news
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
