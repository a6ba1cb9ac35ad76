//! What a channel waits for: its predicates asked, or their answer known without asking.

use std::time::{Duration, Instant};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyType};
use rustix::event::PollFlags;

use crate::engine::Engine;
use crate::instance::Instance;
use crate::originals::Originals;
use crate::wait::Deadline;

/// In which order, and by which rules, a pass asks and delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// As `poll`: select(2)'s.
    Select,
    /// As `poll2`: poll(2)'s.
    Poll,
}

/// Whether a channel's answer is known without asking it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It follows from its state.
    FromState,
    /// Its `writable` is its own.
    OwnWritable,
    /// It has to be asked everything, or time decides.
    Own,
}

/// What to ask the operating system about one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(crate) flags: PollFlags,
    /// Whether it is asked at all. Hang-ups and errors are reported without a flag.
    pub(crate) watched: bool,
}

impl Interest {
    pub(crate) const NONE: Interest = Interest { flags: PollFlags::empty(), watched: false };
}

/// Whose `writable` a class has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writable {
    /// `idle`: nothing that a write event brings about would be seen.
    Always {
        idle: bool,
    },
    /// Until connected, and while something is queued in the attribute.
    OutBuffer,
    Fifo,
    Overridden,
}

/// What a class makes of the predicates.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Predicates {
    class: usize,
    readable_is_original: bool,
    writable: Writable,
}

/// Asks channels, and looks each class up once: so it is for one pass, in which it is to be
/// right about classes that change in later ones.
pub(crate) struct Asking<'a, 'py> {
    py: Python<'py>,
    engine: &'a Engine,
    originals: &'a Originals,
    style: Style,
    idle_writes: bool,
    classes: Vec<Predicates>,
    /// When the first of the paused listeners tries again.
    resumes: Deadline,
}

impl<'a, 'py> Asking<'a, 'py> {
    pub(crate) fn new(py: Python<'py>, engine: &'a Engine, style: Style) -> PyResult<Self> {
        let originals = engine.originals(py);
        let idle_writes = originals.switch(py, "idle_writes")?;
        Ok(Asking { py, engine, originals, style, idle_writes, classes: Vec::new(), resumes: None })
    }

    /// Whether the answer for `object` follows from its state, or it has to be asked.
    pub(crate) fn kind(&mut self, object: &Instance<'_, 'py>) -> PyResult<Kind> {
        let (readable_is_original, writable) = self.hooks(object)?;
        Ok(match writable {
            _ if !readable_is_original || self.paused_until(object.object)?.is_some() => Kind::Own,
            Writable::Always { .. } => Kind::FromState,
            Writable::Fifo if self.tells(object)? => Kind::FromState,
            // Others put something into an `out_buffer`, and nobody is told.
            Writable::Fifo | Writable::OutBuffer | Writable::Overridden => Kind::OwnWritable,
        })
    }

    /// Whether the queue of `object` is one that tells when something is put into it.
    fn tells(&self, object: &Instance<'_, 'py>) -> PyResult<bool> {
        let py = self.py;
        let Some(chat) = self.engine.chat(py) else { return Ok(false) };
        let queue = object.attribute(intern!(py, "producer_fifo"))?;
        Ok(queue.get_type().is(&chat.queue)
            && queue.getattr(intern!(py, "_channel"))?.extract::<usize>()?
                == object.object.as_ptr() as usize)
    }

