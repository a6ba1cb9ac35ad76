//! `async_chat.initiate_send`: the first of what is queued is sent, as far as the socket takes it.

use pyo3::exceptions::{PyOSError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyMemoryView, PySlice, PyString};
use rustix::io::Errno;

use crate::chat::{encode, encodes};
use crate::engine::Engine;
use crate::hooks::{self, Hook, Hooks};
use crate::{originals, raw_socket, wait};

const SENDS: Hooks = Hooks::of(&[Hook::Send, Hook::SocketSend]);
const PUSHES: Hooks = Hooks::of(&[Hook::Send, Hook::SocketSend, Hook::InitiateSend]);

/// What became of the first item of the queue.
enum Step {
    /// It is gone, or something else is before it.
    Next,
    /// It was sent as far as possible, or the channel has ended.
    Done,
}

pub(crate) fn send(engine: &Engine, channel: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = channel.py();
    engine.sets.touch(py, channel.as_ptr() as usize)?;
    loop {
        let fifo = channel.getattr(intern!(py, "producer_fifo"))?;
        if !fifo.is_truthy()? || !channel.getattr(intern!(py, "connected"))?.is_truthy()? {
            return Ok(());
        }
        if let Step::Done = send_first(engine, channel, &fifo)? {
            return Ok(());
        }
    }
}

fn send_first<'py>(
    engine: &Engine,
    channel: &Bound<'py, PyAny>,
    fifo: &Bound<'py, PyAny>,
) -> PyResult<Step> {
    let py = channel.py();
    let first = fifo.get_item(0)?;
    if first.is_none() {
        fifo.del_item(0)?;
        channel.call_method0(intern!(py, "handle_close"))?;
        return Ok(Step::Done);
    }
    let size = channel.getattr(intern!(py, "ac_out_buffer_size"))?;
    if let Ok(text) = first.cast::<PyString>() {
        if encodes(channel)? {
            // In bytes from now on: the peer takes bytes, and a character may have several.
            fifo.set_item(0, encode(channel, text)?)?;
            return Ok(Step::Next);
        }
    }
    let Some(data) = beginning(&first, &size)? else {
        let data = first.call_method0(intern!(py, "more"))?;
        if data.is_truthy()? {
            fifo.call_method1(intern!(py, "appendleft"), (data,))?;
        } else {
            fifo.del_item(0)?;
        }
        return Ok(Step::Next);
    };
    if first.len()? == 0 {
        fifo.del_item(0)?;
        return Ok(Step::Next);
    }
    let sent = match transmit(engine, channel, &data) {
        Ok(sent) => sent,
        Err(error) => return report(engine, channel, Err(error)).map(|()| Step::Done),
    };
    // Sending can have ended the channel, and the queue with it.
    if sent.is_truthy()? && fifo.is_truthy()? && fifo.get_item(0)?.is(&first) {
        let sent: usize = sent.extract()?;
        if sent < first.len()? {
            fifo.set_item(0, rest(&first, sent, &size)?)?;
        } else {
            fifo.del_item(0)?;
        }
    }
    Ok(Step::Done)
}

/// What `channel.send(data)` gives.
fn transmit<'py>(
    engine: &Engine,
    channel: &Bound<'py, PyAny>,
    data: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = channel.py();
    if let Ok(bytes) = data.cast_exact::<PyBytes>() {
        let own = originals::instance_dict(channel)?;
        let hooks = hooks::of(engine, channel, &own, SENDS)?;
        if let Some(outcome) = transmit_raw(engine, channel, &own, hooks, bytes)? {
            let sent = match outcome {
                Ok(sent) => sent,
                Err(errno) => failed(channel, errno).map(|()| 0)?,
            };
            return Ok(sent.into_pyobject(py)?.into_any());
        }
    }
    channel.call_method1(intern!(py, "send"), (data,))
}

/// Sends, if `dispatcher.send` is what the channel has and would only call the socket.
fn transmit_raw(
    engine: &Engine,
    channel: &Bound<'_, PyAny>,
    own: &Bound<'_, PyDict>,
    hooks: Hooks,
    data: &Bound<'_, PyBytes>,
) -> PyResult<Option<Result<usize, Errno>>> {
    let py = channel.py();
    if !hooks.has(Hook::Send) || !hooks.has(Hook::SocketSend) {
        return Ok(None);
    }
    let socket = originals::attribute(channel, own, intern!(py, "socket"))?;
    let Some(fd) = raw_socket::descriptor(engine, &socket)? else { return Ok(None) };
    match raw_socket::transmit(fd, data.as_bytes()) {
        Err(Errno::WOULDBLOCK) if raw_socket::waits(&socket)? => Ok(None),
        outcome => Ok(Some(outcome)),
    }
}

/// Does what `dispatcher.send` does when the socket has said no.
fn failed(channel: &Bound<'_, PyAny>, errno: Errno) -> PyResult<()> {
    if errno == Errno::WOULDBLOCK {
        Ok(())
    } else if raw_socket::is_disconnected(errno) {
        channel.call_method0(intern!(channel.py(), "handle_close")).map(|_| ())
    } else {
        Err(wait::os_error(errno))
    }
}

