//! From what is ready to the methods of channels, in the order of `poll` or of `poll2`.

use std::os::fd::RawFd;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use rustix::event::PollFlags;
use rustix::io::ioctl_fionread;

use crate::chat;
use crate::descriptor;
use crate::interest::Style;
use crate::stock::Stock;

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
    stock: &'py Stock,
    map: &'a Bound<'py, PyAny>,
    dict: Option<&'a Bound<'py, PyDict>>,
}

impl<'a, 'py> Delivery<'a, 'py> {
    pub(crate) fn new(stock: &'py Stock, map: &'a Bound<'py, PyAny>) -> Self {
        let dict = map.cast_exact::<PyDict>().ok();
        Delivery { py: map.py(), stock, map, dict }
    }

    pub(crate) fn run(&self, style: Style, ready: &[Ready<'py>]) -> PyResult<()> {
        match style {
            Style::Select => self.in_order_of_kind(ready),
            Style::Poll => self.in_order_of_channel(ready),
        }
    }

    /// All reads, then all writes, then all exceptions.
    fn in_order_of_kind(&self, ready: &[Ready<'py>]) -> PyResult<()> {
        let stock = self.stock;
        let kinds = [
            (PollFlags::IN, READS, intern!(self.py, "handle_read_event"), "read", &stock.read),
            (PollFlags::OUT, WRITES, intern!(self.py, "handle_write_event"), "write", &stock.write),
            (
                PollFlags::PRI,
                PollFlags::PRI,
                intern!(self.py, "handle_expt_event"),
                "_exception",
                &stock.exception,
            ),
        ];
        for (wanted, came, method, name, original) in kinds {
            let replaced = stock.replaced(self.py, name, original)?;
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
                    self.report(&self.stock.report, ready, error)?;
                }
            }
        }
        Ok(())
    }

    /// One channel after the other.
    fn in_order_of_channel(&self, ready: &[Ready<'py>]) -> PyResult<()> {
        let replaced = self.stock.replaced(self.py, "readwrite", &self.stock.readwrite)?;
        for ready in ready {
            if !self.is_current(ready)? {
                continue;
            }
            if let Some(function) = &replaced {
                function.call1((&ready.object, ready.came.bits()))?;
            } else if let Err(error) = self.read_write(ready) {
                self.report(&self.stock.report_poll, ready, error)?;
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
        if !reading || !chat::read_ready(&ready.object)? {
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
        if socket.get_type().is(&self.stock.socket) {
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
    fn unread(&self, ready: &Ready<'py>) -> PyResult<Option<u64>> {
        if !self.stock.switch(self.py, "read_before_close")? {
            return Ok(None);
        }
        Ok(ioctl_fionread(descriptor::borrow(ready.fd)).ok())
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
