//! What is known about the channels of one map, and what the kernel was told about them.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::process::{Pid, getpid};

use super::entry::{ABSENT, Asked, Entry};
use super::kernel::Kernel;
use super::{address, class_address};
use crate::descriptor;
use crate::interest::{Interest, Kind, Predicates, Style};

/// Checking everything takes at most one part in so many of the time.
const CHECK_SHARE: u32 = 20;

pub(super) struct WatchSet {
    map: usize,
    process: Pid,
    kernel: Kernel,
    /// By number of descriptor.
    entries: Vec<Entry>,
    by_object: HashMap<usize, RawFd>,
    present: usize,
    touched: Vec<RawFd>,
    polled: Vec<RawFd>,
    style: Style,
    orders: u64,
    /// How many have to be asked in every pass.
    own: usize,
    /// Which those are, and whether that is still so. What is not is dropped when no set is locked,
    /// since channels may end with it.
    asked: Option<Arc<Asked>>,
    asked_is_valid: bool,
    /// What was looked up in the classes of those asked; it may change while they live.
    classes: Vec<(Py<PyType>, Predicates)>,
    /// The keys, objects and classes that the map had, in its order, when the entries were made those
    /// of the map; empty after either may have changed.
    walk: Vec<[usize; 3]>,
    /// The map may be another, or have other entries than `present` says.
    distrusted: bool,
    /// Who wanted to write in the last pass, of those asked.
    writers: Vec<RawFd>,
    checked: Instant,
    check_took: Duration,
    attachment: Option<Attachment>,
}

/// What another loop has that watches the set.
struct Attachment {
    /// Called when channels change while it sleeps.
    changed: Py<PyAny>,
    /// Whether a pass is about to find what changes.
    awake: bool,
    /// The descriptor that the other loop watches: a duplicate of the kernel's set.
    watched: Option<OwnedFd>,
    /// The one before. It stays open until the other loop has seen the next one, so that no other
    /// file gets the number that it still watches.
    retired: Option<OwnedFd>,
}

impl WatchSet {
    pub(super) fn new(map: usize) -> Result<Self, Errno> {
        Ok(WatchSet {
            map,
            process: getpid(),
            kernel: Kernel::new()?,
            entries: Vec::new(),
            by_object: HashMap::new(),
            present: 0,
            touched: Vec::new(),
            polled: Vec::new(),
            style: Style::Poll,
            orders: 0,
            own: 0,
            asked: None,
            asked_is_valid: false,
            classes: Vec::new(),
            walk: Vec::new(),
            distrusted: true,
            writers: Vec::new(),
            checked: Instant::now(),
            check_took: Duration::ZERO,
            attachment: None,
        })
    }

    pub(super) fn map(&self) -> usize {
        self.map
    }

    pub(super) fn epoll(&self) -> Arc<OwnedFd> {
        self.kernel.descriptor()
    }

    pub(super) fn is_attached(&self) -> bool {
        self.attachment.is_some()
    }

    pub(super) fn attach(&mut self, changed: Py<PyAny>) {
        self.attachment = Some(Attachment { changed, awake: false, watched: None, retired: None });
    }

    /// Returns the function that was called, to be dropped elsewhere.
    pub(super) fn detach(&mut self) -> Option<Py<PyAny>> {
        self.attachment.take().map(|attachment| attachment.changed)
    }

    pub(super) fn set_awake(&mut self, awake: bool) {
        if let Some(attachment) = &mut self.attachment {
            attachment.awake = awake;
        }
    }

    /// Returns the function to call about a change, if there is one that is not called yet.
    pub(super) fn wake(&mut self, py: Python<'_>) -> Option<Py<PyAny>> {
        let attachment = self.attachment.as_mut().filter(|attachment| !attachment.awake)?;
        attachment.awake = true;
        Some(attachment.changed.clone_ref(py))
    }

    /// Returns the descriptor for the other loop to watch; another one after each `rebuild`.
    pub(super) fn watched(&mut self) -> Result<RawFd, Errno> {
        let Some(attachment) = &mut self.attachment else { return Err(Errno::INVAL) };
        if attachment.watched.is_none() {
            attachment.watched = Some(self.kernel.duplicate()?);
        } else {
            attachment.retired = None;
        }
        attachment.watched.as_ref().map(AsRawFd::as_raw_fd).ok_or(Errno::INVAL)
    }

    pub(super) fn distrust(&mut self) {
        self.distrusted = true;
    }

    /// Whether the entries may be others than those of `dict`.
    pub(super) fn is_outdated(&self, dict: &Bound<'_, PyDict>) -> bool {
        self.distrusted || self.present != dict.len()
    }

    pub(super) fn classes(&self, py: Python<'_>) -> Vec<(Py<PyType>, Predicates)> {
        self.classes.iter().map(|(class, known)| (class.clone_ref(py), *known)).collect()
    }

    pub(super) fn knows(&self, class: &Bound<'_, PyType>) -> bool {
        self.classes.iter().any(|(known, _)| known.is(class))
    }