/// `async_chat.push`.
///
/// # Errors
/// TypeError for what is not bytes; what a method that is called raises.
pub(crate) fn push<'py>(
    engine: &Engine,
    channel: &Bound<'py, PyAny>,
    data: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = channel.py();
    let is_bytes = data.is_instance_of::<PyBytes>()
        || data.is_instance_of::<PyByteArray>()
        || data.is_instance_of::<PyMemoryView>();
    if !is_bytes {
        return Err(PyTypeError::new_err(format!(
            "data argument must be byte-ish ({})",
            data.get_type().repr()?
        )));
    }
    let own = originals::instance_dict(channel)?;
    let fifo = originals::attribute(channel, &own, intern!(py, "producer_fifo"))?;
    let hooks = hooks::of(engine, channel, &own, PUSHES)?;
    let sends = hooks.has(Hook::InitiateSend);
    let size: usize = channel.getattr(intern!(py, "ac_out_buffer_size"))?.extract()?;
    let length = data.len()?;
    let append = intern!(py, "append");
    if length > size {
        for start in (0..length).step_by(size.max(1)) {
            fifo.call_method1(append, (part(data, start, (start + size).min(length))?,))?;
        }
    } else if let Some(outcome) = transmit_at_once(engine, channel, &own, hooks, &fifo, data)? {
        let sent = outcome.unwrap_or(0);
        if sent < length {
            fifo.call_method1(append, (part(data, sent, length)?,))?;
            engine.sets.touch(py, channel.as_ptr() as usize)?;
        }
        return match outcome {
            Ok(_) => Ok(()),
            Err(errno) => report(engine, channel, failed(channel, errno)),
        };
    } else {
        fifo.call_method1(append, (data,))?;
    }
    if sends {
        send(engine, channel)
    } else {
        channel.call_method0(intern!(py, "initiate_send")).map(|_| ())
    }
}

/// Sends what would be the first in the queue, without putting it there.
fn transmit_at_once(
    engine: &Engine,
    channel: &Bound<'_, PyAny>,
    own: &Bound<'_, PyDict>,
    hooks: Hooks,
    fifo: &Bound<'_, PyAny>,
    data: &Bound<'_, PyAny>,
) -> PyResult<Option<Result<usize, Errno>>> {
    let connected = intern!(channel.py(), "connected");
    match data.cast_exact::<PyBytes>() {
        Ok(bytes) if hooks.has(Hook::InitiateSend) && !bytes.as_bytes().is_empty() => {
            if fifo.is_truthy()? || !originals::is_true(channel, own, connected)? {
                return Ok(None);
            }
            transmit_raw(engine, channel, own, hooks, bytes)
        }
        _ => Ok(None),
    }
}

/// Hands an OSError out of sending to the channel.
fn report(engine: &Engine, channel: &Bound<'_, PyAny>, outcome: PyResult<()>) -> PyResult<()> {
    let py = channel.py();
    match outcome {
        Err(error) if error.is_instance_of::<PyOSError>(py) => {
            let error = error.into_value(py);
            engine.originals(py).report.call1(py, (channel, error)).map(|_| ())
        }
        outcome => outcome,
    }
}

fn part<'py>(data: &Bound<'py, PyAny>, start: usize, end: usize) -> PyResult<Bound<'py, PyAny>> {
    if start == 0 && end == data.len()? {
        return Ok(data.clone());
    }
    data.get_item(PySlice::new(data.py(), start as isize, end as isize, 1))
}

/// Up to `size` bytes of `item`; none if it is a producer, which has to be asked.
fn beginning<'py>(
    item: &Bound<'py, PyAny>,
    size: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = item.py();
    if let Ok(bytes) = item.cast_exact::<PyBytes>() {
        let (bytes, size) = (bytes.as_bytes(), size.extract::<usize>()?);
        return Ok(Some(if bytes.len() <= size {
            item.clone()
        } else {
            PyBytes::new(py, &bytes[..size]).into_any()
        }));
    }
    let up_to = PySlice::new(py, 0, size.extract()?, 1);
    match item.get_item(up_to) {
        // Possibly what `rest` made of bytes, so bytes it is that are sent.
        Ok(data) if data.is_instance_of::<PyMemoryView>() => {
            Ok(Some(py.get_type::<PyBytes>().call1((data,))?))
        }
        Ok(data) => Ok(Some(data)),
        Err(error) if error.is_instance_of::<PyTypeError>(py) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `item` without its first `sent` bytes. What is more than one sending is not copied.
fn rest<'py>(
    item: &Bound<'py, PyAny>,
    sent: usize,
    size: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = item.py();
    let length = item.len()?;
    if let Ok(bytes) = item.cast_exact::<PyBytes>() {
        let bytes = bytes.as_bytes();
        if bytes.len() - sent <= size.extract()? {
            return Ok(PyBytes::new(py, &bytes[sent..]).into_any());
        }
        return part(PyMemoryView::from(item)?.as_any(), sent, length);
    }
    part(item, sent, length)
}
