//! What is known about one channel.

use std::os::fd::RawFd;

use pyo3::prelude::*;
use pyo3::types::PyList;
use rustix::event::PollFlags;

use crate::instance::Instance;
use crate::interest::{Interest, Kind};

/// A channel, by the number of its descriptor. Addresses stand for objects, which are not kept
/// alive: they are compared with what is in the map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) object: usize,
    pub(super) class: usize,
    /// Where it is in the map's order.
    pub(super) order: u64,
    /// None until it was asked.
    pub(super) kind: Option<Kind>,
    pub(super) present: bool,
    pub(super) wanted: Interest,
    /// What the kernel's set has, and under which number of registration.
    pub(super) registered: Option<(PollFlags, u32)>,
    /// The kernel's set does not take it: a regular file, a number that is not open.
    pub(super) polled: bool,
    pub(super) touched: bool,
    /// Whether the channel ever had an event.
    pub(super) active: bool,
    pub(super) seen: bool,
}

impl Entry {
    pub(super) fn instance<'a, 'py>(&self, object: &'a Bound<'py, PyAny>) -> Instance<'a, 'py> {
        if self.active { Instance::active(object) } else { Instance::idle(object) }
    }
}

pub(super) const ABSENT: Entry = Entry {
    object: 0,
    class: 0,
    order: 0,
    kind: None,
    present: false,
    wanted: Interest::NONE,
    registered: None,
    polled: false,
    touched: false,
    active: false,
    seen: false,
};

/// The channels that are asked in every pass, in the map's order.
pub(super) struct Asked {
    pub(super) fds: Vec<RawFd>,
    pub(super) objects: Py<PyList>,
    pub(super) all_own_writable: bool,
}
