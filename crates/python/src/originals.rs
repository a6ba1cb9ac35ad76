//! The methods that the Python modules define, for comparing: one that is not overridden has the
//! effect that the engine knows.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyModule, PyString, PyType};

/// `asyncore`, as it was when it was imported.
pub(crate) struct Originals {
    /// The variables of the module, read when they are needed.
    pub(crate) globals: Py<PyDict>,
    pub(crate) dispatcher: Py<PyType>,
    pub(crate) readable: Py<PyAny>,
    pub(crate) writable: Py<PyAny>,
    pub(crate) writable_with_send: Py<PyAny>,
    pub(crate) handle_read_event: Py<PyAny>,
    pub(crate) recv: Py<PyAny>,
    pub(crate) send: Py<PyAny>,
    pub(crate) handle_write: Py<PyAny>,
    pub(crate) handle_write_event: Py<PyAny>,
    pub(crate) getattribute: Py<PyAny>,
    pub(crate) read: Py<PyAny>,
    pub(crate) write: Py<PyAny>,
    pub(crate) exception: Py<PyAny>,
    pub(crate) readwrite: Py<PyAny>,
    pub(crate) report: Py<PyAny>,
    pub(crate) report_poll: Py<PyAny>,
    pub(crate) who_wants_to_write: Py<PyAny>,
    /// `socket.socket`, and three of its methods, each None if it has no such.
    pub(crate) socket: Py<PyAny>,
    pub(crate) socket_fileno: Py<PyAny>,
    pub(crate) socket_recv: Py<PyAny>,
    pub(crate) socket_send: Py<PyAny>,
    pub(crate) timers: Py<PyAny>,
}

/// `asynchat`, likewise.
pub(crate) struct ChatOriginals {
    pub(crate) readable: Py<PyAny>,
    pub(crate) writable: Py<PyAny>,
    pub(crate) handle_read: Py<PyAny>,
    pub(crate) initiate_send: Py<PyAny>,
    pub(crate) get_terminator: Py<PyAny>,
    pub(crate) collect: Py<PyAny>,
    pub(crate) in_buffer: Py<PyAny>,
    /// The class of `producer_fifo`.
    pub(crate) queue: Py<PyAny>,
}

impl Originals {
    pub(crate) fn of(module: &Bound<'_, PyModule>) -> PyResult<Self> {
        let py = module.py();
        let get = |name| Ok::<_, PyErr>(module.getattr(name)?.unbind());
        let dispatcher = module.getattr("dispatcher")?.cast_into::<PyType>()?;
        let method = |name| Ok::<_, PyErr>(dispatcher.getattr(name)?.unbind());
        let socket = module.getattr("_Socket")?;
        // A library that replaced `socket.socket` may give its own no such methods.
        let socket_method =
            |name| Ok::<_, PyErr>(socket.getattr_opt(name)?.map_or(py.None(), Bound::unbind));
        Ok(Originals {
            globals: module.dict().unbind(),
            readable: method("readable")?,
            writable: method("writable")?,
            writable_with_send: module
                .getattr("dispatcher_with_send")?
                .getattr("writable")?
                .unbind(),
            handle_read_event: method("handle_read_event")?,
            recv: method("recv")?,
            send: method("send")?,
            handle_write: method("handle_write")?,
            handle_write_event: method("handle_write_event")?,
            getattribute: method("__getattribute__")?,
            read: get("read")?,
            write: get("write")?,
            exception: get("_exception")?,
            readwrite: get("readwrite")?,
            report: get("_report")?,
            report_poll: get("_report_poll")?,
            who_wants_to_write: get("_who_wants_to_write")?,
            socket_fileno: socket_method("fileno")?,
            socket_recv: socket_method("recv")?,
            socket_send: socket_method("send")?,
            socket: socket.unbind(),
            timers: get("_timers")?,
            dispatcher: dispatcher.unbind(),
        })
    }
}

impl ChatOriginals {
    pub(crate) fn of(module: &Bound<'_, PyModule>) -> PyResult<Self> {
        let class = module.getattr("async_chat")?;
        let method = |name| Ok::<_, PyErr>(class.getattr(name)?.unbind());
        Ok(ChatOriginals {
            readable: method("readable")?,
            writable: method("writable")?,
            handle_read: method("handle_read")?,
            initiate_send: method("initiate_send")?,
            get_terminator: method("get_terminator")?,
            collect: method("_collect_incoming_data")?,
            in_buffer: method("ac_in_buffer")?,
            queue: module.getattr("_Queue")?.unbind(),
        })
    }
}

impl Originals {
    /// Whether the variable `name` of asyncore is true.
    pub(crate) fn switch(&self, py: Python<'_>, name: &str) -> PyResult<bool> {
        match self.globals.bind(py).get_item(name)? {
            Some(value) => value.is_truthy(),
            None => Ok(false),
        }
    }

    /// Whether a set is kept for `map`.
    pub(crate) fn is_large(&self, map: &Bound<'_, PyDict>) -> PyResult<bool> {
        let threshold =
            self.globals.bind(map.py()).get_item(intern!(map.py(), "watch_threshold"))?;
        match threshold {
            Some(threshold) if !threshold.is_none() => Ok(map.len() > threshold.extract()?),
            _ => Ok(false),
        }
    }

    /// The variable `name` of asyncore if a program has put something else there.
    pub(crate) fn replaced<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        original: &Py<PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let value = self.globals.bind(py).get_item(name)?;
        Ok(value.filter(|value| !value.is(original)))
    }
}

/// What `object.__dict__` holds, if it has one.
pub(crate) fn instance_dict<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    Ok(object.getattr(intern!(object.py(), "__dict__"))?.cast_into::<PyDict>()?)
}

/// The attribute `name` of `object`, whose dictionary is `own`: there first, where asyncore's
/// methods put what they keep, since that costs a third of looking through the classes.
pub(crate) fn attribute<'py>(
    object: &Bound<'py, PyAny>,
    own: &Bound<'py, PyDict>,
    name: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    match own.get_item(name)? {
        Some(value) => Ok(value),
        None => object.getattr(name),
    }
}

/// Whether that attribute is true.
pub(crate) fn is_true<'py>(
    object: &Bound<'py, PyAny>,
    own: &Bound<'py, PyDict>,
    name: &Bound<'py, PyString>,
) -> PyResult<bool> {
    attribute(object, own, name)?.is_truthy()
}
