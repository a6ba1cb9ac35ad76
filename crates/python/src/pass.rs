//! One pass of the loop: ask the channels, wait, deliver, and make the calls that are due.

use std::time::{Duration, Instant};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use rustix::event::PollFlags;
use rustix::io::Errno;

use crate::deliver::{Delivery, Ready};
use crate::descriptor;
use crate::foreign;
use crate::hooks::DuringPass;
use crate::instance::Instance;
use crate::interest::{Asking, Style};
use crate::stock::{self, Stock};
use crate::timers;
use crate::wait;
use crate::watch;

pub(crate) fn run<'py>(
    style: Style,
    timeout: Option<f64>,
    map: &Bound<'py, PyAny>,
    watched: bool,
) -> PyResult<()> {
    let py = map.py();
    let stock = stock::stock(py);
    let _hooks = DuringPass::begin();
    let timers = timers::any().then(|| stock.timers.bind(py));
    if map.is_truthy()? || timers.is_some() {
        let timeout = timers::shorten(timers, map, wait::timeout(style, timeout)?)?;
        let foreign = foreign::function(py, stock, style)?;
        if foreign.is_some() || !watch(stock, style, timeout, map, watched)? {
            ask_all(stock, style, timeout, map, foreign.as_ref())?;
        }
    } else if let Ok(dict) = map.cast_exact::<PyDict>() {
        watch::forget(dict);
    }
    match timers {
        Some(timers) => timers::run_due(timers, map),
        None => Ok(()),
    }
}

/// A pass on the set that is kept for a large map, or for any if `always`; tells whether it was one.
fn watch<'py>(
    stock: &'py Stock,
    style: Style,
    timeout: Option<Duration>,
    map: &Bound<'py, PyAny>,
    always: bool,
) -> PyResult<bool> {
    let Ok(dict) = map.cast_exact::<PyDict>() else { return Ok(false) };
    if always || stock.is_large(dict)? {
        return watch::run(stock, style, timeout, dict, !always);
    }
    watch::forget(dict);
    Ok(false)
}

/// A pass that keeps nothing: every channel is asked, and the system about every descriptor.
fn ask_all<'py>(
    stock: &'py Stock,
    style: Style,
    timeout: Option<Duration>,
    map: &Bound<'py, PyAny>,
    foreign: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    let py = map.py();
    let mut asking = Asking::new(py, stock, style)?;
    let mut channels = Vec::new();
    let mut fds = Vec::new();
    for (key, object) in entries(map)? {
        let interest = asking.interest(&Instance::active(&object))?;
        if interest.watched {
            let fd = descriptor::from_key(&key)?;
            fds.push(descriptor::poll_fd(fd, interest.flags));
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
        return sleep(py, stock, timeout);
    }
    let deadline = asking.limit(wait::deadline(timeout));
    if let Some(foreign) = foreign {
        let left = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
        let timeout = if asking.limits() { deadline.map(left) } else { timeout };
        foreign::wait(foreign, style, &mut channels, timeout)?;
    } else {
        wait::poll_until(py, &mut fds, deadline)?;
        for (channel, fd) in channels.iter_mut().zip(&fds) {
            channel.came = fd.revents();
            if style == Style::Select && channel.came.contains(PollFlags::NVAL) {
                return Err(wait::os_error(Errno::BADF));
            }
        }
    }
    channels.retain(|channel| !channel.came.is_empty());
    Delivery::new(stock, map).run(style, &channels)
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
fn sleep(py: Python<'_>, stock: &Stock, timeout: Option<Duration>) -> PyResult<()> {
    let timeout = timeout.map(|timeout| timeout.as_secs_f64());
    let time = stock.globals.bind(py).get_item(intern!(py, "time"))?;
    if let Some(time) = time {
        time.call_method1(intern!(py, "sleep"), (timeout,))?;
    }
    Ok(())
}
