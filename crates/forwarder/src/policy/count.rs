//! A number of connections, its limit, and the listeners that wait for room.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Refusal;

/// How long what was logged is not logged again.
const NEWS_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Something that can happen often and is logged once a minute.
#[derive(Debug, Default)]
pub(super) struct News(Mutex<Option<Instant>>);

impl News {
    /// Notes that it has happened; true if that is worth a line of the log.
    pub(super) fn is_news(&self, now: Instant) -> bool {
        let mut logged = lock(&self.0);
        let is_old = |at| now.saturating_duration_since(at) >= NEWS_AGAIN_AFTER;
        let is_news = logged.is_none_or(is_old);
        if is_news {
            *logged = Some(now);
        }
        is_news
    }
}

/// A listener that waits for room, and how to wake it from any thread.
pub struct Waiter(Box<dyn Fn() + Send + Sync>);

impl Waiter {
    /// A waiter that `wake` wakes. It has to try and reserve room then, and give that back if it has
    /// no use for it, so that the next one's turn comes.
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
/// What is given back wakes the one that has waited longest. A waiter queues before it looks a last
/// time, and a connection leaves before it looks for waiters, so one of them sees the other: hence
/// the strict order of all that happens here.
#[derive(Debug)]
pub(super) struct Count {
    open: AtomicUsize,
    limit: AtomicUsize,
    /// What it is called when the limit is reached.
    pub(super) refusal: Refusal,
    /// How many wait, so that leaving costs no lock without waiters.
    waiting: AtomicUsize,
    waiters: Mutex<VecDeque<Arc<Waiter>>>,
    /// The limit is reached, and clients wait.
    pub(super) full: News,
}

impl Count {
    pub(super) fn new(limit: usize, refusal: Refusal) -> Self {
        Count {
            open: AtomicUsize::new(0),
            limit: AtomicUsize::new(limit),
            refusal,
            waiting: AtomicUsize::new(0),
            waiters: Mutex::default(),
            full: News::default(),
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
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
