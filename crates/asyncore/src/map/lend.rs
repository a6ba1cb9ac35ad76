//! Running a channel's callbacks, and what becomes of their failures.

use crate::channel::Channel;
use crate::dispatcher::Handler;
use crate::error::{Error, ExitNow, Result};
use crate::log::{self, LogType};
use crate::map::SocketMap;
use crate::panic;
use crate::slot::Notices;
use crate::token::Key;

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
        let channel = self.channel_mut(key);
        log::emit(
            LogType::Error,
            format_args!("uncaptured error in channel {channel:?} ({error})"),
        );
    }
}
