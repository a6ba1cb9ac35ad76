//! Waiting for the operating system, with the interpreter free to do other things meanwhile.

use std::time::{Duration, Instant};

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use rustix::event::Timespec;
use rustix::io::Errno;

use crate::descriptor::{self, PollFd};
use crate::interest::Style;

/// Until when a pass waits. `None`: until something happens.
pub(crate) type Deadline = Option<Instant>;

/// The longest single wait; a pass may end without events.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a pass may wait, from what Python's `timeout` said.
///
/// # Errors
/// A time below zero, which select(2) does not take and poll(2) understands as for ever; NaN.
pub(crate) fn timeout(style: Style, timeout: Option<f64>) -> PyResult<Option<Duration>> {
    match timeout {
        None => Ok(None),
        Some(seconds) if seconds.is_nan() => {
            Err(PyValueError::new_err("timeout must be a number, not NaN"))
        }
        Some(seconds) if seconds < 0.0 => match style {
            Style::Poll => Ok(None),
            Style::Select => Err(PyValueError::new_err("timeout must be non-negative")),
        },
        Some(seconds) => Ok(Some(
            Duration::try_from_secs_f64(seconds).map_or(LONGEST, |timeout| timeout.min(LONGEST)),
        )),
    }
}

pub(crate) fn deadline(timeout: Option<Duration>) -> Deadline {
    timeout.map(|timeout| Instant::now() + timeout)
}

pub(crate) fn os_error(errno: Errno) -> PyErr {
    let number = errno.raw_os_error();
    let error = std::io::Error::from_raw_os_error(number).to_string();
    let text = error.strip_suffix(&format!(" (os error {number})")).unwrap_or(&error).to_owned();
    PyOSError::new_err((number, text))
}

/// Waits until one of `fds` is ready, or `deadline`. Tells how many are.
pub(crate) fn poll_until(
    py: Python<'_>,
    fds: &mut [PollFd],
    deadline: Deadline,
) -> PyResult<usize> {
    until(py, deadline, |timeout| descriptor::poll(fds, timeout))
}

/// Makes a system call that waits, again after each signal whose handler does not raise.
pub(crate) fn until<F>(py: Python<'_>, deadline: Deadline, mut wait: F) -> PyResult<usize>
where
    F: FnMut(Option<&Timespec>) -> Result<usize, Errno> + Send,
{
    loop {
        let timeout = deadline.map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            Timespec { tv_sec: left.as_secs() as _, tv_nsec: left.subsec_nanos().into() }
        });
        match py.detach(|| wait(timeout.as_ref())) {
            Ok(count) => return Ok(count),
            Err(Errno::INTR) => py.check_signals()?,
            Err(errno) => return Err(os_error(errno)),
        }
    }
}
