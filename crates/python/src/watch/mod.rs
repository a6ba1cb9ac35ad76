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

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use self::set::WatchSet;
use crate::descriptor;

pub(crate) use self::pass::{Attached, run, settle};

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
        let free = |set: &Shared| !lock(set).is_attached();
        let oldest = if kept.len() >= MAX_SETS { kept.iter().position(free) } else { None };
        let oldest = oldest.map(|at| kept.remove(at));
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
            let is_free = |set: &WatchSet| set.map() == address(map) && !set.is_attached();
            let at = kept.iter().position(|set| is_free(&lock(set)));
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

    /// Notes that another loop watches the set of `map`. `changed` is called when something changes
    /// that the kernel is to know, unless a pass is about to find it.
    pub(crate) fn attach(&self, map: &Bound<'_, PyDict>, changed: Py<PyAny>) -> PyResult<()> {
        let set = self.of(map).ok_or_else(|| {
            PyOSError::new_err("no epoll set is left for the map; raise the limit of open files")
        })?;
        lock(&set).attach(changed);
        Ok(())
    }

    pub(crate) fn detach(&self, map: &Bound<'_, PyDict>) {
        let changed = self.find(address(map)).and_then(|set| lock(&set).detach());
        drop(changed);
        self.forget(map);
    }

    /// While the result lives, changes to `map` call nothing.
    pub(crate) fn keep_awake(&self, map: &Bound<'_, PyDict>) -> Awake {
        let set = self.find(address(map));
        if let Some(set) = &set {
            lock(set).set_awake(true);
        }
        Awake(set)
    }

    /// Notes that `object` is now in `map` under `key`.
    pub(crate) fn added(
        &self,
        map: &Bound<'_, PyAny>,
        key: &Bound<'_, PyAny>,
        object: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let Some((set, fd)) = self.noted(map, key) else { return Ok(()) };
        let changed = {
            let mut set = lock(&set);
            set.add(fd, address(object), class_address(object));
            set.wake(map.py())
        };
        call(map.py(), changed)
    }

    /// Notes that the entry of `map` under `key` is about to be taken out.
    pub(crate) fn removed(&self, map: &Bound<'_, PyAny>, key: &Bound<'_, PyAny>) -> PyResult<()> {
        let Some((set, fd)) = self.noted(map, key) else { return Ok(()) };
        let changed = {
            let mut set = lock(&set);
            set.remove(fd);
            set.wake(map.py())
        };
        call(map.py(), changed)
    }

    fn noted(&self, map: &Bound<'_, PyAny>, key: &Bound<'_, PyAny>) -> Option<(Shared, i32)> {
        if !self.any() {
            return None;
        }
        Some((self.find(address(map))?, descriptor::from_int(key)?))
    }

    /// Notes that what the object at this address waits for may have changed.
    pub(crate) fn touch(&self, py: Python<'_>, object: usize) -> PyResult<()> {
        if !self.any() {
            return Ok(());
        }
        let mut changed = Vec::new();
        for set in lock(&self.kept).iter() {
            let mut set = lock(set);
            if set.touch_object(object) {
                changed.extend(set.wake(py));
            }
        }
        changed.into_iter().try_for_each(|changed| call(py, Some(changed)))
    }
}

/// See `Sets::keep_awake`.
pub(crate) struct Awake(Option<Shared>);

impl Drop for Awake {
    fn drop(&mut self) {
        if let Some(set) = &self.0 {
            lock(set).set_awake(false);
        }
    }
}

fn call(py: Python<'_>, changed: Option<Py<PyAny>>) -> PyResult<()> {
    match changed {
        Some(changed) => changed.call0(py).map(drop),
        None => Ok(()),
    }
}
