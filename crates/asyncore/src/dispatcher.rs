//! What a channel's handler can override.

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

/// The events of one channel, and the predicates that say which of them it wants.
///
/// A handler overrides what it needs; every method has a default. The map owns it and calls it
/// with `&mut self` and a [`Channel`], which is everything that it can do with its socket and
/// with other channels. Callbacks never nest: what a call such as
/// [`recv`](Channel::recv) or [`push`](Channel::push) finds out (the end of the stream, a failed
/// send) is noted, and delivered when the running callback has returned. An `Err` or a panic in
/// any of them goes to [`handle_error`](Dispatcher::handle_error) and costs this channel only;
/// a [`WouldBlock`](std::io::ErrorKind::WouldBlock) is no error, since readiness can be spurious.
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
/// `handle_close` is called exactly once, after the callback that brought the end about, not from
/// inside `recv` or `send`. The end of the stream reaches [`handle_eof`](Dispatcher::handle_eof)
/// first. `dispatcher_with_send` has no counterpart, because every channel has an output queue.
#[allow(unused_variables, reason = "the names of unused parameters are documentation")]
pub trait Dispatcher: Any {
    /// The loop has received `data` for this handler; it is never empty, but for an empty datagram.
    ///
    /// Called instead of [`handle_read`](Dispatcher::handle_read) where
    /// [`ac_in_buffer_size`](Dispatcher::ac_in_buffer_size) says so. The buffer is one that all
    /// channels share, so what is to be kept has to be copied; nothing is lost by not looking at
    /// it twice. The end of the stream goes to [`handle_eof`](Dispatcher::handle_eof) as always.
    /// This is the quickest way to receive: a small message costs a seventh less than through
    /// `recv`.
    ///
    /// By default logs a [`Warning`](LogType::Warning) and drops the data. Python had no such
    /// callback; its descendants call it `data_received`.
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

    /// Something can be read, or the stream has ended or failed: call [`recv`](Channel::recv).
    ///
    /// By default logs a [`Warning`](LogType::Warning). A callback that reads nothing is not called again until its
    /// channel is touched; Python called it for ever.
    ///
    /// # Errors
    /// Go to `handle_error`, as from every callback.
    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        defaults::unhandled(self, ch, "read");
        Ok(())
    }

    /// A listener has connections waiting.
    ///
    /// By default accepts up to 64 of them, so that one busy port cannot starve the other
    /// channels, and calls [`handle_accepted`](Dispatcher::handle_accepted) for each. Python
    /// accepted one.
    ///
    /// # Errors
    /// Go to `handle_error`; the rest of the connections come with the next event.
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

    /// Logs a "hit", such as a request that was served; by default at level info.
    fn log(&self, ch: &Channel<'_>, message: &str) {
        ch.emit(LogType::Info, message);
    }

    /// Logs what is not a hit, unless its type is among
    /// [`ignore_log_types`](Dispatcher::ignore_log_types).
    ///
    /// By default goes to `tracing` under the target `asyncore`. Errors and warnings also go to
    /// standard error in a map that [does so](crate::MapBuilder::log_to_stderr), as that of
    /// [`asyncore::run`](crate::run) does.
    fn log_info(&self, ch: &Channel<'_>, message: &str, kind: LogType) {
        defaults::log_info(self, ch, message, kind);
    }

    /// The types that [`log_info`](Dispatcher::log_info) drops: warnings, as in Python.
    fn ignore_log_types(&self) -> &[LogType] {
        &[LogType::Warning]
    }

    /// How much the loop itself receives at a time and hands to
    /// [`handle_data`](Dispatcher::handle_data), in bytes; 0, the default, if the handler receives
    /// by itself in [`handle_read`](Dispatcher::handle_read).
    ///
    /// Asked once, when the channel is added; [`Channel::set_in_buffer_size`] changes it later.
    /// More than 16 MiB is taken as 16 MiB.
    fn ac_in_buffer_size(&self) -> usize {
        0
    }

    /// Whether it is a dialogue, of whose input something can be unparsed when a callback returns.
    #[doc(hidden)]
    fn is_dialogue(&self) -> bool {
        false
    }

    /// Goes on with input that is held back; only a dialogue holds any.
    #[doc(hidden)]
    fn handle_pending_input(&mut self, ch: &mut Channel<'_>) -> Result {
        Ok(())
    }
}

/// A handler as the map keeps it.
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
