//! Which methods of a class are still those of asyncore and asynchat, so that the engine may do at
//! once what they would do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString, PyType};

use crate::engine::Engine;
use crate::originals::Originals;

/// A method that a subclass may have overridden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Hook {
    HandleReadEvent,
    /// `async_chat`'s.
    HandleRead,
    Recv,
    Send,
    GetTerminator,
    /// `collect_incoming_data` that is `async_chat._collect_incoming_data`.
    Collect,
    InBuffer,
    InitiateSend,
    /// `recv` of `socket.socket` itself, and `send`, which are everybody's.
    SocketRecv,
    SocketSend,
    /// A class in which `accepting` is false unless the instance says otherwise.
    NotAccepting,
}

/// Several of them.
#[derive(Clone, Copy)]
pub(crate) struct Hooks(u16);

impl Hooks {
    pub(crate) const fn of(hooks: &[Hook]) -> Hooks {
        let mut bits = 0;
        let mut at = 0;
        while at < hooks.len() {
            bits |= 1 << hooks[at] as u16;
            at += 1;
        }
        Hooks(bits)
    }

    pub(crate) fn has(self, hook: Hook) -> bool {
        self.0 & (1 << hook as u16) != 0
    }
}

/// What is known of one class. It is kept alive as long as that is, so that no other can come to
/// be at its address.
struct Known {
    class: Py<PyType>,
    looked_up: u16,
    original: u16,
}

/// The classes looked up in the present pass. No entry outlives it, since a program may change
/// classes.
#[derive(Default)]
pub(crate) struct Classes {
    known: Mutex<Vec<Known>>,
    /// Number of passes that run, one inside the other.
    passes: AtomicUsize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// While there is one, classes are looked up once.
pub(crate) struct DuringPass<'a>(&'a Classes);

impl<'a> DuringPass<'a> {
    pub(crate) fn begin(classes: &'a Classes) -> Self {
        classes.forget();
        classes.passes.fetch_add(1, Ordering::Relaxed);
        DuringPass(classes)
    }
}

impl Drop for DuringPass<'_> {
    fn drop(&mut self) {
        self.0.passes.fetch_sub(1, Ordering::Relaxed);
        self.0.forget();
    }
}

impl Classes {
    /// Classes may end here, so the lock is released before.
    fn forget(&self) {
        let known = std::mem::take(&mut *lock(&self.known));
        drop(known);
    }
}

/// Those of `asked` for which the class has the original method.
pub(crate) fn of_class(
    engine: &Engine,
    class: &Bound<'_, PyType>,
    asked: Hooks,
) -> PyResult<Hooks> {
    let (mut looked_up, mut original) = (0, 0);
    if let Some(known) = lock(&engine.classes.known).iter().find(|known| known.class.is(class)) {
        (looked_up, original) = (known.looked_up, known.original);
    }
    let new = asked.0 & !looked_up;
    if new == 0 {
        return Ok(Hooks(original & asked.0));
    }
    for hook in ALL {
        if Hooks(new).has(hook) && hook.look_up(engine, class)? {
            original |= Hooks::of(&[hook]).0;
        }
    }
    if engine.classes.passes.load(Ordering::Relaxed) > 0 {
        let mut all = lock(&engine.classes.known);
        match all.iter_mut().find(|known| known.class.is(class)) {
            Some(known) => {
                known.looked_up |= new;
                known.original |= original & new;
            }
            None => all.push(Known { class: class.clone().unbind(), looked_up: new, original }),
        }
    }
    Ok(Hooks(original & asked.0))
}

/// Those of `asked` for which `channel`, whose own attributes are `own`, has the original method.
pub(crate) fn of(
    engine: &Engine,
    channel: &Bound<'_, PyAny>,
    own: &Bound<'_, PyDict>,
    asked: Hooks,
) -> PyResult<Hooks> {
    left(channel.py(), own, of_class(engine, &channel.get_type(), asked)?, asked)
}

