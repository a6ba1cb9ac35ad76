//! `async_chat.handle_read`: what was received is split at the terminator.

use asyncore::find_prefix_at_end;
use memchr::{memchr, memmem};
use pyo3::exceptions::{PyBlockingIOError, PyOSError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyInt, PyList, PyMemoryView, PyString};
use rustix::io::Errno;

use crate::engine::Engine;
use crate::hooks::{self, Hook, Hooks};
use crate::in_buffer::{Window, to_bytes};
use crate::{originals, raw_socket, wait};

const HOOKS: Hooks = Hooks::of(&[
    Hook::HandleReadEvent,
    Hook::HandleRead,
    Hook::Recv,
    Hook::GetTerminator,
    Hook::Collect,
    Hook::InBuffer,
    Hook::SocketRecv,
    Hook::NotAccepting,
]);

/// `async_chat.handle_read`: reads once, and handles what came.
pub(crate) fn read(engine: &Engine, channel: &Bound<'_, PyAny>) -> PyResult<()> {
    let own = originals::instance_dict(channel)?;
    let hooks = hooks::of(engine, channel, &own, HOOKS)?;
    receive(engine, channel, own, hooks)
}

/// Does what `handle_read_event` would for a dialogue that is connected and overrides nothing of
/// that, of which the system has just said that there is something to read. Tells whether it is
/// one.
pub(crate) fn read_ready(engine: &Engine, channel: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = channel.py();
    let Ok(own) = originals::instance_dict(channel) else { return Ok(false) };
    let hooks = hooks::of(engine, channel, &own, HOOKS)?;
    if !hooks.has(Hook::HandleReadEvent) || !hooks.has(Hook::HandleRead) {
        return Ok(false);
    }
    let accepting = !hooks.has(Hook::NotAccepting)
        && originals::is_true(channel, &own, intern!(py, "accepting"))?;
    if accepting || !originals::is_true(channel, &own, intern!(py, "connected"))? {
        return Ok(false);
    }
    if hooks.has(Hook::Recv) && hooks.has(Hook::SocketRecv) {
        let socket = originals::attribute(channel, &own, intern!(py, "socket"))?;
        let size = channel.getattr(intern!(py, "ac_in_buffer_size"))?.extract::<usize>();
        if let (Some(fd), Ok(size)) = (raw_socket::descriptor(engine, &socket)?, size) {
            if let Some(outcome) = raw_socket::receive(py, fd, size) {
                receive_raw(engine, channel, own, hooks, outcome)?;
                return Ok(true);
            }
        }
    }
    receive(engine, channel, own, hooks)?;
    Ok(true)
}

/// Does what `recv` does with what the socket said.
fn receive_raw<'py>(
    engine: &Engine,
    channel: &Bound<'py, PyAny>,
    own: Bound<'py, PyDict>,
    hooks: Hooks,
    outcome: Result<Bound<'py, PyBytes>, Errno>,
) -> PyResult<()> {
    let py = channel.py();
    let data = match outcome {
        Ok(data) if !data.as_bytes().is_empty() => data,
        Err(Errno::WOULDBLOCK) => return Ok(()),
        Err(errno) if !raw_socket::is_disconnected(errno) => {
            return failed(engine, channel, wait::os_error(errno));
        }
        _ => {
            channel.call_method0(intern!(py, "handle_close"))?;
            PyBytes::new(py, b"")
        }
    };
    Scan::run(engine, channel, &own, hooks, data)
}

fn receive<'py>(
    engine: &Engine,
    channel: &Bound<'py, PyAny>,
    own: Bound<'py, PyDict>,
    hooks: Hooks,
) -> PyResult<()> {
    let py = channel.py();
    let size = channel.getattr(intern!(py, "ac_in_buffer_size"))?;
    let data = match channel.call_method1(intern!(py, "recv"), (size,)) {
        Ok(data) => data,
        Err(error) if error.is_instance_of::<PyBlockingIOError>(py) => return Ok(()),
        Err(error) if error.is_instance_of::<PyOSError>(py) => {
            return failed(engine, channel, error);
        }
        Err(error) => return Err(error),
    };
    let data = match data.cast::<PyString>() {
        Ok(text) if encodes(channel)? => encode(channel, text)?,
        _ => to_bytes(&data)?,
    };
    Scan::run(engine, channel, &own, hooks, data)
}

