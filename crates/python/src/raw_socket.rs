//! Raw sockets, with which the engine may do what `socket.socket.recv` and `send` would.

use std::cell::RefCell;
use std::os::fd::RawFd;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustix::io::Errno;

use crate::descriptor;
use crate::engine::Engine;

/// The largest read that memory is kept for.
const LARGEST: usize = 1 << 20;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The descriptor of `socket`, if that is exactly a `socket.socket`, and open.
pub(crate) fn descriptor(engine: &Engine, socket: &Bound<'_, PyAny>) -> PyResult<Option<RawFd>> {
    let originals = engine.originals(socket.py());
    let fileno = originals.socket_fileno.bind(socket.py());
    if !socket.get_type().is(&originals.socket) || fileno.is_none() {
        return Ok(None);
    }
    // As `recv` and `send` have it, whatever a program makes of `fileno`.
    let fd: RawFd = fileno.call1((socket,))?.extract()?;
    Ok((fd >= 0).then_some(fd))
}

/// Whether `socket`, which is a `socket.socket`, waits where others say that nothing can be done.
pub(crate) fn waits(socket: &Bound<'_, PyAny>) -> PyResult<bool> {
    let timeout = socket.getattr(intern!(socket.py(), "timeout"))?;
    Ok(timeout.is_none() || timeout.extract::<f64>()? != 0.0)
}

/// Up to `size` bytes; none at the end of the stream.
pub(crate) fn receive(
    py: Python<'_>,
    fd: RawFd,
    size: usize,
) -> Option<Result<Bound<'_, PyBytes>, Errno>> {
    if size == 0 || size > LARGEST {
        return None;
    }
    Some(BUFFER.with_borrow_mut(|buffer| {
        if buffer.len() < size {
            buffer.resize(size, 0);
        }
        let count = again(|| descriptor::receive(fd, &mut buffer[..size]))?;
        Ok(PyBytes::new(py, &buffer[..count]))
    }))
}

pub(crate) fn transmit(fd: RawFd, data: &[u8]) -> Result<usize, Errno> {
    again(|| descriptor::transmit(fd, data))
}

/// A call that does not wait, made again if a signal came in between.
fn again<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            outcome => return outcome,
        }
    }
}

/// Whether `errno` says that the connection is no more.
pub(crate) fn is_disconnected(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::CONNRESET
            | Errno::NOTCONN
            | Errno::SHUTDOWN
            | Errno::CONNABORTED
            | Errno::PIPE
            | Errno::BADF
    )
}
