//! Running a channel's callbacks, and handling their failures.

use std::fmt;

use crate::channel::Channel;
use crate::dispatcher::{Dispatcher, Handler};
use crate::error::{Error, ExitNow, Result};
use crate::log::{self, LogType};
use crate::map::SocketMap;
use crate::panic;
use crate::slot::Notices;
use crate::token::{Key, Token};

impl SocketMap {
    /// Runs `call` with the handler, which is out of its slot meanwhile. Returns `None` if the
    /// handler is not in its slot.
    pub(crate) fn lend<R>(
        &mut self,
        key: Key,
        call: impl FnOnce(&mut dyn Handler, &mut Channel<'_>) -> R,
    ) -> Option<Result<R, Error>> {
        let mut handler = self.slots.get_mut(key)?.handler.take()?;
        let outcome = panic::catch(|| call(&mut *handler, &mut Channel { map: self, key }));
        self.put_back(key, Some(handler));
        Some(outcome)
    }

    /// Puts a handler back into its slot. INVARIANT: a channel leaves the map only while its
    /// handler is in its slot.
    pub(super) fn put_back(&mut self, key: Key, handler: Option<Box<dyn Handler>>) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.handler = handler;
            if slot.is_replaced {
                self.install_successor(key);
            }
        }
    }

    /// Replaces the channel's handler: at once, or after its running callback.
    pub(crate) fn replace_handler<T: Dispatcher>(&mut self, key: Key, handler: T) -> Token<T> {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.is_replaced = true;
            let runs = slot.handler.is_none();
            self.successors.insert(key, Box::new(handler));
            if !runs {
                self.install_successor(key);
            }
        }
        Token::new(key)
    }

    #[cold]
    pub(crate) fn install_successor(&mut self, key: Key) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        slot.is_replaced = false;
        let Some(successor) = self.successors.remove(key) else { return };
        slot.adapt_to(&*successor);
        let old = slot.handler.replace(successor);
        self.touch(key);
        self.drop_handler(key, old);
    }

    /// Drops all handlers without calling them.
    pub(crate) fn drop_handlers(&mut self) {
        for key in self.slots.keys().collect::<Vec<_>>() {
            let handler = self.slots.get_mut(key).and_then(|slot| slot.handler.take());
            self.drop_handler(key, handler);
        }
    }

    /// Drops a handler, and logs a panic of its `Drop`.
    pub(crate) fn drop_handler(&mut self, key: Key, handler: Option<Box<dyn Handler>>) {
        if let Err(error) = panic::catch(|| drop(handler)) {
            self.report(key, &error);
        }
    }

    /// Runs one callback, and notes its failure for `handle_error`.
    pub(crate) fn callback(
        &mut self,
        key: Key,
        call: impl FnOnce(&mut dyn Handler, &mut Channel<'_>) -> Result,
    ) {
        if let Some(Err(error)) = self.lend(key, call).map(|outcome| outcome.and_then(|it| it)) {
            self.fail(key, error);
        }
    }

    /// Notes a failure for `handle_error`. `WouldBlock` is not a failure, and [`ExitNow`] leaves
    /// the loop.
    #[cold]
    pub(crate) fn fail(&mut self, key: Key, error: Error) {
        if error.is_would_block() {
            return;
        }
        if error.is::<ExitNow>() {
            self.exit = true;
            return;
        }
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        if slot.failure.is_some() {
            return self.report(key, &error);
        }
        slot.failure = Some(Box::new(error));
        self.note(key, Notices::ERROR);
    }

    /// Logs an error that cannot go to a handler.
    #[cold]
    pub(crate) fn report(&mut self, key: Key, error: &Error) {
        let line = format!("uncaptured error in channel {:?} ({error})", self.channel_mut(key));
        self.emit(LogType::Error, line);
    }

    /// Logs one line.
    pub(crate) fn emit(&self, kind: LogType, message: impl fmt::Display) {
        log::emit(kind, message, self.settings.log_to_stderr);
    }
}