/// Those of `hooks` that an instance with the attributes `own` leaves as its class has them; only
/// those of `asked` are looked at.
pub(crate) fn left(
    py: Python<'_>,
    own: &Bound<'_, PyDict>,
    mut hooks: Hooks,
    asked: Hooks,
) -> PyResult<Hooks> {
    let mut open = hooks.0 & asked.0 & MAY_BE_OWN.0;
    while open != 0 {
        let hook = ALL[open.trailing_zeros() as usize];
        open &= open - 1;
        if own.contains(hook.name(py))? {
            hooks.0 &= !Hooks::of(&[hook]).0;
        }
    }
    Ok(hooks)
}

/// Those for which an attribute of the name on an instance comes before the class's.
const MAY_BE_OWN: Hooks = Hooks::of(&[
    Hook::HandleReadEvent,
    Hook::HandleRead,
    Hook::Recv,
    Hook::Send,
    Hook::GetTerminator,
    Hook::Collect,
    Hook::InitiateSend,
    Hook::NotAccepting,
]);

/// In the order of their numbers.
const ALL: [Hook; 11] = [
    Hook::HandleReadEvent,
    Hook::HandleRead,
    Hook::Recv,
    Hook::Send,
    Hook::GetTerminator,
    Hook::Collect,
    Hook::InBuffer,
    Hook::InitiateSend,
    Hook::SocketRecv,
    Hook::SocketSend,
    Hook::NotAccepting,
];

impl Hook {
    fn name(self, py: Python<'_>) -> &Bound<'_, PyString> {
        match self {
            Hook::HandleReadEvent => intern!(py, "handle_read_event"),
            Hook::HandleRead => intern!(py, "handle_read"),
            Hook::Recv => intern!(py, "recv"),
            Hook::Send => intern!(py, "send"),
            Hook::GetTerminator => intern!(py, "get_terminator"),
            Hook::Collect => intern!(py, "collect_incoming_data"),
            Hook::InBuffer => intern!(py, "ac_in_buffer"),
            Hook::InitiateSend => intern!(py, "initiate_send"),
            Hook::SocketRecv => intern!(py, "recv"),
            Hook::SocketSend => intern!(py, "send"),
            Hook::NotAccepting => intern!(py, "accepting"),
        }
    }

    fn look_up(self, engine: &Engine, class: &Bound<'_, PyType>) -> PyResult<bool> {
        let py = class.py();
        let Originals { handle_read_event, recv, send, socket, socket_recv, socket_send, .. } =
            engine.originals(py);
        let chat = engine.chat(py);
        let original = match self {
            Hook::HandleReadEvent => Some(handle_read_event),
            Hook::SocketRecv => Some(socket_recv),
            Hook::SocketSend => Some(socket_send),
            Hook::Recv => Some(recv),
            Hook::Send => Some(send),
            Hook::HandleRead => chat.map(|chat| &chat.handle_read),
            Hook::GetTerminator => chat.map(|chat| &chat.get_terminator),
            Hook::Collect => chat.map(|chat| &chat.collect),
            Hook::InBuffer => chat.map(|chat| &chat.in_buffer),
            Hook::InitiateSend => chat.map(|chat| &chat.initiate_send),
            Hook::NotAccepting => None,
        };
        if self == Hook::NotAccepting {
            let default = class.getattr_opt(self.name(py))?;
            return Ok(default.is_some_and(|default| default.is(PyBool::new(py, false))));
        }
        let Some(original) = original else { return Ok(false) };
        if matches!(self, Hook::SocketRecv | Hook::SocketSend) {
            let method = socket.bind(py).getattr_opt(self.name(py))?;
            return Ok(method.is_some_and(|method| method.is(original)));
        }
        Ok(class.getattr_opt(self.name(py))?.is_some_and(|method| method.is(original)))
    }
}
