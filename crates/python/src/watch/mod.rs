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

/// How many sets are kept at the most; of more maps, those used longest ago have none.
const SETS: usize = 8;

type Shared = Arc<Mutex<WatchSet>>;

static SETS_KEPT: Mutex<Vec<Shared>> = Mutex::new(Vec::new());
/// How many there are, for those who have to know only that there are none.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// The maps that a `loop` is running on: as long as it does, their address means them.
static HELD: Mutex<Vec<Py<PyAny>>> = Mutex::new(Vec::new());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn any() -> bool {
    COUNT.load(Ordering::Relaxed) > 0
}

fn address(object: &Bound<'_, PyAny>) -> usize {
    object.as_ptr() as usize
}

fn class_address(object: &Bound<'_, PyAny>) -> usize {
    object.get_type_ptr() as usize
}

fn find(map: usize) -> Option<Shared> {
    lock(&SETS_KEPT).iter().find(|set| lock(set).map() == map).cloned()
}

/// The set of `map`, made if there is none. `None` if the system has no epoll set left to give.
fn of(map: &Bound<'_, PyDict>) -> Option<Shared> {
    if let Some(set) = find(address(map)) {
        return Some(set);
    }
    let set = Arc::new(Mutex::new(WatchSet::new(address(map)).ok()?));
    let mut sets = lock(&SETS_KEPT);
    let oldest = (sets.len() == SETS).then(|| sets.remove(0));
    sets.push(set.clone());
    COUNT.store(sets.len(), Ordering::Relaxed);
    drop(sets);
    drop(oldest);
    Some(set)
}

/// Says that `map` is not large any more.
pub(crate) fn forget(map: &Bound<'_, PyDict>) {
    if any() {
        let mut sets = lock(&SETS_KEPT);
        let at = sets.iter().position(|set| lock(set).map() == address(map));
        let forgotten = at.map(|at| sets.remove(at));
        COUNT.store(sets.len(), Ordering::Relaxed);
        drop(sets);
        drop(forgotten);
    }
}

pub(crate) fn hold(map: &Bound<'_, PyAny>) {
    lock(&HELD).push(map.clone().unbind());
    // Since the last loop on it, anything can have happened to the map.
    if let Some(set) = find(address(map)) {
        lock(&set).distrust();
    }
}

pub(crate) fn release(map: &Bound<'_, PyAny>) {
    let mut held = lock(&HELD);
    if let Some(at) = held.iter().rposition(|held| held.is(map)) {
        let reference = held.remove(at);
        drop(held);
        drop(reference);
    }
    let outdated = find(address(map)).and_then(|set| lock(&set).forget_asked());
    drop(outdated);
}

fn is_held(map: &Bound<'_, PyDict>) -> bool {
    lock(&HELD).iter().any(|held| held.is(map))
}

/// Says that `object` is now in `map` under `key`.
pub(crate) fn added(map: &Bound<'_, PyAny>, key: &Bound<'_, PyAny>, object: &Bound<'_, PyAny>) {
    if let Some((set, fd)) = noted(map, key) {
        lock(&set).add(fd, address(object), class_address(object));
    }
}

/// Says that what is in `map` under `key` is about to be taken out.
pub(crate) fn removed(map: &Bound<'_, PyAny>, key: &Bound<'_, PyAny>) {
    if let Some((set, fd)) = noted(map, key) {
        lock(&set).remove(fd);
    }
}

fn noted(map: &Bound<'_, PyAny>, key: &Bound<'_, PyAny>) -> Option<(Shared, i32)> {
    if !any() {
        return None;
    }
    Some((find(address(map))?, descriptor::from_int(key)?))
}

/// Says that what `object` waits for may have changed.
pub(crate) fn touch(object: &Bound<'_, PyAny>) {
    touch_address(address(object));
}

pub(crate) fn touch_address(object: usize) {
    if any() {
        for set in lock(&SETS_KEPT).iter() {
            lock(set).touch_object(object);
        }
    }
}