fn failed(engine: &Engine, channel: &Bound<'_, PyAny>, error: PyErr) -> PyResult<()> {
    let py = channel.py();
    engine.originals(py).report.call1(py, (channel, error.into_value(py)))?;
    Ok(())
}

pub(crate) fn encodes(channel: &Bound<'_, PyAny>) -> PyResult<bool> {
    channel.getattr(intern!(channel.py(), "use_encoding"))?.is_truthy()
}

pub(crate) fn encode<'py>(
    channel: &Bound<'py, PyAny>,
    text: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyBytes>> {
    let py = channel.py();
    let encoding = channel.getattr(intern!(py, "encoding"))?;
    Ok(text.call_method1(intern!(py, "encode"), (encoding,))?.cast_into()?)
}

struct Scan<'a, 'py> {
    engine: &'a Engine,
    channel: &'a Bound<'py, PyAny>,
    own: &'a Bound<'py, PyDict>,
    window: Window<'a, 'py>,
    /// What the channel has not overridden; looked up again when its class changes.
    hooks: Hooks,
    class: usize,
    called_back: bool,
    collector: Collector<'py>,
}

/// The function that a class has for `collect_incoming_data`, if it is one: kept from the second
/// call on, since to look it up costs as much as to call it.
#[derive(Default)]
struct Collector<'py> {
    calls: usize,
    function: Option<Bound<'py, PyAny>>,
}

/// What any of these callbacks may have put on the instance.
const IN_CALLBACKS: Hooks = Hooks::of(&[Hook::GetTerminator, Hook::Collect]);

impl<'a, 'py> Scan<'a, 'py> {
    /// Handles `data`, and what was held back before it.
    fn run(
        engine: &'a Engine,
        channel: &'a Bound<'py, PyAny>,
        own: &'a Bound<'py, PyDict>,
        hooks: Hooks,
        data: Bound<'py, PyBytes>,
    ) -> PyResult<()> {
        let window = Window::new(channel, hooks.has(Hook::InBuffer).then_some(own), data)?;
        let class = channel.get_type_ptr() as usize;
        let collector = Collector::default();
        let mut scan =
            Scan { engine, channel, own, window, hooks, class, called_back: false, collector };
        let outcome = scan.messages();
        outcome.and(scan.window.finish())
    }

