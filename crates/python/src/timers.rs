//! The calls that were put off: `asyncore_rs.timers` keeps them, a pass makes them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pyo3::intern;
use pyo3::prelude::*;

/// How many maps have calls put off; without any, a pass spends nothing on them.
static MAPS: AtomicUsize = AtomicUsize::new(0);

pub(crate) fn set_maps(count: usize) {
    MAPS.store(count, Ordering::Relaxed);
}

pub(crate) fn any() -> bool {
    MAPS.load(Ordering::Relaxed) > 0
}

/// `timeout`, or less if a call is due earlier.
pub(crate) fn shorten(
    timers: Option<&Bound<'_, PyAny>>,
    map: &Bound<'_, PyAny>,
    timeout: Option<Duration>,
) -> PyResult<Option<Duration>> {
    let Some(timers) = timers else { return Ok(timeout) };
    let due: Option<f64> = timers.call_method1(intern!(map.py(), "wait"), (map,))?.extract()?;
    let due = due.and_then(|due| Duration::try_from_secs_f64(due).ok());
    Ok(match (due, timeout) {
        (Some(due), Some(timeout)) => Some(due.min(timeout)),
        (due, timeout) => due.or(timeout),
    })
}

pub(crate) fn run_due(timers: &Bound<'_, PyAny>, map: &Bound<'_, PyAny>) -> PyResult<()> {
    timers.call_method1(intern!(map.py(), "run_due"), (map,))?;
    Ok(())
}
