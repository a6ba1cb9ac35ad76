//! The numbers that Python's maps name files by.

use std::os::fd::{BorrowedFd, RawFd};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyInt;
use rustix::event::{PollFd, PollFlags};

/// The descriptor that a key of a map stands for: the key itself, or what its `fileno()` says.
///
/// # Errors
/// Those of `select.select` for what is no descriptor.
pub(crate) fn from_key(key: &Bound<'_, PyAny>) -> PyResult<RawFd> {
    let number = if key.is_instance_of::<PyInt>() {
        key.extract::<RawFd>()?
    } else {
        let Some(fileno) = key.getattr_opt(intern!(key.py(), "fileno"))? else {
            return Err(PyTypeError::new_err(
                "argument must be an int, or have a fileno() method.",
            ));
        };
        match fileno.call0()?.cast::<PyInt>() {
            Ok(number) => number.extract::<RawFd>()?,
            Err(_) => return Err(PyTypeError::new_err("fileno() returned a non-integer")),
        }
    };
    if number < 0 {
        return Err(PyValueError::new_err(format!(
            "file descriptor cannot be a negative integer ({number})"
        )));
    }
    Ok(number)
}

/// What is no number of an open file on any system as it comes; Linux allows as many.
const MANY: RawFd = 1 << 20;

/// As `from_key`, for keys that are numbers, and such as open files have.
pub(crate) fn from_int(key: &Bound<'_, PyAny>) -> Option<RawFd> {
    let number = key.cast_exact::<PyInt>().ok()?.extract::<RawFd>().ok()?;
    (0..MANY).contains(&number).then_some(number)
}

/// `fd` for a system call that answers EBADF where nothing is open under the number.
#[allow(unsafe_code)]
pub(crate) fn borrow(fd: RawFd) -> BorrowedFd<'static> {
    debug_assert!(fd >= 0);
    // SAFETY: it is not -1. Whether it is open, and what it is, is the Python program's affair, as
    // with every integer that `select` and `os` are given: it is only ever asked about here, or
    // registered in a set that `watch` checks against what the number stands for.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

pub(crate) fn poll_fd(fd: RawFd, flags: PollFlags) -> PollFd<'static> {
    PollFd::from_borrowed_fd(borrow(fd), flags)
}
