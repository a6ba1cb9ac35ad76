//! A pass on a large map: ask those who may have changed, wait, and see that what the kernel's set
//! reports is true.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use rustix::event::{PollFlags, Timespec};

use super::entry::Asked;
use super::{Shared, address, class_address, kernel, lock};
use crate::deliver::{Delivery, Ready};
use crate::descriptor::{self, PollFd};
use crate::engine::Engine;
use crate::instance::Instance;
use crate::interest::{Asking, Kind, Style};
use crate::wait::{self, Deadline};

/// What is reported without being asked for.
const UNASKED: PollFlags = PollFlags::HUP.union(PollFlags::ERR).union(PollFlags::NVAL);

struct Pass<'a, 'py> {
    py: Python<'py>,
    engine: &'a Engine,
    dict: &'a Bound<'py, PyDict>,
    set: Shared,
    asking: Asking<'a, 'py>,
}

/// How far a pass looks around.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// At those who are known to have changed, or to have to be asked.
    Touched,
    /// At all channels.
    Everyone,
    /// At all channels, and whether the kernel's set is about the files that they have now.
    Checked,
}

/// Runs a pass; tells whether it could. `checked`: with regular checks of everything.
pub(crate) fn run(
    engine: &Engine,
    style: Style,
    timeout: Option<Duration>,
    dict: &Bound<'_, PyDict>,
    checked: bool,
) -> PyResult<bool> {
    let py = dict.py();
    let Some(set) = engine.sets.of(dict) else { return Ok(false) };
    let Ok(all) = lock(&set).begin(style) else { return Ok(false) };
    let mut pass = Pass { py, engine, dict, set, asking: Asking::new(py, engine, style)? };
    let deadline = wait::deadline(timeout);
    // Few are asked as often as without a set.
    let small = !engine.originals(py).is_large(dict)?;
    let checked = checked || small;
    let extent = if all || (checked && Instant::now() >= lock(&pass.set).check_due()) {
        Extent::Checked
    } else if small || pass.classes_have_changed()? {
        Extent::Everyone
    } else {
        Extent::Touched
    };
    if !pass.ask(extent, true)? {
        return Ok(false);
    }
    let mut found = if extent == Extent::Checked || !checked {
        pass.wait(deadline)?
    } else {
        let due = lock(&pass.set).check_due();
        pass.wait(Some(deadline.map_or(due, |deadline| deadline.min(due))))?
    };
    if found.is_empty()
        && checked
        && extent != Extent::Checked
        && deadline.is_none_or(|end| Instant::now() < end)
    {
        // It is quiet: before it sleeps longer, everything is looked at.
        if !pass.ask(Extent::Checked, false)? {
            return Ok(false);
        }
        found = pass.wait(deadline)?;
    }
    let ready = pass.ready(found)?;
    if !engine.sets.is_held(dict) {
        let asked = lock(&pass.set).forget_asked();
        drop(asked);
    }
    Delivery::new(engine, dict.as_any()).run(style, &ready)?;
    Ok(true)
}

/// What another loop has to know between two passes: the descriptors that it watches, with the flags
/// of poll(2); after how many seconds the next pass is due at the latest; whether channels have to be
/// asked now and then.
pub(crate) type Attached = (Vec<(RawFd, u16)>, Option<f64>, bool);

/// Tells the kernel of what changed in the pass that just ended; `None` if the map cannot be watched.
pub(crate) fn settle(
    engine: &Engine,
    style: Style,
    dict: &Bound<'_, PyDict>,
) -> PyResult<Option<Attached>> {
    let py = dict.py();
    let Some(set) = engine.sets.of(dict) else { return Ok(None) };
    let mut pass = Pass { py, engine, dict, set, asking: Asking::new(py, engine, style)? };
    if !pass.ask(Extent::Touched, true)? {
        return Ok(None);
    }
    let resumes = pass.asking.limit(None).map(|at| at.saturating_duration_since(Instant::now()));
    let mut set = lock(&pass.set);
    // What the kernel's set does not take, and what predicates changed, only a pass finds.
    let is_settled = set.polled().is_empty() && !set.is_touched();
    let due = if is_settled { resumes } else { Some(Duration::ZERO) };
    let watched = set.watched().map_err(wait::os_error)?;
    let due = due.map(|due| due.as_secs_f64());
    Ok(Some((vec![(watched, PollFlags::IN.bits())], due, set.asks_any())))
}

