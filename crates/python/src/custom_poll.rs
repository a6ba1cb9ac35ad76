//! Waiting with what a program has put in the place of `select.select` or `select.poll`: a test's
//! fake, or the function of a library that switches between coroutines where a thread would wait.

use std::time::Duration;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyList};
use rustix::event::PollFlags;

use crate::deliver::Ready;
use crate::descriptor;
use crate::engine::Engine;
use crate::interest::Style;

/// A function that waits, and is not the system's.
pub(crate) enum CustomPoll<'py> {
    Select(Bound<'py, PyAny>),
    Poll(Bound<'py, PyAny>),
}

impl<'py> CustomPoll<'py> {
    pub(crate) fn find(
        py: Python<'py>,
        engine: &Engine,
        style: Style,
    ) -> PyResult<Option<CustomPoll<'py>>> {
        let globals = engine.originals(py).globals.bind(py);
        let Some(module) = globals.get_item(intern!(py, "select"))? else { return Ok(None) };
        let is_custom = |function: &Bound<'_, PyAny>| !function.is_instance_of::<PyCFunction>();
        if style == Style::Poll {
            if let Some(poll) = module.getattr_opt(intern!(py, "poll"))? {
                return Ok(is_custom(&poll).then_some(CustomPoll::Poll(poll)));
            }
            // eventlet removes `poll`, which it has no replacement for.
        }
        let select = module.getattr_opt(intern!(py, "select"))?.filter(is_custom);
        Ok(select.map(CustomPoll::Select))
    }

    /// Waits for `channels`, and notes what came in each.
    pub(crate) fn wait(
        &self,
        channels: &mut [Ready<'_>],
        timeout: Option<Duration>,
    ) -> PyResult<()> {
        match self {
            CustomPoll::Select(function) => select(function, channels, timeout),
            CustomPoll::Poll(function) => poll(function, channels, timeout),
        }
    }
}

fn select(
    select: &Bound<'_, PyAny>,
    channels: &mut [Ready<'_>],
    timeout: Option<Duration>,
) -> PyResult<()> {
    const KINDS: [PollFlags; 3] = [PollFlags::IN, PollFlags::OUT, PollFlags::PRI];
    let lists = KINDS.map(|kind| {
        let waiting = channels.iter().filter(|channel| channel.wanted.contains(kind));
        PyList::new(select.py(), waiting.map(|channel| &channel.key))
    });
    let [reads, writes, exceptions] = lists;
    let timeout = timeout.map(|timeout| timeout.as_secs_f64());
    let ready = select.call1((reads?, writes?, exceptions?, timeout))?;
    for (at, kind) in KINDS.into_iter().enumerate() {
        for key in ready.get_item(at)?.try_iter()? {
            note(channels, descriptor::from_key(&key?)?, kind);
        }
    }
    Ok(())
}

fn poll(
    poll: &Bound<'_, PyAny>,
    channels: &mut [Ready<'_>],
    timeout: Option<Duration>,
) -> PyResult<()> {
    let py = poll.py();
    let poller = poll.call0()?;
    for channel in &*channels {
        poller.call_method1(intern!(py, "register"), (channel.fd, channel.wanted.bits()))?;
    }
    let timeout = timeout.map(|timeout| timeout.as_millis());
    for pair in poller.call_method1(intern!(py, "poll"), (timeout,))?.try_iter()? {
        let (fd, came): (_, u16) = pair?.extract()?;
        note(channels, fd, PollFlags::from_bits_retain(came));
    }
    Ok(())
}

fn note(channels: &mut [Ready<'_>], fd: i32, came: PollFlags) {
    if let Some(channel) = channels.iter_mut().find(|channel| channel.fd == fd) {
        channel.came |= came;
    }
}