    pub(super) fn learn(&mut self, class: Py<PyType>, predicates: Predicates) {
        self.classes.push((class, predicates));
    }

    /// Returns what was known of classes, to be dropped elsewhere.
    pub(super) fn forget_classes(&mut self) -> Vec<(Py<PyType>, Predicates)> {
        std::mem::take(&mut self.classes)
    }

    pub(super) fn get(&self, fd: RawFd) -> Option<&Entry> {
        self.entries.get(fd as usize).filter(|entry| entry.present)
    }

    fn get_mut(&mut self, fd: RawFd) -> Option<&mut Entry> {
        self.entries.get_mut(fd as usize).filter(|entry| entry.present)
    }

    /// Prepares for a pass. Tells whether everything is to be asked anew: the answers depend on
    /// the style, and after a fork the kernel's set is the parent's.
    pub(super) fn begin(&mut self, style: Style) -> Result<bool, Errno> {
        let process = getpid();
        if process != self.process {
            self.process = process;
            self.rebuild()?;
        }
        let other = self.style != style;
        self.style = style;
        Ok(other)
    }

    /// When everything is to be checked again.
    pub(super) fn check_due(&self) -> Instant {
        self.checked + self.check_took * CHECK_SHARE
    }

    pub(super) fn was_checked(&mut self, since: Instant) {
        self.checked = Instant::now();
        self.check_took = self.checked - since;
    }

    pub(super) fn add(&mut self, fd: RawFd, object: usize, class: usize) {
        self.walk.clear();
        let at = fd as usize;
        if at >= self.entries.len() {
            self.entries.resize(at + 1, ABSENT);
        }
        let old = self.entries[at];
        let order = if !old.present {
            self.orders += 1;
            self.present += 1;
            self.orders
        } else {
            self.by_object.remove(&old.object);
            self.set_kind(fd, None);
            old.order
        };
        // The registration, if there is one, may be that of another file under the same number:
        // `register` will see.
        self.entries[at] = Entry {
            object,
            class,
            order,
            kind: None,
            present: true,
            touched: false,
            active: false,
            wanted: Interest::NONE,
            ..old
        };
        self.by_object.insert(object, fd);
        self.touch(fd);
    }

    pub(super) fn remove(&mut self, fd: RawFd) {
        let Some(entry) = self.get(fd).copied() else { return };
        self.walk.clear();
        if entry.registered.is_some() && getpid() == self.process {
            self.kernel.delete(fd);
        }
        if entry.polled {
            self.polled.retain(|polled| *polled != fd);
        }
        self.by_object.remove(&entry.object);
        self.set_kind(fd, None);
        self.entries[fd as usize] = ABSENT;
        self.present -= 1;
    }

    pub(super) fn touch(&mut self, fd: RawFd) {
        if let Some(entry) = self.get_mut(fd) {
            if !entry.touched {
                entry.touched = true;
                self.touched.push(fd);
            }
        }
    }

    /// Notes that the channel has an event, and may be another afterwards.
    pub(super) fn has_event(&mut self, fd: RawFd) {
        self.touch(fd);
        if let Some(entry) = self.get_mut(fd) {
            entry.active = true;
        }
    }

    /// Returns false if the object is not in the map.
    pub(super) fn touch_object(&mut self, object: usize) -> bool {
        let Some(fd) = self.by_object.get(&object).copied() else { return false };
        self.touch(fd);
        true
    }

    pub(super) fn is_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    pub(super) fn take_touched(&mut self) -> Vec<RawFd> {
        let touched = std::mem::take(&mut self.touched);
        for fd in &touched {
            if let Some(entry) = self.get_mut(*fd) {
                entry.touched = false;
            }
        }
        touched
    }

    /// Makes the entries those of `dict`. Tells whether all its keys are numbers: if not, the map
    /// cannot be watched.
    pub(super) fn resync(&mut self, dict: &Bound<'_, PyDict>) -> bool {
        self.distrusted = false;
        if self.walk.len() == dict.len()
            && self.walk.iter().zip(dict.iter()).all(|(known, (key, object))| {
                *known == [address(&key), address(&object), class_address(&object)]
            })
        {
            return true;
        }
        for entry in &mut self.entries {
            entry.seen = false;
        }
        let mut last = 0;
        let mut walk = Vec::with_capacity(dict.len());
        for (key, object) in dict.iter() {
            walk.push([address(&key), address(&object), class_address(&object)]);
            let Some(fd) = descriptor::from_int(&key) else { return false };
            let (object, class) = (address(&object), class_address(&object));
            if !self.get(fd).is_some_and(|entry| entry.object == object && entry.class == class) {
                self.add(fd, object, class);
            }
            let entry = &mut self.entries[fd as usize];
            entry.seen = true;
            if entry.order < last {
                self.orders += 1;
                entry.order = self.orders;
            }
            last = entry.order;
        }
        if self.present != dict.len() {
            for fd in 0..self.entries.len() {
                if !self.entries[fd].seen {
                    self.remove(fd as RawFd);
                }
            }
        }
        self.walk = walk;
        true
    }

