//! The trait that a channel's handler implements.

use std::any::Any;
use std::net::SocketAddr;

use crate::channel::Channel;
use crate::defaults;
use crate::error::{Error, Result};
use crate::events::{declare_events, events};
use crate::log::LogType;
use crate::poller::Interest;
use crate::slot::Slot;
use crate::socket::Socket;

/// The events of one channel, and the predicates that select the events that it gets.
///
/// A handler overrides the methods that it needs; every method has a default. The map owns the
/// handler, and the loop calls it with `&mut self` and a [`Channel`], through which it uses its
/// socket and reaches other channels. Callbacks never nest: when a call such as
/// [`recv`](Channel::recv) or [`push`](Channel::push) detects the end of the stream or a failed
/// send, the loop delivers that after the running callback has returned. An `Err` or a panic in a
/// callback goes to [`handle_error`](Dispatcher::handle_error) and affects this channel only.
/// [`WouldBlock`](std::io::ErrorKind::WouldBlock) is not an error, because readiness can be
/// spurious.
///
/// ```
/// use asyncore::{Channel, Dispatcher, Result};
///
/// struct Echo;
///
/// impl Dispatcher for Echo {
///     fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
///         let mut buf = [0; 8192];
///         let n = ch.recv(&mut buf)?;
///         ch.push(&buf[..n]);
///         Ok(())
///     }
/// }
/// ```
///
/// # Differences from Python
/// `handle_close` is called exactly once, after the callback that caused the end, not from inside
/// `recv` or `send`. The end of the stream goes to [`handle_eof`](Dispatcher::handle_eof) first.
/// `dispatcher_with_send` has no counterpart, because every channel has an output queue.
#[allow(unused_variables, reason = "the names of unused parameters are documentation")]
pub trait Dispatcher: Any {
    /// Handles `data` that the loop has received. `data` is empty only for an empty datagram.
    ///
    /// The loop calls this instead of [`handle_read`](Dispatcher::handle_read) if
    /// [`ac_in_buffer_size`](Dispatcher::ac_in_buffer_size) is not 0. All channels share the
    /// buffer, so the handler has to copy what it keeps. The end of the stream goes to
    /// [`handle_eof`](Dispatcher::handle_eof) as always. This is the fastest way to receive: a
    /// small message costs a seventh less than through `recv`.
    ///
    /// The default logs a [`Warning`](LogType::Warning) and drops the data. Python's asyncore had
    /// no such callback; asyncio calls its own `data_received`.
    ///
    /// ```
    /// use asyncore::{Channel, Dispatcher, Result};
    ///
    /// struct Echo;
    ///
    /// impl Dispatcher for Echo {
    ///     fn ac_in_buffer_size(&self) -> usize {
    ///         64 * 1024
    ///     }
    ///
    ///     fn handle_data(&mut self, ch: &mut Channel<'_>, data: &[u8]) -> Result {
    ///         ch.push(data);
    ///         Ok(())
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// Go to `handle_error`, as from every callback.
    fn handle_data(&mut self, ch: &mut Channel<'_>, data: &[u8]) -> Result {
        defaults::unhandled(self, ch, "read");
        Ok(())
    }

    /// Handles a channel that can be read, or whose stream has ended or failed; call
    /// [`recv`](Channel::recv).
    ///
    /// The default logs a [`Warning`](LogType::Warning). After a callback that reads nothing, the
    /// loop does not call it again until the channel is [touched](Channel::touch); Python called it
    /// for ever.
    ///
    /// # Errors
    /// Go to `handle_error`, as from every callback.
    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        defaults::unhandled(self, ch, "read");
        Ok(())
    }

    /// Handles a listener that has connections waiting.
    ///
    /// The default accepts up to 64 connections, so that one busy port cannot starve the other
    /// channels, and calls [`handle_accepted`](Dispatcher::handle_accepted) for each. Python
    /// accepted one.
    ///
    /// # Errors
    /// Go to `handle_error`; the remaining connections come with the next event.
    fn handle_accept(&mut self, ch: &mut Channel<'_>) -> Result {
        for _ in 0..64 {
            match ch.accept()? {
                Some((sock, peer)) => self.handle_accepted(ch, sock, peer)?,
                None => break,
            }
        }
        Ok(())
    }

    events!(declare_events);

    /// Logs a "hit", such as a served request. The default logs it at level info.
    fn log(&self, ch: &Channel<'_>, message: &str) {
        ch.emit(LogType::Info, message);
    }

    /// Logs any other message, unless its type is among the
    /// [`ignore_log_types`](Dispatcher::ignore_log_types).
    ///
    /// The default logs to `tracing` under the target `asyncore`. It also writes errors and
    /// warnings to standard error if the map has
    /// [`log_to_stderr`](crate::MapBuilder::log_to_stderr) set, as the map of
    /// [`asyncore::run`](crate::run) has.
    fn log_info(&self, ch: &Channel<'_>, message: &str, kind: LogType) {
        defaults::log_info(self, ch, message, kind);
    }

    /// Returns the types that [`log_info`](Dispatcher::log_info) drops: warnings by default, as in
    /// Python.
    fn ignore_log_types(&self) -> &[LogType] {
        &[LogType::Warning]
    }

    /// Returns the maximum number of bytes that the loop receives at a time and passes to
    /// [`handle_data`](Dispatcher::handle_data). With 0, the default, the handler receives by
    /// itself in [`handle_read`](Dispatcher::handle_read).
    ///
    /// The map calls this once, when the channel is added; [`Channel::set_in_buffer_size`] changes
    /// the size later. More than 16 MiB counts as 16 MiB.
    fn ac_in_buffer_size(&self) -> usize {
        0
    }

    /// Returns whether the handler is a dialogue, which can leave input unparsed when a callback
    /// returns.
    #[doc(hidden)]
    fn is_dialogue(&self) -> bool {
        false
    }

    /// Continues with input that is held back; only a dialogue holds any.
    #[doc(hidden)]
    fn handle_pending_input(&mut self, ch: &mut Channel<'_>) -> Result {
        Ok(())
    }
}

/// A handler as the map stores it: a dispatcher that can be downcast.
pub(crate) trait Handler: Dispatcher {
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn type_name(&self) -> fn() -> &'static str;
}

impl<T: Dispatcher> Handler for T {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn type_name(&self) -> fn() -> &'static str {
        std::any::type_name::<T>
    }
}
