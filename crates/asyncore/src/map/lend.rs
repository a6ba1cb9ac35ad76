//! Running a channel's callbacks, and what becomes of their failures.

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
    /// Runs `call` with the handler lent out of its slot; `None` if it is not there.
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

    /// Ends the lending of a handler; a channel leaves the map only with its handler at home.
    pub(super) fn put_back(&mut self, key: Key, handler: Option<Box<dyn Handler>>) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.handler = handler;
            if slot.is_replaced {
                self.install_successor(key);
            }
        }
    }

    /// Has another handler take over the channel, at once unless the old one runs.
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

    /// Drops all handlers, without calling them.
    pub(crate) fn drop_handlers(&mut self) {
        for key in self.slots.keys().collect::<Vec<_>>() {
            let handler = self.slots.get_mut(key).and_then(|slot| slot.handler.take());
            self.drop_handler(key, handler);
        }
    }

    /// Drops a handler, whose own `Drop` can panic.
    pub(crate) fn drop_handler(&mut self, key: Key, handler: Option<Box<dyn Handler>>) {
        if let Err(error) = panic::catch(|| drop(handler)) {
            self.report(key, &error);
        }
    }

    /// Runs one callback; what it fails with is noted for `handle_error`.
    pub(crate) fn callback(
        &mut self,
        key: Key,
        call: impl FnOnce(&mut dyn Handler, &mut Channel<'_>) -> Result,
    ) {
        if let Some(Err(error)) = self.lend(key, call).map(|outcome| outcome.and_then(|it| it)) {
            self.fail(key, error);
        }
    }

    /// Notes a failure for `handle_error`, unless it is none.
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

    /// Logs an error that no handler can be given.
    #[cold]
    pub(crate) fn report(&mut self, key: Key, error: &Error) {
        let line = format!("uncaptured error in channel {:?} ({error})", self.channel_mut(key));
        self.emit(LogType::Error, line);
    }

    /// Emits one line of log.
    pub(crate) fn emit(&self, kind: LogType, message: impl fmt::Display) {
        log::emit(kind, message, self.settings.log_to_stderr);
    }
}