    /// Notes what a channel answered, and tells the kernel. `anew`: whatever it was told before.
    pub(super) fn answer(
        &mut self,
        fd: RawFd,
        object: usize,
        kind: Kind,
        wanted: Interest,
        anew: bool,
    ) {
        let Some(entry) = self.get_mut(fd).filter(|entry| entry.object == object) else { return };
        let fresh = entry.kind.is_none();
        entry.wanted = wanted;
        self.set_kind(fd, Some(kind));
        self.register(fd, anew || fresh);
    }

    /// Notes the answers of those whose `writable` is their own: those of `writers`, by object, and
    /// what all others wait for. `new`: there are some who were not asked before.
    pub(super) fn answer_writable(
        &mut self,
        asked: &Asked,
        new: bool,
        others: Interest,
        writers: &[(usize, Interest)],
    ) {
        let before = std::mem::take(&mut self.writers);
        for fd in if new { &asked.fds } else { &before } {
            let object = self.get(*fd).map_or(0, |entry| entry.object);
            if !writers.iter().any(|(writer, _)| *writer == object) {
                self.answer(*fd, object, Kind::OwnWritable, others, false);
            }
        }
        for (object, wanted) in writers {
            if let Some(fd) = self.by_object.get(object).copied() {
                self.answer(fd, *object, Kind::OwnWritable, *wanted, false);
                self.writers.push(fd);
            }
        }
    }

    fn set_kind(&mut self, fd: RawFd, kind: Option<Kind>) {
        let is_own = |kind| matches!(kind, Some(Kind::OwnWritable | Kind::Own));
        let before = std::mem::replace(&mut self.entries[fd as usize].kind, kind);
        if is_own(before) || is_own(kind) {
            self.own = self.own + usize::from(is_own(kind)) - usize::from(is_own(before));
            self.asked_is_valid &= before == kind;
        }
    }

    pub(super) fn asks_any(&self) -> bool {
        self.own > 0
    }

    pub(super) fn asked(&self) -> Option<Arc<Asked>> {
        self.asked.clone().filter(|_| self.asked_is_valid)
    }

    /// Returns those asked until now, to be dropped elsewhere.
    pub(super) fn set_asked(&mut self, asked: Arc<Asked>) -> Option<Arc<Asked>> {
        self.asked_is_valid = true;
        self.asked.replace(asked)
    }

    pub(super) fn forget_asked(&mut self) -> Option<Arc<Asked>> {
        self.asked_is_valid = false;
        self.asked.take()
    }

    fn register(&mut self, fd: RawFd, anew: bool) {
        let Entry { wanted, registered, polled, .. } = self.entries[fd as usize];
        if !wanted.watched {
            if registered.is_some() {
                self.kernel.delete(fd);
                self.entries[fd as usize].registered = None;
            }
            self.set_polled(fd, false);
            return;
        }
        let up_to_date = match registered {
            Some((flags, _)) => flags == wanted.flags,
            None => polled,
        };
        if anew || !up_to_date {
            let known = registered.map(|(_, number)| number);
            let number = self.kernel.register(fd, wanted.flags, known);
            self.entries[fd as usize].registered = number.map(|number| (wanted.flags, number));
            self.set_polled(fd, number.is_none());
        }
    }

    fn set_polled(&mut self, fd: RawFd, polled: bool) {
        let entry = &mut self.entries[fd as usize];
        if entry.polled != polled {
            entry.polled = polled;
            if polled {
                self.polled.push(fd);
            } else {
                self.polled.retain(|polled| *polled != fd);
            }
        }
    }

    /// What has to be asked beside the kernel's set.
    pub(super) fn polled(&self) -> Vec<(RawFd, PollFlags)> {
        let entries = self.polled.iter();
        entries.map(|fd| (*fd, self.entries[*fd as usize].wanted.flags)).collect()
    }

    /// Whether an event with this data is about what the number stands for now.
    pub(super) fn is_about(&self, fd: RawFd, number: u32) -> bool {
        self.get(fd).and_then(|entry| entry.registered).is_some_and(|(_, known)| known == number)
    }

    /// Whether the file that the number stands for is the one that was registered.
    pub(super) fn is_registered(&mut self, fd: RawFd) -> bool {
        let Some(entry) = self.get(fd) else { return false };
        let Some((flags, number)) = entry.registered else { return false };
        self.kernel.modify(fd, flags, number)
    }

    /// Begins a new kernel's set: only so does it forget files that no number stands for any more.
    pub(super) fn rebuild(&mut self) -> Result<(), Errno> {
        self.kernel = Kernel::new()?;
        if let Some(attachment) = &mut self.attachment {
            attachment.retired = attachment.watched.take();
        }
        for fd in 0..self.entries.len() {
            self.entries[fd].registered = None;
            if self.entries[fd].present {
                self.register(fd as RawFd, true);
            }
        }
        Ok(())
    }
}