impl<'py> Pass<'_, 'py> {
    /// Whether a class has got, or lost, predicates of its own since its channels were asked.
    fn classes_have_changed(&mut self) -> PyResult<bool> {
        let known = lock(&self.set).classes(self.py);
        for (class, predicates) in &known {
            if self.asking.predicates(class.bind(self.py))? != *predicates {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Asks those who have to be asked; those with predicates of their own once in a pass, the first
    /// time.
    fn ask(&mut self, extent: Extent, first: bool) -> PyResult<bool> {
        let began = Instant::now();
        let touched = {
            let mut set = lock(&self.set);
            let outdated =
                set.is_outdated(self.dict) || (first && !self.engine.sets.is_held(self.dict));
            if (extent != Extent::Touched || outdated) && !set.resync(self.dict) {
                return Ok(false);
            }
            set.take_touched()
        };
        if extent != Extent::Touched {
            let check = extent == Extent::Checked;
            let classes = lock(&self.set).forget_classes();
            drop(classes);
            // A snapshot: asking can run any code.
            for (key, object) in self.dict.iter().collect::<Vec<_>>() {
                if let Some(fd) = descriptor::from_int(&key) {
                    self.ask_one(fd, &object, check, !first)?;
                }
            }
            if check {
                lock(&self.set).was_checked(began);
            }
            return Ok(true);
        }
        for fd in touched {
            if let Some(object) = self.dict.get_item(fd)? {
                // Those who are asked in each pass have their turn below.
                self.ask_one(fd, &object, false, true)?;
            }
        }
        if first && lock(&self.set).asks_any() {
            self.ask_own()?;
        }
        Ok(true)
    }

    /// Asks one; if `known_only`, not if that would call a method of its own.
    fn ask_one(
        &mut self,
        fd: RawFd,
        object: &Bound<'py, PyAny>,
        anew: bool,
        known_only: bool,
    ) -> PyResult<()> {
        let class = object.get_type();
        let predicates = self.asking.predicates(&class)?;
        if !lock(&self.set).knows(&class) {
            lock(&self.set).learn(class.unbind(), predicates);
        }
        let Some(entry) = lock(&self.set).get(fd).copied() else { return Ok(()) };
        let instance = entry.instance(object);
        let kind = self.asking.kind(&instance)?;
        let wanted = if known_only && kind != Kind::FromState {
            entry.wanted
        } else {
            self.asking.interest(&instance)?
        };
        lock(&self.set).answer(fd, address(object), kind, wanted, anew);
        Ok(())
    }

    /// Asks those who have an answer of their own.
    fn ask_own(&mut self) -> PyResult<()> {
        let py = self.py;
        let (asked, new) = self.asked();
        let objects = asked.objects.bind(py);
        if !asked.all_own_writable {
            for (fd, object) in asked.fds.iter().zip(objects) {
                let Some(entry) = lock(&self.set).get(*fd).copied() else { continue };
                let instance = entry.instance(&object);
                let wanted = self.asking.interest(&instance)?;
                let kind = self.asking.kind(&instance)?;
                lock(&self.set).answer(*fd, address(&object), kind, wanted, false);
            }
            return Ok(());
        }
        let writers = self.asking.who_wants_to_write(objects)?;
        let mut answers = Vec::with_capacity(writers.len());
        for object in writers {
            answers.push((address(&object), self.asking.own_writable(Some(&object))?));
        }
        let others = self.asking.own_writable(None)?;
        lock(&self.set).answer_writable(&asked, new, others, &answers);
        Ok(())
    }

    /// Who is asked in each pass, and whether that is another list than in the last one.
    fn asked(&self) -> (Arc<Asked>, bool) {
        let set = lock(&self.set);
        if let Some(asked) = set.asked() {
            return (asked, false);
        }
        let (mut fds, mut objects) = (Vec::new(), Vec::new());
        let mut all_own_writable = true;
        for (key, object) in self.dict.iter() {
            let entry = descriptor::from_int(&key).and_then(|fd| Some((fd, set.get(fd)?.kind)));
            if let Some((fd, Some(kind @ (Kind::OwnWritable | Kind::Own)))) = entry {
                all_own_writable &= kind == Kind::OwnWritable;
                fds.push(fd);
                objects.push(object);
            }
        }
        drop(set);
        // Out of memory is the only thing that can go wrong here, and nothing else can then.
        let objects = PyList::new(self.py, objects).expect("a list").unbind();
        let asked = Arc::new(Asked { fds, objects, all_own_writable });
        let outdated = lock(&self.set).set_asked(asked.clone());
        drop(outdated);
        (asked, true)
    }

    /// Waits. What the kernel's set reports is asked again, by the numbers: it keeps files for
    /// which a number stood once, and reports them under it.
    fn wait(&mut self, deadline: Deadline) -> PyResult<Vec<(RawFd, PollFlags)>> {
        let deadline = self.asking.limit(deadline);
        let (set, polled) = {
            let set = lock(&self.set);
            (set.epoll(), set.polled())
        };
        let mut events = Vec::new();
        let mut found = Vec::new();
        if polled.is_empty() {
            wait::until(self.py, deadline, |timeout| kernel::wait(&set, &mut events, timeout))?;
        } else {
            let mut fds = vec![PollFd::new(set.as_raw_fd(), PollFlags::IN)];
            fds.extend(polled.iter().map(|(fd, flags)| PollFd::new(*fd, *flags)));
            wait::poll_until(self.py, &mut fds, deadline)?;
            let came = fds[1..].iter().map(PollFd::came);
            found.extend(polled.iter().map(|(fd, _)| *fd).zip(came));
            found.retain(|(_, came)| !came.is_empty());
            if !fds[0].came().is_empty() {
                let now = Timespec { tv_sec: 0, tv_nsec: 0 };
                kernel::wait(&set, &mut events, Some(&now)).map_err(wait::os_error)?;
            }
        }
        self.confirm(&events, &mut found)?;
        Ok(found)
    }

    fn confirm(
        &mut self,
        events: &[(RawFd, u32)],
        found: &mut Vec<(RawFd, PollFlags)>,
    ) -> PyResult<()> {
        let mut set = lock(&self.set);
        let mut outdated = false;
        let mut fds = Vec::with_capacity(events.len());
        for (fd, number) in events.iter().copied() {
            match set.get(fd) {
                Some(entry) if set.is_about(fd, number) => {
                    fds.push((fd, PollFd::new(fd, entry.wanted.flags)));
                }
                _ => outdated = true,
            }
        }
        let (numbers, mut fds): (Vec<_>, Vec<_>) = fds.into_iter().unzip();
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        descriptor::poll(&mut fds, Some(&now)).map_err(wait::os_error)?;
        for (fd, polled) in numbers.into_iter().zip(&fds) {
            if polled.came().is_empty() {
                // Gone since, or never about this file.
                outdated = outdated || !set.is_registered(fd);
            } else {
                found.push((fd, polled.came()));
            }
        }
        if outdated { set.rebuild().map_err(wait::os_error) } else { Ok(()) }
    }

    /// Who is to be told, in the map's order, and of what: the present answers count.
    fn ready(&mut self, found: Vec<(RawFd, PollFlags)>) -> PyResult<Vec<Ready<'py>>> {
        let mut ready = Vec::with_capacity(found.len());
        for (fd, came) in found {
            let key = fd.into_pyobject(self.py)?.into_any();
            let Some(object) = self.dict.get_item(&key)? else { continue };
            let entry = {
                let mut set = lock(&self.set);
                let Some(entry) = set.get(fd).copied() else { continue };
                if entry.object != address(&object) {
                    set.add(fd, address(&object), class_address(&object));
                    continue;
                }
                set.has_event(fd);
                entry
            };
            let instance = Instance::active(&object);
            // A predicate may have been put on the instance since it was asked.
            let wanted = match entry.kind {
                Some(Kind::FromState) => self.asking.interest(&instance)?,
                Some(kind) if self.asking.kind(&instance)? != kind => {
                    self.asking.interest(&instance)?
                }
                _ => entry.wanted,
            };
            let came = came & (wanted.flags | UNASKED);
            if wanted.watched && !came.is_empty() {
                let channel = Ready { key, object, fd, wanted: wanted.flags, came };
                ready.push((entry.order, channel));
            }
        }
        ready.sort_unstable_by_key(|(order, _)| *order);
        Ok(ready.into_iter().map(|(_, channel)| channel).collect())
    }
}
