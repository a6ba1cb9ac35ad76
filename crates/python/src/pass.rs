//! One pass of the loop: ask the channels, wait, deliver, and make the calls that are due.

use std::time::{Duration, Instant};

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use rustix::event::PollFlags;

use crate::custom_poll::CustomPoll;
use crate::deliver::{Delivery, Ready};
use crate::descriptor::{self, PollFd};
use crate::engine::Engine;
use crate::exit::InEngine;
use crate::hooks::DuringPass;
use crate::instance::Instance;
use crate::interest::{Asking, Style};
use crate::timers;
use crate::wait;
use crate::watch;

pub(crate) fn run(
    engine: &Engine,
    style: Style,
    timeout: &Bound<'_, PyAny>,
    map: &Bound<'_, PyAny>,
    watched: bool,
) -> PyResult<()> {
    let _in_engine = InEngine::enter();
    let py = map.py();
    let timeout: Option<f64> = timeout.extract()?;
    let _classes = DuringPass::begin(&engine.classes);
    let timers = engine.has_timers().then(|| engine.originals(py).timers.bind(py));
    if map.is_truthy()? || timers.is_some() {
        let timeout = timers::shorten(timers, map, wait::timeout(style, timeout)?)?;
        let custom = CustomPoll::find(py, engine, style)?;
        if custom.is_some() || !watch(engine, style, timeout, map, watched)? {
            ask_all(engine, style, timeout, map, custom.as_ref())?;
        }
    } else if let Ok(dict) = map.cast_exact::<PyDict>() {
        engine.sets.forget(dict);
    }
    match timers {
        Some(timers) => timers::run_due(timers, map),
        None => Ok(()),
    }
}

/// Runs a pass that does not wait on the set of an attached map, and prepares the wait for the next.
pub(crate) fn run_attached(engine: &Engine, map: &Bound<'_, PyDict>) -> PyResult<watch::Attached> {
    let _in_engine = InEngine::enter();
    let py = map.py();
    let _classes = DuringPass::begin(&engine.classes);
    let _awake = engine.sets.keep_awake(map);
    let unwatchable = || PyTypeError::new_err("an attached map must have descriptors for keys");
    if !map.is_empty() && !watch::run(engine, Style::Poll, Some(Duration::ZERO), map, true)? {
        return Err(unwatchable());
    }
    if engine.has_timers() {
        timers::run_due(engine.originals(py).timers.bind(py), map)?;
    }
    watch::settle(engine, Style::Poll, map)?.ok_or_else(unwatchable)
}

/// Runs a pass on the set that is kept for a large map, or for any if `always`; false if there is
/// no such set.
fn watch(
    engine: &Engine,
    style: Style,
    timeout: Option<Duration>,
    map: &Bound<'_, PyAny>,
    always: bool,
) -> PyResult<bool> {
    let Ok(dict) = map.cast_exact::<PyDict>() else { return Ok(false) };
    if always || engine.originals(map.py()).is_large(dict)? {
        return watch::run(engine, style, timeout, dict, !always);
    }
    engine.sets.forget(dict);
    Ok(false)
}

/// A pass that keeps nothing: every channel is asked, and the system about every descriptor.
fn ask_all(
    engine: &Engine,
    style: Style,
    timeout: Option<Duration>,
    map: &Bound<'_, PyAny>,
    custom: Option<&CustomPoll<'_>>,
) -> PyResult<()> {
    let py = map.py();
    let mut asking = Asking::new(py, engine, style)?;
    let mut channels = Vec::new();
    for (key, object) in entries(map)? {
        let interest = asking.interest(&Instance::active(&object))?;
        if interest.watched {
            let fd = descriptor::from_key(&key)?;
            channels.push(Ready {
                key,
                object,
                fd,
                wanted: interest.flags,
                came: PollFlags::empty(),
            });
        }
    }
    if channels.is_empty() && style == Style::Select && !asking.limits() {
        return sleep(py, engine, timeout);
    }
    let deadline = asking.limit(wait::deadline(timeout));
    let delivery = Delivery::new(engine, map);
    if let Some(custom) = custom {
        // A predicate, or another thread, can have closed a channel that was asked before.
        delivery.retain_current(&mut channels)?;
        let left = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
        let timeout = if asking.limits() { deadline.map(left) } else { timeout };
        custom.wait(&mut channels, timeout)?;
    } else {
        let fd = |channel: &Ready<'_>| PollFd::new(channel.fd, channel.wanted);
        let mut fds: Vec<_> = channels.iter().map(fd).collect();
        wait::poll_until(py, &mut fds, deadline)?;
        for (channel, fd) in channels.iter_mut().zip(&fds) {
            channel.came = fd.came();
        }
    }
    channels.retain(|channel| !channel.came.is_empty());
    delivery.run(style, &channels)
}

/// What is in the map now, in its order.
fn entries<'py>(map: &Bound<'py, PyAny>) -> PyResult<Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
    if let Ok(dict) = map.cast_exact::<PyDict>() {
        return Ok(dict.iter().collect());
    }
    let items = map.call_method0(intern!(map.py(), "items"))?;
    items
        .try_iter()?
        .map(|item| {
            let item = item?.cast_into::<PyTuple>()?;
            Ok((item.get_item(0)?, item.get_item(1)?))
        })
        .collect()
}

/// Lets the time pass in which nothing can happen.
fn sleep(py: Python<'_>, engine: &Engine, timeout: Option<Duration>) -> PyResult<()> {
    let timeout = timeout.map(|timeout| timeout.as_secs_f64());
    let time = engine.originals(py).globals.bind(py).get_item(intern!(py, "time"))?;
    if let Some(time) = time {
        time.call_method1(intern!(py, "sleep"), (timeout,))?;
    }
    Ok(())
}
