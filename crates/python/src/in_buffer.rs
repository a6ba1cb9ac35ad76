//! `ac_in_buffer`: an attribute like any other, except that what is left of it while its messages
//! are being handled is copied only if somebody looks.

use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyMemoryView, PyString};

use crate::exit::InEngine;
use crate::originals;

/// What is less than this is copied at once: that costs less than to remember where it begins.
const COPIED: usize = 256;

/// In an instance's dictionary under a name of its own, while there is nothing under
/// `ac_in_buffer`: the bytes that are to be there.
#[pyclass(frozen, module = "asyncore_rs._native")]
struct Rest {
    data: Py<PyBytes>,
    at: AtomicUsize,
}

impl Rest {
    fn bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        slice(self.data.bind(py), self.at.load(Ordering::Relaxed))
    }
}

/// What `async_chat` has under the name: asked only when an instance has nothing there, it puts
/// there what a `Rest` stands for.
#[pyclass(frozen, module = "asyncore_rs._native")]
pub(crate) struct InBuffer;

#[pymethods]
impl InBuffer {
    #[new]
    fn new() -> Self {
        InBuffer
    }

    fn __get__<'py>(
        slf: Bound<'py, Self>,
        object: Option<&Bound<'py, PyAny>>,
        _class: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _in_engine = InEngine::enter();
        let py = slf.py();
        let Some(object) = object else { return Ok(slf.into_any()) };
        let own = originals::instance_dict(object)?;
        let rest = own.get_item(rest_name(py))?.ok_or_else(|| missing(object))?;
        let bytes = rest.cast_exact::<Rest>()?.get().bytes(py).into_any();
        own.set_item(name(py), &bytes)?;
        own.del_item(rest_name(py))?;
        Ok(bytes)
    }
}

