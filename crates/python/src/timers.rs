//! The calls that were put off: `asyncore_rs.timers` keeps them, a pass makes them.

use std::time::Duration;

use pyo3::intern;
use pyo3::prelude::*;

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
