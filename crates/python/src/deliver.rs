//! From what is ready to the methods of channels, in the order of `poll` or of `poll2`.

use std::os::fd::RawFd;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use rustix::event::PollFlags;
use rustix::io::Errno;

use crate::chat;
use crate::descriptor;
use crate::engine::Engine;
use crate::interest::Style;
use crate::originals::Originals;
use crate::wait;

/// A channel that is ready for something.
pub(crate) struct Ready<'py> {
    pub(crate) key: Bound<'py, PyAny>,
    pub(crate) object: Bound<'py, PyAny>,
    pub(crate) fd: RawFd,
    /// What it waited for.
    pub(crate) wanted: PollFlags,
    /// What came.
    pub(crate) came: PollFlags,
}

/// select(2)'s three questions, as the kernel answers them in terms of poll(2).
const READS: PollFlags = PollFlags::IN.union(PollFlags::HUP).union(PollFlags::ERR);
const WRITES: PollFlags = PollFlags::OUT.union(PollFlags::ERR);
const ENDS: PollFlags = PollFlags::HUP.union(PollFlags::ERR).union(PollFlags::NVAL);

/// How often the input that an SSL socket holds decrypted is offered in a row; one record, which
/// is what it holds, has 16 KiB.
const PENDING_READS: usize = 1 << 16;

pub(crate) struct Delivery<'a, 'py> {
    py: Python<'py>,
    engine: &'a Engine,
    originals: &'a Originals,
    map: &'a Bound<'py, PyAny>,
    dict: Option<&'a Bound<'py, PyDict>>,
}

impl<'a, 'py> Delivery<'a, 'py> {
    pub(crate) fn new(engine: &'a Engine, map: &'a Bound<'py, PyAny>) -> Self {
        let dict = map.cast_exact::<PyDict>().ok();
        Delivery { py: map.py(), engine, originals: engine.originals(map.py()), map, dict }
    }

    /// Drops the channels that the map does not hold any more.
    pub(crate) fn retain_current(&self, channels: &mut Vec<Ready<'py>>) -> PyResult<()> {
        let current: PyResult<Vec<_>> = channels.iter().map(|one| self.is_current(one)).collect();
        let mut current = current?.into_iter();
        channels.retain(|_| current.next().unwrap_or(false));
        Ok(())
    }