    /// Those of `channels`, which are of the kind `OwnWritable`, that want to write.
    pub(crate) fn who_wants_to_write(
        &self,
        channels: &Bound<'py, PyList>,
    ) -> PyResult<Bound<'py, PyList>> {
        let writers = self.originals.who_wants_to_write.bind(self.py).call1((channels,))?;
        Ok(writers.cast_into::<PyList>()?)
    }

    /// Whether one of the listeners asked is paused.
    pub(crate) fn limits(&self) -> bool {
        self.resumes.is_some()
    }

    /// What one of them waits for, or any that does not want to write.
    pub(crate) fn own_writable(&self, writer: Option<&Bound<'py, PyAny>>) -> PyResult<Interest> {
        let accepting = match writer {
            Some(writer) => writer.getattr(intern!(self.py, "accepting"))?.is_truthy()?,
            None => false,
        };
        Ok(self.combine(true, writer.is_some(), accepting, false))
    }

    /// `deadline`, or when the first of the paused listeners tries again.
    pub(crate) fn limit(&self, deadline: Deadline) -> Deadline {
        self.resumes.map_or(deadline, |resumes| {
            Some(deadline.map_or(resumes, |deadline| deadline.min(resumes)))
        })
    }

    pub(crate) fn interest(&mut self, object: &Instance<'_, 'py>) -> PyResult<Interest> {
        let py = self.py;
        let (readable, writable) = self.hooks(object)?;
        let is_true = |name| object.attribute(name)?.is_truthy();
        let asked = |name| object.object.call_method0(name)?.is_truthy();
        let wants_read = readable || asked(intern!(py, "readable"))?;
        if let Some(resumes) = self.paused_until(object.object)? {
            self.resumes = Some(self.resumes.map_or(resumes, |earlier| earlier.min(resumes)));
            return Ok(Interest::NONE);
        }
        let mut idle = false;
        let wants_write = match writable {
            Writable::Overridden => asked(intern!(py, "writable"))?,
            Writable::Always { idle: may_idle } => {
                idle = may_idle && !self.idle_writes && is_true(intern!(py, "connected"))?;
                true
            }
            Writable::OutBuffer => {
                !is_true(intern!(py, "connected"))? || is_true(intern!(py, "out_buffer"))?
            }
            Writable::Fifo => {
                is_true(intern!(py, "producer_fifo"))? || !is_true(intern!(py, "connected"))?
            }
        };
        let accepting = wants_write && is_true(intern!(py, "accepting"))?;
        Ok(self.combine(wants_read, wants_write, accepting, idle))
    }

    fn combine(&self, read: bool, write: bool, accepting: bool, idle: bool) -> Interest {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, read);
        flags.set(PollFlags::OUT, write && !accepting && !idle);
        match self.style {
            Style::Select => {
                flags.set(PollFlags::PRI, read || write);
                Interest { flags, watched: read || write }
            }
            Style::Poll => {
                flags.set(PollFlags::PRI, read);
                Interest { flags, watched: read || (write && !accepting) }
            }
        }
    }

    /// Whether `readable` is the original, and which `writable` the object has.
    fn hooks(&mut self, object: &Instance<'_, 'py>) -> PyResult<(bool, Writable)> {
        let py = self.py;
        let Predicates { readable_is_original, mut writable, .. } =
            self.predicates(&object.object.get_type())?;
        let readable = readable_is_original && !object.has_own(intern!(py, "readable"))?;
        if writable != Writable::Overridden && object.has_own(intern!(py, "writable"))? {
            writable = Writable::Overridden;
        }
        if writable == (Writable::Always { idle: true }) {
            let idle = !object.has_own(intern!(py, "handle_write"))?
                && !object.has_own(intern!(py, "handle_write_event"))?;
            writable = Writable::Always { idle };
        }
        Ok((readable, writable))
    }

    /// Returns when `object` tries again, if it is a listener that is paused.
    fn paused_until(&self, object: &Bound<'py, PyAny>) -> PyResult<Deadline> {
        if !self.engine.any_listener_paused() {
            return Ok(None);
        }
        let py = self.py;
        let Some(until) = object.getattr_opt(intern!(py, "_accept_resumes"))? else {
            return Ok(None);
        };
        let Ok(until) = until.extract::<f64>() else { return Ok(None) };
        let now: f64 = py.import(intern!(py, "time"))?.call_method0("monotonic")?.extract()?;
        let left = Duration::try_from_secs_f64(until - now).ok().filter(|left| !left.is_zero());
        Ok(left.map(|left| Instant::now() + left))
    }

    pub(crate) fn predicates(&mut self, class: &Bound<'py, PyType>) -> PyResult<Predicates> {
        let address = class.as_ptr() as usize;
        if let Some(known) = self.classes.iter().rev().find(|known| known.class == address) {
            return Ok(*known);
        }
        let predicates = self.look_up(class)?;
        self.classes.push(predicates);
        Ok(predicates)
    }

    fn look_up(&self, class: &Bound<'py, PyType>) -> PyResult<Predicates> {
        let py = self.py;
        let mut predicates = Predicates {
            class: class.as_ptr() as usize,
            readable_is_original: false,
            writable: Writable::Overridden,
        };
        if !class.is_subclass(self.originals.dispatcher.bind(py))?
            || !class.getattr(intern!(py, "__getattribute__"))?.is(&self.originals.getattribute)
        {
            return Ok(predicates);
        }
        let chat = self.engine.chat(py);
        let readable = class.getattr(intern!(py, "readable"))?;
        predicates.readable_is_original =
            readable.is(&self.originals.readable) || chat.is_some_and(|c| readable.is(&c.readable));
        let writable = class.getattr(intern!(py, "writable"))?;
        if writable.is(&self.originals.writable) {
            let idle = class.getattr(intern!(py, "handle_write"))?.is(&self.originals.handle_write)
                && class
                    .getattr(intern!(py, "handle_write_event"))?
                    .is(&self.originals.handle_write_event);
            predicates.writable = Writable::Always { idle };
        } else if writable.is(&self.originals.writable_with_send) {
            predicates.writable = Writable::OutBuffer;
        } else if chat.is_some_and(|c| writable.is(&c.writable)) {
            predicates.writable = Writable::Fifo;
        }
        Ok(predicates)
    }
}
