//! `ac_in_buffer`: an attribute like any other, except that what is left of it while its messages
//! are being handled is copied only if somebody looks.

use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyMemoryView, PyString};

use crate::stock;

/// What is less than this is copied at once: that costs less than to remember where it begins.
const COPIED: usize = 256;

/// In an instance's dictionary, in place of bytes that begin in the middle of others.
#[pyclass(frozen)]
struct Rest {
    data: Py<PyBytes>,
    at: AtomicUsize,
}

impl Rest {
    fn at(&self) -> usize {
        self.at.load(Ordering::Relaxed)
    }
}

/// The descriptor that makes a `Rest` look like the bytes it stands for.
#[pyclass(frozen)]
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
        let py = slf.py();
        let Some(object) = object else { return Ok(slf.into_any()) };
        let own = stock::instance_dict(object)?;
        let value = own.get_item(name(py))?.ok_or_else(|| missing(object))?;
        let Ok(rest) = value.cast_exact::<Rest>() else { return Ok(value) };
        let rest = rest.get();
        let bytes = PyBytes::new(py, &rest.data.as_bytes(py)[rest.at()..]).into_any();
        own.set_item(name(py), &bytes)?;
        Ok(bytes)
    }

    fn __set__(&self, object: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        stock::instance_dict(object)?.set_item(name(object.py()), value)
    }

    fn __delete__(&self, object: &Bound<'_, PyAny>) -> PyResult<()> {
        let own = stock::instance_dict(object)?;
        own.del_item(name(object.py())).map_err(|_| missing(object))
    }
}

fn name(py: Python<'_>) -> &Bound<'_, PyString> {
    intern!(py, "ac_in_buffer")
}

fn missing(object: &Bound<'_, PyAny>) -> PyErr {
    let class = object.get_type().name().map(|name| name.to_string()).unwrap_or_default();
    PyAttributeError::new_err(format!("'{class}' object has no attribute 'ac_in_buffer'"))
}

/// The attribute of one channel, as the scanner goes along it.
pub(crate) struct Window<'a, 'py> {
    channel: &'a Bound<'py, PyAny>,
    /// The instance's dictionary; none where a subclass has put something else in the place of the
    /// descriptor, and only ordinary bytes will do.
    own: Option<Bound<'py, PyDict>>,
}

impl<'a, 'py> Window<'a, 'py> {
    pub(crate) fn new(channel: &'a Bound<'py, PyAny>, own: Option<Bound<'py, PyDict>>) -> Self {
        Window { channel, own }
    }

    /// The bytes, and where among them the buffer begins.
    pub(crate) fn get(&self) -> PyResult<(Bound<'py, PyBytes>, usize)> {
        parts(self.value()?)
    }

    fn value(&self) -> PyResult<Bound<'py, PyAny>> {
        let py = self.channel.py();
        match &self.own {
            Some(own) => own.get_item(name(py))?.ok_or_else(|| missing(self.channel)),
            None => self.channel.getattr(name(py)),
        }
    }

    /// Puts `data` at the end of the buffer.
    pub(crate) fn append(&self, data: Bound<'py, PyBytes>) -> PyResult<()> {
        let (old, at) = self.get()?;
        let old = &old.as_bytes()[at..];
        if old.is_empty() {
            return self.set(data, 0);
        }
        let new = data.as_bytes();
        let joined = PyBytes::new_with(data.py(), old.len() + new.len(), |buffer| {
            let (head, tail) = buffer.split_at_mut(old.len());
            head.copy_from_slice(old);
            tail.copy_from_slice(new);
            Ok(())
        })?;
        self.set(joined, 0)
    }

    /// Takes `count` bytes off the beginning of what the buffer is now.
    pub(crate) fn advance(&self, count: usize) -> PyResult<()> {
        let value = self.value()?;
        if let Ok(rest) = value.cast_exact::<Rest>() {
            let rest = rest.get();
            let at = rest.at() + count;
            if at < rest.data.as_bytes(value.py()).len() {
                rest.at.store(at, Ordering::Relaxed);
                return Ok(());
            }
        }
        let (data, at) = parts(value)?;
        let length = data.as_bytes().len();
        self.set(data, (at + count).min(length))
    }

    pub(crate) fn clear(&self) -> PyResult<()> {
        self.set(PyBytes::new(self.channel.py(), b""), 0)
    }

    /// Makes the buffer `data` from `at` on.
    fn set(&self, data: Bound<'py, PyBytes>, at: usize) -> PyResult<()> {
        let py = self.channel.py();
        let Some(own) = &self.own else {
            return self.channel.setattr(name(py), slice(data, at));
        };
        if at > 0 && data.as_bytes().len() - at > COPIED {
            own.set_item(name(py), Rest { data: data.unbind(), at: AtomicUsize::new(at) })
        } else {
            own.set_item(name(py), slice(data, at))
        }
    }
}

fn parts(value: Bound<'_, PyAny>) -> PyResult<(Bound<'_, PyBytes>, usize)> {
    if let Ok(rest) = value.cast_exact::<Rest>() {
        let rest = rest.get();
        return Ok((rest.data.bind(value.py()).clone(), rest.at()));
    }
    match value.cast_into_exact::<PyBytes>() {
        Ok(bytes) => Ok((bytes, 0)),
        Err(error) => Ok((to_bytes(&error.into_inner())?, 0)),
    }
}

fn slice(data: Bound<'_, PyBytes>, at: usize) -> Bound<'_, PyBytes> {
    if at == 0 { data } else { PyBytes::new(data.py(), &data.as_bytes()[at..]) }
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