    /// Calls the methods of the channels that are ready.
    ///
    /// # Errors
    /// EBADF with select's order, if no file is open under the number of a channel that the map still
    /// holds. One that was closed meanwhile, by another thread, is not in the map any more.
    pub(crate) fn run(&self, style: Style, ready: &[Ready<'py>]) -> PyResult<()> {
        for ready in ready {
            let is_bad = style == Style::Select && ready.came.contains(PollFlags::NVAL);
            if is_bad && self.is_current(ready)? {
                return Err(wait::os_error(Errno::BADF));
            }
        }
        match style {
            Style::Select => self.in_order_of_kind(ready),
            Style::Poll => self.in_order_of_channel(ready),
        }
    }

    /// All reads, then all writes, then all exceptions.
    fn in_order_of_kind(&self, ready: &[Ready<'py>]) -> PyResult<()> {
        let originals = self.originals;
        let kinds = [
            (PollFlags::IN, READS, intern!(self.py, "handle_read_event"), "read", &originals.read),
            (
                PollFlags::OUT,
                WRITES,
                intern!(self.py, "handle_write_event"),
                "write",
                &originals.write,
            ),
            (
                PollFlags::PRI,
                PollFlags::PRI,
                intern!(self.py, "handle_expt_event"),
                "_exception",
                &originals.exception,
            ),
        ];
        for (wanted, came, method, name, original) in kinds {
            let replaced = originals.replaced(self.py, name, original)?;
            for ready in ready {
                if !ready.wanted.contains(wanted)
                    || !ready.came.intersects(came)
                    || !self.is_current(ready)?
                {
                    continue;
                }
                if let Some(function) = &replaced {
                    function.call1((&ready.object,))?;
                } else if let Err(error) = self.event(ready, method, wanted == PollFlags::IN) {
                    self.report(&self.originals.report, ready, error)?;
                }
            }
        }
        Ok(())
    }

    /// One channel after the other.
    fn in_order_of_channel(&self, ready: &[Ready<'py>]) -> PyResult<()> {
        let replaced = self.originals.replaced(self.py, "readwrite", &self.originals.readwrite)?;
        for ready in ready {
            if !self.is_current(ready)? {
                continue;
            }
            if let Some(function) = &replaced {
                function.call1((&ready.object, ready.came.bits()))?;
            } else if let Err(error) = self.read_write(ready) {
                self.report(&self.originals.report_poll, ready, error)?;
            }
        }
        Ok(())
    }

    fn read_write(&self, ready: &Ready<'py>) -> PyResult<()> {
        let came = ready.came;
        let ends = came.intersects(ENDS);
        let mut unread = None;
        if came.contains(PollFlags::IN) {
            if ends && !came.contains(PollFlags::NVAL) {
                unread = self.unread(ready)?;
            }
            self.event(ready, intern!(self.py, "handle_read_event"), true)?;
        }
        // What an event made of the channel, the next may not be meant for.
        if came.contains(PollFlags::OUT) && self.goes_on(ready, PollFlags::IN)? {
            self.event(ready, intern!(self.py, "handle_write_event"), false)?;
        }
        let earlier = PollFlags::IN.union(PollFlags::OUT);
        if came.contains(PollFlags::PRI) && self.goes_on(ready, earlier)? {
            self.event(ready, intern!(self.py, "handle_expt_event"), false)?;
        }
        if ends && self.goes_on(ready, earlier.union(PollFlags::PRI))? {
            // As long as reading makes progress, the end can wait until it is read up to.
            let left = if unread.is_some() { self.unread(ready)? } else { None };
            if left.is_none_or(|left| left == 0 || Some(left) >= unread) {
                ready.object.call_method0(intern!(self.py, "handle_close"))?;
            }
        }
        Ok(())
    }

    fn event(
        &self,
        ready: &Ready<'py>,
        method: &Bound<'py, PyString>,
        reading: bool,
    ) -> PyResult<()> {
        if !reading || !chat::read_ready(self.engine, &ready.object)? {
            ready.object.call_method0(method)?;
        }
        if reading { self.read_pending(ready, method) } else { Ok(()) }
    }

    /// Offers what an SSL socket has decrypted already: its descriptor will not show that.
    fn read_pending(&self, ready: &Ready<'py>, method: &Bound<'py, PyString>) -> PyResult<()> {
        let py = self.py;
        let Some(socket) = ready.object.getattr_opt(intern!(py, "socket"))? else {
            return Ok(());
        };
        if socket.get_type().is(&self.originals.socket) {
            return Ok(());
        }
        let modules = py.import(intern!(py, "sys"))?.getattr(intern!(py, "modules"))?;
        let Some(ssl) = modules.cast::<PyDict>()?.get_item(intern!(py, "ssl"))? else {
            return Ok(());
        };
        if !socket.is_instance(&ssl.getattr(intern!(py, "SSLSocket"))?)? {
            return Ok(());
        }
        let mut before = 0;
        for _ in 0..PENDING_READS {
            let pending: usize = socket.call_method0(intern!(py, "pending"))?.extract()?;
            if pending == 0
                || pending == before
                || !self.is_current(ready)?
                || !ready.object.call_method0(intern!(py, "readable"))?.is_truthy()?
            {
                break;
            }
            before = pending;
            ready.object.call_method0(method)?;
        }
        Ok(())
    }

    /// How much input waits in the kernel, if it can tell and is to be asked.
    fn unread(&self, ready: &Ready<'py>) -> PyResult<Option<usize>> {
        if !self.originals.switch(self.py, "read_before_close")? {
            return Ok(None);
        }
        Ok(descriptor::unread(ready.fd))
    }

    /// Whether the channel is still there after what `earlier` events did, if there were any.
    fn goes_on(&self, ready: &Ready<'py>, earlier: PollFlags) -> PyResult<bool> {
        if ready.came.intersects(earlier) { self.is_current(ready) } else { Ok(true) }
    }

    /// Whether the map still has the channel under the number that was asked about.
    fn is_current(&self, ready: &Ready<'py>) -> PyResult<bool> {
        Ok(match self.dict {
            Some(dict) => dict.get_item(&ready.key)?.is_some_and(|now| now.is(&ready.object)),
            None => {
                self.map.call_method1(intern!(self.py, "get"), (&ready.key,))?.is(&ready.object)
            }
        })
    }

    fn report(&self, report: &Py<PyAny>, ready: &Ready<'py>, error: PyErr) -> PyResult<()> {
        report.bind(self.py).call1((&ready.object, error.into_value(self.py)))?;
        Ok(())
    }
}
