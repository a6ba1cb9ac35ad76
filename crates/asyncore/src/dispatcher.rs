//! What a channel's handler can override.

use std::any::Any;
use std::net::SocketAddr;

use crate::channel::Channel;
use crate::defaults;
use crate::error::{Error, Result};
use crate::log::{self, LogType};
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
    /// Whether [`handle_read`](Dispatcher::handle_read) is wanted (for a listener,
    /// [`handle_accept`](Dispatcher::handle_accept)).
    ///
    /// By default: while the channel's own output is below its
    /// [high-water mark](Channel::set_high_water), and no more than 64 producers wait, so that a
    /// peer that sends and never reads cannot fill the memory.
    ///
    /// Both predicates are asked again when the channel was touched: it had an event or a timer,
    /// or another channel reached it. They may consult other channels through `ch`, and are asked
    /// again when one of those was touched. An answer that depends on anything else has to be
    /// announced with [`touch`](Channel::touch);
    /// [`check_predicates`](crate::MapBuilder::check_predicates) finds where that was forgotten.
    /// A predicate that panics closes its channel; one that is not overridden is not even called.
    fn readable(&self, ch: &Channel<'_>) -> bool {
        ch.default_predicate(Interest::READ)
    }

    /// Whether [`handle_write`](Dispatcher::handle_write) is wanted.
    ///
    /// By default: while output is queued, which is sent whatever this answers. A connection that
    /// is being made is watched without asking.
    fn writable(&self, ch: &Channel<'_>) -> bool {
        ch.default_predicate(Interest::WRITE)
    }

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

    /// The socket takes more, and the channel's own queue is empty.
    ///
    /// By default does nothing: the queue is sent without it. A callback that sends nothing is
    /// not called again until its channel is touched; Python called it for ever.
    ///
    /// # Errors
    /// Go to `handle_error`.
    fn handle_write(&mut self, ch: &mut Channel<'_>) -> Result {
        Ok(())
    }

    /// Out-of-band data has arrived, on a channel that
    /// [asked for it](Channel::set_priority): call [`recv_oob`](Channel::recv_oob).
    ///
    /// By default logs a [`Warning`](LogType::Warning).
    ///
    /// # Errors
    /// Go to `handle_error`.
    fn handle_expt(&mut self, ch: &mut Channel<'_>) -> Result {
        defaults::unhandled(self, ch, "incoming priority");
        Ok(())
    }

    /// The connection that [`connect`](Channel::connect) began is made.
    ///
    /// By default does nothing. A failure to connect goes to `handle_error` instead.
    ///
    /// # Errors
    /// Go to `handle_error`.
    fn handle_connect(&mut self, ch: &mut Channel<'_>) -> Result {
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
            if ch.is_held_back() {
                break;
            }
        }
        Ok(())
    }

    /// A connection was accepted; `peer` is its address unless it came over a Unix socket.
    ///
    /// By default closes it and logs a [`Warning`](LogType::Warning).
    ///
    /// # Errors
    /// Go to the listener's `handle_error`, whose default logs them and keeps the listener open.
    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        peer: Option<SocketAddr>,
    ) -> Result {
        defaults::unhandled(self, ch, "accepted");
        Ok(())
    }

    /// The peer has ended its half of the stream.
    ///
    /// By default the channel sends what is queued and closes
    /// ([`close_when_done`](Channel::close_when_done)), and so comes to
    /// [`handle_close`](Dispatcher::handle_close). One that overrides this can go on sending:
    /// the half-close of a relay. Not called for a connection that was reset.
    ///
    /// # Errors
    /// Go to `handle_error`.
    fn handle_eof(&mut self, ch: &mut Channel<'_>) -> Result {
        ch.close_when_done();
        Ok(())
    }

    /// The channel has ended, for whatever reason; called exactly once, as its last callback.
    ///
    /// By default does nothing more: the socket is closed already, and the handler is dropped
    /// after this. [`close_cause`](Channel::close_cause) tells of an end that was not in order.
    fn handle_close(&mut self, ch: &mut Channel<'_>) {
        ch.close();
    }

    /// A callback failed or panicked, or the connection could not be made.
    ///
    /// By default logs one line that names the channel and tells the chain of causes, and closes
    /// this channel; a listener stays open, since what failed was most likely one of its
    /// connections.
    fn handle_error(&mut self, ch: &mut Channel<'_>, error: Error) {
        defaults::handle_error(self, ch, &error);
    }

    /// Nothing was sent or received for the time given to
    /// [`set_timeout`](Channel::set_timeout).
    ///
    /// By default logs it and closes the channel. If the channel stays open, the time begins anew.
    ///
    /// # Errors
    /// Go to `handle_error`.
    fn handle_timeout(&mut self, ch: &mut Channel<'_>) -> Result {
        defaults::handle_timeout(self, ch);
        Ok(())
    }

    /// A drain has begun ([`SocketMap::drain`](crate::SocketMap::drain)): the loop ends in good
    /// order.
    ///
    /// By default does nothing. Afterwards the channel sends what is queued and closes
    /// ([`close_when_done`](Channel::close_when_done)), unless it is
    /// [held open](Channel::hold_open).
    ///
    /// # Errors
    /// Go to `handle_error`.
    fn handle_drain(&mut self, ch: &mut Channel<'_>) -> Result {
        Ok(())
    }

    /// Logs a "hit", such as a request that was served; by default at level info.
    fn log(&self, ch: &Channel<'_>, message: &str) {
        log::emit(LogType::Info, message);
    }

    /// Logs what is not a hit, unless its type is among
    /// [`ignore_log_types`](Dispatcher::ignore_log_types).
    ///
    /// By default goes to `tracing` under the target `asyncore`; errors and warnings also go to
    /// standard error while the program has set no `tracing` subscriber.
    fn log_info(&self, ch: &Channel<'_>, message: &str, kind: LogType) {
        defaults::log_info(self, message, kind);
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

    /// The most bytes that one system call sends, 64 KiB; asked once, when the channel is added.
    fn ac_out_buffer_size(&self) -> usize {
        Slot::BUFFER_SIZE
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
}

impl<T: Dispatcher> Handler for T {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
