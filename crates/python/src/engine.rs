//! The engine of one interpreter: what it knows about the modules, and about their maps.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyModule};

use crate::exit::InEngine;
use crate::hooks::Classes;
use crate::interest::Style;
use crate::originals::{ChatOriginals, Originals};
use crate::watch::{Attached, Sets};
use crate::{chat, output, pass};

/// What `asyncore_rs.asyncore` and `asyncore_rs.asynchat` run on; of no use to other modules.
///
/// INVARIANT: all state is in here, and each interpreter makes an engine of its own.
#[pyclass(frozen, module = "asyncore_rs._native")]
pub(crate) struct Engine {
    originals: PyOnceLock<Originals>,
    chat: PyOnceLock<ChatOriginals>,
    pub(crate) classes: Classes,
    pub(crate) sets: Sets,
    /// Number of maps with pending calls; without any, a pass spends nothing on them.
    maps_with_timers: AtomicUsize,
    /// Whether a listener ever paused; until then, none is asked.
    any_listener_paused: AtomicBool,
}

impl Engine {
    /// # Panics
    /// Before `bind`: no other function of the engine is called earlier.
    pub(crate) fn originals(&self, py: Python<'_>) -> &Originals {
        self.originals.get(py).expect("asyncore binds the engine when it is imported")
    }

    /// `None` until asynchat is imported: there are no dialogues yet.
    pub(crate) fn chat(&self, py: Python<'_>) -> Option<&ChatOriginals> {
        self.chat.get(py)
    }

    pub(crate) fn has_timers(&self) -> bool {
        self.maps_with_timers.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn any_listener_paused(&self) -> bool {
        self.any_listener_paused.load(Ordering::Relaxed)
    }
}

#[pymethods]
impl Engine {
    #[new]
    fn new() -> Self {
        Engine {
            originals: PyOnceLock::new(),
            chat: PyOnceLock::new(),
            classes: Classes::default(),
            sets: Sets::default(),
            maps_with_timers: AtomicUsize::new(0),
            any_listener_paused: AtomicBool::new(false),
        }
    }

    /// Takes `asyncore_rs.asyncore` as the module whose classes and variables count.
    fn bind(&self, module: &Bound<'_, PyModule>) -> PyResult<()> {
        let _in_engine = InEngine::enter();
        // A reloaded module is bound already.
        let _ = self.originals.set(module.py(), Originals::of(module)?);
        Ok(())
    }

    /// Takes `asyncore_rs.asynchat` likewise.
    fn bind_chat(&self, module: &Bound<'_, PyModule>) -> PyResult<()> {
        let _in_engine = InEngine::enter();
        let _ = self.chat.set(module.py(), ChatOriginals::of(module)?);
        Ok(())
    }

    /// Runs a pass with the order of events of `asyncore.poll`.
    fn select_pass(&self, timeout: &Bound<'_, PyAny>, map: &Bound<'_, PyAny>) -> PyResult<()> {
        pass::run(self, Style::Select, timeout, map, false)
    }

    /// Runs a pass with the order of events of `asyncore.poll2`.
    fn poll_pass(&self, timeout: &Bound<'_, PyAny>, map: &Bound<'_, PyAny>) -> PyResult<()> {
        pass::run(self, Style::Poll, timeout, map, false)
    }

    /// Runs a pass as `poll_pass`, on the kept set whatever the size of the map.
    fn watched_pass(&self, timeout: &Bound<'_, PyAny>, map: &Bound<'_, PyAny>) -> PyResult<()> {
        pass::run(self, Style::Poll, timeout, map, true)
    }

    /// Keeps a set for `map`, for another loop to watch; `changed()` is called when channels change
    /// outside a pass.
    fn attach(&self, map: &Bound<'_, PyDict>, changed: Py<PyAny>) -> PyResult<()> {
        let _in_engine = InEngine::enter();
        self.sets.attach(map, changed)
    }

    /// Ends what `attach` began.
    fn detach(&self, map: &Bound<'_, PyDict>) {
        let _in_engine = InEngine::enter();
        self.sets.detach(map);
    }

    /// Runs a pass that does not wait, and brings the set of the attached `map` up to date.
    ///
    /// Returns the descriptors to watch with their flags, after how many seconds the next pass is due
    /// at the latest, and whether channels have to be asked now and then.
    fn attached_pass(&self, map: &Bound<'_, PyDict>) -> PyResult<Attached> {
        pass::run_attached(self, map)
    }

    /// Notes that `object` is now in `map`.
    fn added(
        &self,
        map: &Bound<'_, PyAny>,
        key: &Bound<'_, PyAny>,
        object: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let _in_engine = InEngine::enter();
        self.sets.added(map, key, object)
    }

    /// Notes that the entry of `map` under `key` is about to be taken out.
    fn removed(&self, map: &Bound<'_, PyAny>, key: &Bound<'_, PyAny>) -> PyResult<()> {
        let _in_engine = InEngine::enter();
        self.sets.removed(map, key)
    }

    /// Notes that what `object` waits for may have changed.
    fn touch(&self, object: &Bound<'_, PyAny>) -> PyResult<()> {
        let _in_engine = InEngine::enter();
        self.sets.touch(object.py(), object.as_ptr() as usize)
    }

    /// As `touch`, for the object whose `id()` is given.
    fn touch_id(&self, py: Python<'_>, object: usize) -> PyResult<()> {
        let _in_engine = InEngine::enter();
        self.sets.touch(py, object)
    }

    /// Notes that a loop runs on `map`, until `release` is called for it.
    fn hold(&self, map: &Bound<'_, PyAny>) {
        let _in_engine = InEngine::enter();
        self.sets.hold(map);
    }

    /// Notes that the loop has ended for which `hold` was called.
    fn release(&self, map: &Bound<'_, PyAny>) {
        let _in_engine = InEngine::enter();
        self.sets.release(map);
    }

    /// Notes that a listener has an attribute `_accept_resumes`.
    fn listener_paused(&self) {
        self.any_listener_paused.store(true, Ordering::Relaxed);
    }

    /// Notes the number of maps with pending calls.
    fn timers_pending(&self, maps: usize) {
        self.maps_with_timers.store(maps, Ordering::Relaxed);
    }

    /// `async_chat.handle_read`.
    fn chat_read(&self, channel: &Bound<'_, PyAny>) -> PyResult<()> {
        let _in_engine = InEngine::enter();
        chat::read(self, channel)
    }

    /// `async_chat.push`.
    fn chat_push(&self, channel: &Bound<'_, PyAny>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let _in_engine = InEngine::enter();
        output::push(self, channel, data)
    }

    /// `async_chat.initiate_send`.
    fn chat_send(&self, channel: &Bound<'_, PyAny>) -> PyResult<()> {
        let _in_engine = InEngine::enter();
        output::send(self, channel)
    }
}