    fn messages(&mut self) -> PyResult<()> {
        let py = self.channel.py();
        while !self.window.is_empty() {
            self.refresh()?;
            let terminator = if self.hooks.has(Hook::GetTerminator) {
                originals::attribute(self.channel, self.own, intern!(py, "terminator"))?
            } else {
                self.callback(|channel| channel.call_method0(intern!(py, "get_terminator")))?
            };
            let (data, at) = self.window.get();
            let buffer = &data.as_bytes()[at..];
            if let Ok(needle) = terminator.cast_exact::<PyBytes>() {
                if !needle.as_bytes().is_empty() {
                    if !self.delimited(buffer, needle.as_bytes())? {
                        return Ok(());
                    }
                    continue;
                }
            }
            if !terminator.is_truthy()? {
                self.collect(buffer)?;
                self.window.clear();
            } else if let Ok(number) = terminator.cast::<PyInt>() {
                self.counted(buffer, number)?;
            } else if !self.delimited(buffer, &needle(&terminator)?)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Calls a method of the program's, which may change anything about the channel.
    fn callback<T>(&mut self, call: impl FnOnce(&Bound<'py, PyAny>) -> PyResult<T>) -> PyResult<T> {
        let channel = self.channel;
        self.called_back = true;
        self.window.shown(|| call(channel))
    }

    /// Sees what a callback has made of the channel.
    fn refresh(&mut self) -> PyResult<()> {
        if !std::mem::take(&mut self.called_back) {
            return Ok(());
        }
        let class = self.channel.get_type_ptr() as usize;
        if class != self.class {
            self.class = class;
            self.hooks = hooks::of(self.engine, self.channel, self.own, HOOKS)?;
            self.collector = Collector::default();
        } else {
            self.hooks = hooks::left(self.channel.py(), self.own, self.hooks, IN_CALLBACKS)?;
        }
        Ok(())
    }

    /// Handles what `buffer` holds up to the end of the next message, or all of it. Tells whether
    /// to go on: a beginning of the needle is left alone until there is more.
    fn delimited(&mut self, buffer: &[u8], needle: &[u8]) -> PyResult<bool> {
        let found = match needle {
            [byte] => memchr(*byte, buffer),
            _ => memmem::find(buffer, needle),
        };
        if let Some(end) = found {
            if end > 0 {
                self.collect(&buffer[..end])?;
            }
            self.window.advance(end + needle.len());
            self.found()?;
            return Ok(true);
        }
        let held = find_prefix_at_end(buffer, needle);
        if held == 0 {
            self.collect(buffer)?;
            self.window.clear();
            return Ok(true);
        }
        if held < buffer.len() {
            self.collect(&buffer[..buffer.len() - held])?;
            self.window.advance(buffer.len() - held);
        }
        Ok(false)
    }

    fn counted(&mut self, buffer: &[u8], number: &Bound<'py, PyInt>) -> PyResult<()> {
        let py = self.channel.py();
        let name = intern!(py, "terminator");
        let length = buffer.len();
        if number.gt(length)? {
            self.collect(buffer)?;
            self.window.clear();
            let left = self.channel.getattr(name)?.sub(length)?;
            return self.channel.setattr(name, left);
        }
        // A number below zero counts from the end, as in a slice.
        let end = match number.extract::<isize>()? {
            number if number >= 0 => number.unsigned_abs(),
            number => length.saturating_sub(number.unsigned_abs()),
        };
        self.collect(&buffer[..end])?;
        self.window.advance(end);
        self.channel.setattr(name, 0)?;
        self.found()
    }

    fn collect(&mut self, data: &[u8]) -> PyResult<()> {
        self.refresh()?;
        let py = self.channel.py();
        let data = PyBytes::new(py, data);
        if self.hooks.has(Hook::Collect) {
            let incoming = originals::attribute(self.channel, self.own, intern!(py, "incoming"))?;
            if let Ok(list) = incoming.cast_exact::<PyList>() {
                return list.append(data);
            }
        }
        let name = intern!(py, "collect_incoming_data");
        self.collector.calls += 1;
        if self.collector.calls == 2 {
            let functions = self.engine.originals(py).read.bind(py).get_type();
            let method = self.channel.get_type().getattr_opt(name)?;
            self.collector.function = method.filter(|method| method.get_type().is(&functions));
        }
        let function = match &self.collector.function {
            Some(function) if !self.own.contains(name)? => Some(function.clone()),
            _ => None,
        };
        self.callback(|channel| match function {
            Some(function) => function.call1((channel, data)),
            None => channel.call_method1(name, (data,)),
        })?;
        Ok(())
    }

    fn found(&mut self) -> PyResult<()> {
        self.callback(|channel| channel.call_method0(intern!(channel.py(), "found_terminator")))?;
        Ok(())
    }
}

/// The bytes of a terminator that is neither `bytes` nor a number.
fn needle(terminator: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let has_bytes = terminator.is_instance_of::<PyBytes>()
        || terminator.is_instance_of::<PyByteArray>()
        || terminator.is_instance_of::<PyMemoryView>();
    if !has_bytes {
        return Err(PyTypeError::new_err(format!(
            "a terminator is bytes, a number or None, not {}",
            terminator.get_type().name()?
        )));
    }
    Ok(to_bytes(terminator)?.as_bytes().to_vec())
}
