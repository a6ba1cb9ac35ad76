//! Large maps: a set of descriptors that the kernel keeps from pass to pass.
//!
//! There is one [`WatchSet`] for each map that is or was large. Channels tell what they change
//! about themselves (`added`, `removed`, `touch`); the rest is found by looking. The module's
//! documentation, in `asyncore.py`, says what follows from that.
//!
//! No Python code runs while a set is locked, so that nothing can come back and find it so. For
//! that reason, what may keep Python objects alive is dropped only when nothing is locked.

mod entry;
mod kernel;
mod pass;
mod set;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyDict;

use self::set::WatchSet;
use crate::descriptor;

pub(crate) use self::pass::run;

/// Maximum number of sets; beyond it, the maps whose sets are the oldest have none.
const MAX_SETS: usize = 8;

type Shared = Arc<Mutex<WatchSet>>;

/// The kept sets of one interpreter.
#[derive(Default)]
pub(crate) struct Sets {
    kept: Mutex<Vec<Shared>>,
    /// Number of sets, to be read without the lock.
    count: AtomicUsize,
    /// The maps that a `loop` runs on: as long as it does, their addresses mean them.
    held: Mutex<Vec<Py<PyAny>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn address(object: &Bound<'_, PyAny>) -> usize {
    object.as_ptr() as usize
}

fn class_address(object: &Bound<'_, PyAny>) -> usize {
    object.get_type_ptr() as usize
}

impl Sets {
    fn any(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    fn find(&self, map: usize) -> Option<Shared> {
        lock(&self.kept).iter().find(|set| lock(set).map() == map).cloned()
    }

    /// Returns the set of `map`, made if there is none; `None` if the system has no epoll set left.
    fn of(&self, map: &Bound<'_, PyDict>) -> Option<Shared> {
        if let Some(set) = self.find(address(map)) {
            return Some(set);
        }
        let set = Arc::new(Mutex::new(WatchSet::new(address(map)).ok()?));
        let mut kept = lock(&self.kept);
        let oldest = (kept.len() == MAX_SETS).then(|| kept.remove(0));
        kept.push(set.clone());
        self.count.store(kept.len(), Ordering::Relaxed);
        drop(kept);
        drop(oldest);
        Some(set)
    }

    /// Notes that `map` is not large any more.
    pub(crate) fn forget(&self, map: &Bound<'_, PyDict>) {
        if self.any() {
            let mut kept = lock(&self.kept);
            let at = kept.iter().position(|set| lock(set).map() == address(map));
            let forgotten = at.map(|at| kept.remove(at));
            self.count.store(kept.len(), Ordering::Relaxed);
            drop(kept);
            drop(forgotten);
        }
    }

    pub(crate) fn hold(&self, map: &Bound<'_, PyAny>) {
        lock(&self.held).push(map.clone().unbind());
        // Since the last loop on it, the map can have changed in any way.
        if let Some(set) = self.find(address(map)) {
            lock(&set).distrust();
        }
    }

    pub(crate) fn release(&self, map: &Bound<'_, PyAny>) {
        let released = {
            let mut held = lock(&self.held);
            held.iter().rposition(|held| held.is(map)).map(|at| held.remove(at))
        };
        let outdated = self.find(address(map)).and_then(|set| lock(&set).forget_asked());
        drop((released, outdated));
    }

    fn is_held(&self, map: &Bound<'_, PyDict>) -> bool {
        lock(&self.held).iter().any(|held| held.is(map))
    }

    /// Notes that `object` is now in `map` under `key`.
    pub(crate) fn added(
        &self,
        map: &Bound<'_, PyAny>,
        key: &Bound<'_, PyAny>,
        object: &Bound<'_, PyAny>,
    ) {
        if let Some((set, fd)) = self.noted(map, key) {
            lock(&set).add(fd, address(object), class_address(object));
        }
    }

    /// Notes that the entry of `map` under `key` is about to be taken out.
    pub(crate) fn removed(&self, map: &Bound<'_, PyAny>, key: &Bound<'_, PyAny>) {
        if let Some((set, fd)) = self.noted(map, key) {
            lock(&set).remove(fd);
        }
    }

    fn noted(&self, map: &Bound<'_, PyAny>, key: &Bound<'_, PyAny>) -> Option<(Shared, i32)> {
        if !self.any() {
            return None;
        }
        Some((self.find(address(map))?, descriptor::from_int(key)?))
    }

    /// Notes that what the object at this address waits for may have changed.
    pub(crate) fn touch(&self, object: usize) {
        if self.any() {
            for set in lock(&self.kept).iter() {
                lock(set).touch_object(object);
            }
        }
    }
}
