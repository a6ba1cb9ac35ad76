//! What [`Dispatcher`] and [`AsyncChat`](crate::AsyncChat) do by default, written once for both.

use crate::channel::Channel;
use crate::dispatcher::Dispatcher;
use crate::error::Error;
use crate::log::{self, LogType};

pub(crate) fn unhandled<D: Dispatcher + ?Sized>(handler: &D, ch: &Channel<'_>, event: &str) {
    handler.log_info(ch, &format!("unhandled {event} event on {ch:?}"), LogType::Warning);
}

pub(crate) fn handle_error<D: Dispatcher + ?Sized>(
    handler: &mut D,
    ch: &mut Channel<'_>,
    error: &Error,
) {
    // What fails in a listener is one of its connections, and the port must stay served.
    let stays = ch.accepting();
    let fate = if stays { "in" } else { "closing" };
    let line = format!("uncaptured error, {fate} channel {ch:?} ({error})");
    handler.log_info(ch, &line, LogType::Error);
    if !stays {
        ch.close();
    }
}

pub(crate) fn handle_timeout<D: Dispatcher + ?Sized>(handler: &mut D, ch: &mut Channel<'_>) {
    let line = format!("timed out, closing channel {ch:?}");
    handler.log_info(ch, &line, LogType::Info);
    ch.close();
}

pub(crate) fn log_info<D: Dispatcher + ?Sized>(handler: &D, message: &str, kind: LogType) {
    if !handler.ignore_log_types().contains(&kind) {
        log::emit(kind, message);
    }
}