fn name(py: Python<'_>) -> &Bound<'_, PyString> {
    intern!(py, "ac_in_buffer")
}

fn rest_name(py: Python<'_>) -> &Bound<'_, PyString> {
    intern!(py, "_rest_of_ac_in_buffer")
}

fn missing(object: &Bound<'_, PyAny>) -> PyErr {
    let class = object.get_type().name().map(|name| name.to_string()).unwrap_or_default();
    PyAttributeError::new_err(format!("'{class}' object has no attribute 'ac_in_buffer'"))
}

/// The buffer of one channel, as the scanner goes along it. The attribute follows only where
/// somebody could look.
pub(crate) struct Window<'a, 'py> {
    channel: &'a Bound<'py, PyAny>,
    /// The instance's dictionary; none where a subclass has put something else in the place of
    /// `InBuffer`, and only ordinary bytes will do.
    own: Option<&'a Bound<'py, PyDict>>,
    /// The buffer is what this holds from `at` on.
    data: Bound<'py, PyBytes>,
    at: usize,
    /// What the attribute was when it was last seen or set.
    attribute: Bound<'py, PyAny>,
    /// What stands for it, if it is not there.
    rest: Option<Bound<'py, Rest>>,
    /// Whether the buffer has changed since.
    moved: bool,
}

impl<'a, 'py> Window<'a, 'py> {
    /// What the attribute holds, with `data` at the end.
    pub(crate) fn new(
        channel: &'a Bound<'py, PyAny>,
        own: Option<&'a Bound<'py, PyDict>>,
        data: Bound<'py, PyBytes>,
    ) -> PyResult<Self> {
        let attribute = value(channel, own)?;
        let old = to_bytes(&attribute)?;
        let (held, new) = (old.as_bytes(), data.as_bytes());
        let moved = !new.is_empty();
        let data = if new.is_empty() {
            old
        } else if held.is_empty() {
            data
        } else {
            PyBytes::new_with(data.py(), held.len() + new.len(), |buffer| {
                let (head, tail) = buffer.split_at_mut(held.len());
                head.copy_from_slice(held);
                tail.copy_from_slice(new);
                Ok(())
            })?
        };
        Ok(Window { channel, own, data, at: 0, attribute, rest: None, moved })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.data.as_bytes().len()
    }

    /// The bytes, and where among them the buffer begins.
    pub(crate) fn get(&self) -> (Bound<'py, PyBytes>, usize) {
        (self.data.clone(), self.at)
    }

    /// Takes `count` bytes off the beginning.
    pub(crate) fn advance(&mut self, count: usize) {
        self.at = (self.at + count).min(self.data.as_bytes().len());
        self.moved = true;
    }

    pub(crate) fn clear(&mut self) {
        self.advance(self.data.as_bytes().len());
    }

    /// Runs what may look at the attribute, or change it.
    pub(crate) fn shown<T>(&mut self, work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
        self.show()?;
        let done = work()?;
        self.look()?;
        Ok(done)
    }

    fn show(&mut self) -> PyResult<()> {
        if !self.moved {
            return Ok(());
        }
        let py = self.data.py();
        match (self.own, &self.rest) {
            (Some(_), Some(rest)) if self.is_long() => {
                rest.get().at.store(self.at, Ordering::Relaxed);
            }
            (Some(own), None) if self.is_long() => {
                let rest = Rest { data: self.data.clone().unbind(), at: AtomicUsize::new(self.at) };
                let rest = Bound::new(py, rest)?;
                own.set_item(rest_name(py), &rest)?;
                own.del_item(name(py))?;
                self.rest = Some(rest);
            }
            _ => self.set()?,
        }
        self.moved = false;
        Ok(())
    }

    fn is_long(&self) -> bool {
        self.at > 0 && self.data.as_bytes().len() - self.at > COPIED
    }

    /// Sets the attribute, if it is not empty like the buffer.
    fn set(&mut self) -> PyResult<()> {
        let py = self.data.py();
        let rest = self.rest.take();
        let was_empty =
            self.attribute.cast_exact::<PyBytes>().is_ok_and(|b| b.as_bytes().is_empty());
        if self.is_empty() && was_empty && rest.is_none() {
            return Ok(());
        }
        self.data = slice(&self.data, self.at);
        self.at = 0;
        self.attribute = self.data.clone().into_any();
        let Some(own) = self.own else {
            return self.channel.setattr(name(py), &self.attribute);
        };
        own.set_item(name(py), &self.attribute)?;
        if rest.is_some() { own.del_item(rest_name(py)) } else { Ok(()) }
    }

    /// Takes what has become of the attribute.
    fn look(&mut self) -> PyResult<()> {
        let stood_in = self.rest.is_some();
        if stood_in && !self.is_exchanged()? {
            return Ok(());
        }
        let value = value(self.channel, self.own)?;
        if stood_in || !value.is(&self.attribute) {
            self.data = to_bytes(&value)?;
            self.at = 0;
            self.attribute = value;
        }
        Ok(())
    }

    /// Whether something is in the attribute by now for which a `Rest` stood; that is gone then.
    fn is_exchanged(&mut self) -> PyResult<bool> {
        let (Some(own), Some(_)) = (self.own, &self.rest) else { return Ok(false) };
        let exchanged = own.contains(name(own.py()))?;
        if exchanged {
            self.rest = None;
            if own.contains(rest_name(own.py()))? {
                own.del_item(rest_name(own.py()))?;
            }
        }
        Ok(exchanged)
    }

    /// Leaves in the attribute what it is to hold from now on.
    pub(crate) fn finish(mut self) -> PyResult<()> {
        let stands_in = self.rest.is_some() && !self.is_exchanged()?;
        if self.moved || stands_in { self.set() } else { Ok(()) }
    }
}

fn value<'py>(
    channel: &Bound<'py, PyAny>,
    own: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let name = name(channel.py());
    match own {
        Some(own) => originals::attribute(channel, own, name),
        None => channel.getattr(name),
    }
}

fn slice<'py>(data: &Bound<'py, PyBytes>, at: usize) -> Bound<'py, PyBytes> {
    if at == 0 { data.clone() } else { PyBytes::new(data.py(), &data.as_bytes()[at..]) }
}

/// `value`, if it holds bytes, as the type that they are kept in.
pub(crate) fn to_bytes<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let py = value.py();
    if let Ok(bytes) = value.cast_exact::<PyBytes>() {
        return Ok(bytes.clone());
    }
    let has_bytes = value.is_instance_of::<PyBytes>()
        || value.is_instance_of::<PyByteArray>()
        || value.is_instance_of::<PyMemoryView>();
    if has_bytes {
        return Ok(py.get_type::<PyBytes>().call1((value,))?.cast_into()?);
    }
    Err(PyTypeError::new_err(format!(
        "received data must be bytes, not {}; to receive text, set use_encoding",
        value.get_type().name()?
    )))
}
