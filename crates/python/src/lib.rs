//! The engine under the Python package `asyncore-rs`: the passes of asyncore's loop, and what
//! asynchat does with the bytes.

mod chat;
mod deliver;
mod descriptor;
mod foreign;
mod hooks;
mod in_buffer;
mod instance;
mod interest;
mod output;
mod pass;
mod plain;
mod stock;
mod timers;
mod wait;
mod watch;

use pyo3::pymodule;

/// What `asyncore_rs.asyncore` and `asyncore_rs.asynchat` run on; of no use to anybody else.
#[pymodule]
mod _engine {
    use pyo3::prelude::*;
    use pyo3::types::PyModule;

    use crate::interest::Style;
    use crate::{chat, interest, output, pass, stock, timers, watch};

    #[pymodule_export]
    use crate::in_buffer::InBuffer;

    /// Takes `asyncore_rs.asyncore` as the module whose classes and variables count.
    #[pyfunction]
    fn bind(module: &Bound<'_, PyModule>) -> PyResult<()> {
        stock::bind(module)
    }

    /// Takes `asyncore_rs.asynchat` likewise.
    #[pyfunction]
    fn bind_chat(module: &Bound<'_, PyModule>) -> PyResult<()> {
        stock::bind_chat(module)
    }

    /// A pass with the order of events of `asyncore.poll`.
    #[pyfunction]
    fn select_pass(timeout: Option<f64>, map: &Bound<'_, PyAny>) -> PyResult<()> {
        pass::run(Style::Select, timeout, map, false)
    }

    /// A pass with the order of events of `asyncore.poll2`.
    #[pyfunction]
    fn poll_pass(timeout: Option<f64>, map: &Bound<'_, PyAny>) -> PyResult<()> {
        pass::run(Style::Poll, timeout, map, false)
    }

    /// A pass as `poll_pass`, on the kept set whatever the size of the map.
    #[pyfunction]
    fn watched_pass(timeout: Option<f64>, map: &Bound<'_, PyAny>) -> PyResult<()> {
        pass::run(Style::Poll, timeout, map, true)
    }

    /// Says that `object` is now in `map`.
    #[pyfunction]
    fn added(map: &Bound<'_, PyAny>, key: &Bound<'_, PyAny>, object: &Bound<'_, PyAny>) {
        watch::added(map, key, object);
    }

    /// Says that what is in `map` under `key` is about to be taken out.
    #[pyfunction]
    fn removed(map: &Bound<'_, PyAny>, key: &Bound<'_, PyAny>) {
        watch::removed(map, key);
    }

    /// Says that what `object` waits for may have changed.
    #[pyfunction]
    fn touch(object: &Bound<'_, PyAny>) {
        watch::touch(object);
    }

    /// As `touch`, for what `id(object)` is.
    #[pyfunction]
    fn touch_id(object: usize) {
        watch::touch_address(object);
    }

    /// Says that a loop runs on `map`, until `release` is called for it.
    #[pyfunction]
    fn hold(map: &Bound<'_, PyAny>) {
        watch::hold(map);
    }

    /// Says that the loop has ended for which `hold` was called.
    #[pyfunction]
    fn release(map: &Bound<'_, PyAny>) {
        watch::release(map);
    }

    /// Says that a listener has an attribute `_accept_resumes`.
    #[pyfunction]
    fn a_listener_rests() {
        interest::a_listener_rests();
    }

    /// Says for how many maps calls are put off.
    #[pyfunction]
    fn timers_pending(maps: usize) {
        timers::set_maps(maps);
    }

    /// `async_chat.handle_read`.
    #[pyfunction]
    fn chat_read(channel: &Bound<'_, PyAny>) -> PyResult<()> {
        chat::read(channel)
    }

    /// `async_chat.push`.
    #[pyfunction]
    fn chat_push(channel: &Bound<'_, PyAny>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        output::push(channel, data)
    }

    /// `async_chat.initiate_send`.
    #[pyfunction]
    fn chat_send(channel: &Bound<'_, PyAny>) -> PyResult<()> {
        output::send(channel)
    }
}
