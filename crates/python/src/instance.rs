//! What an object has of its own, and what of its class.

use std::cell::OnceCell;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::originals;

/// An object whose attributes are about to be looked at.
///
/// Its dictionary is where that costs least; but Python 3.11 and 3.12 make one only when it is asked
/// for, and from then on everybody, the program too, is slower with the object's attributes. So a
/// channel to which nothing ever happens is not asked for its dictionary: thousands of them can be,
/// and what is to be fast with those is a `writable` of the program's.
pub(crate) struct Instance<'a, 'py> {
    pub(crate) object: &'a Bound<'py, PyAny>,
    own: Option<OnceCell<Bound<'py, PyDict>>>,
}

impl<'a, 'py> Instance<'a, 'py> {
    pub(crate) fn active(object: &'a Bound<'py, PyAny>) -> Self {
        Instance { object, own: Some(OnceCell::new()) }
    }

    pub(crate) fn idle(object: &'a Bound<'py, PyAny>) -> Self {
        Instance { object, own: None }
    }

    /// The dictionary, if it may be asked for.
    fn own(&self) -> PyResult<Option<&Bound<'py, PyDict>>> {
        let Some(own) = &self.own else { return Ok(None) };
        if own.get().is_none() {
            let _ = own.set(originals::instance_dict(self.object)?);
        }
        Ok(own.get())
    }

    pub(crate) fn attribute(&self, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        match self.own()? {
            Some(own) => originals::attribute(self.object, own, name),
            None => self.object.getattr(name),
        }
    }

    /// Whether the instance has something in the place of the function that is its class's `name`.
    pub(crate) fn has_own(&self, name: &Bound<'py, PyString>) -> PyResult<bool> {
        if let Some(own) = self.own()? {
            return own.contains(name);
        }
        let py = self.object.py();
        let method = self.object.getattr(name)?;
        let (Some(function), Some(owner)) = (
            method.getattr_opt(intern!(py, "__func__"))?,
            method.getattr_opt(intern!(py, "__self__"))?,
        ) else {
            return Ok(true);
        };
        Ok(!owner.is(self.object) || !function.is(self.object.get_type().getattr(name)?))
    }
}
