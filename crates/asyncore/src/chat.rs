//! Dialogues: input framed by terminators, on top of [`Dispatcher`].

use std::net::SocketAddr;

use crate::channel::Channel;
use crate::defaults;
use crate::dispatcher::Dispatcher;
use crate::error::{Error, Result};
use crate::framing::Step;
use crate::log::{self, LogType};
use crate::panic;
use crate::poller::Interest;
use crate::slot::Slot;
use crate::socket::Socket;

/// A channel that holds a dialogue: it collects input until a terminator is found.
///
/// Two methods are required. The terminator is the channel's
/// ([`set_terminator`](Channel::set_terminator)): a byte string, a number of bytes, or none;
/// setting another inside a callback takes effect on the very next byte. Output goes through
/// [`push`](Channel::push), [`push_with_producer`](Channel::push_with_producer) and
/// [`close_when_done`](Channel::close_when_done).
///
/// Every `AsyncChat` is a [`Dispatcher`] whose `handle_read` does the framing; the other events
/// are those of `Dispatcher`, under the same names and with the same defaults.
///
/// ```
/// use asyncore::{Accumulator, AsyncChat, Channel, Result, SocketMap, Socket};
///
/// /// Answers each line with the same line, backwards.
/// struct Backwards {
///     line: Accumulator,
/// }
///
/// impl AsyncChat for Backwards {
///     fn collect_incoming_data(&mut self, _ch: &mut Channel<'_>, data: &[u8]) -> Result {
///         Ok(self.line.collect(data)?)
///     }
///
///     fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
///         let mut line = self.line.take();
///         line.reverse();
///         line.push(b'\n');
///         ch.push(line);
///         Ok(())
///     }
/// }
///
/// # fn main() -> std::io::Result<()> {
/// # let mut map = SocketMap::new()?;
/// # let (ours, _theirs) = std::os::unix::net::UnixStream::pair()?;
/// map.add_with(|ch| {
///     ch.set_socket(Socket::try_from(ours)?);
///     ch.set_terminator(b"\n");
///     Ok(Backwards { line: Accumulator::new() })
/// })?;
/// # Ok(())
/// # }
/// ```
///
/// # Differences from Python
/// A length of 0 is found at once instead of collecting for ever, so that a body of length 0
/// works. Once the channel is closing, the rest of its input is not parsed. `_collect_incoming_data`
/// and `_get_data` are an [`Accumulator`](crate::Accumulator), which has a limit.
#[allow(unused_variables, reason = "the names of unused parameters are documentation")]
pub trait AsyncChat: Sized + 'static {
    /// Some input came that is no terminator; `data` is never empty.
    ///
    /// One message can come in any number of pieces.
    ///
    /// # Errors
    /// Go to `handle_error`; what was not parsed yet is kept and parsed if the channel stays open.
    fn collect_incoming_data(&mut self, ch: &mut Channel<'_>, data: &[u8]) -> Result;

    /// The terminator was found; it is not part of what was collected.
    ///
    /// # Errors
    /// As for `collect_incoming_data`.
    fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result;

    /// The most bytes that one event reads, 64 KiB; taken as 1 byte at the least and 16 MiB at
    /// the most. Asked once, when the channel is added.
    fn ac_in_buffer_size(&self) -> usize {
        Slot::BUFFER_SIZE
    }

    /// See [`Dispatcher::ac_out_buffer_size`].
    fn ac_out_buffer_size(&self) -> usize {
        Slot::BUFFER_SIZE
    }

    /// See [`Dispatcher::readable`].
    fn readable(&self, ch: &Channel<'_>) -> bool {
        ch.default_predicate(Interest::READ)
    }

    /// See [`Dispatcher::writable`].
    fn writable(&self, ch: &Channel<'_>) -> bool {
        ch.default_predicate(Interest::WRITE)
    }

    /// See [`Dispatcher::handle_write`].
    ///
    /// # Errors
    /// Go to `handle_error`.
    fn handle_write(&mut self, ch: &mut Channel<'_>) -> Result {
        Ok(())
    }

    /// See [`Dispatcher::handle_expt`].
    ///
    /// # Errors
    /// Go to `handle_error`.
    fn handle_expt(&mut self, ch: &mut Channel<'_>) -> Result {
        defaults::unhandled(self, ch, "incoming priority");
        Ok(())
    }

    /// See [`Dispatcher::handle_connect`].
    ///
    /// # Errors
    /// Go to `handle_error`.
    fn handle_connect(&mut self, ch: &mut Channel<'_>) -> Result {
        Ok(())
    }

    /// See [`Dispatcher::handle_accepted`].
    ///
    /// # Errors
    /// Go to `handle_error`.
    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        peer: Option<SocketAddr>,
    ) -> Result {
        defaults::unhandled(self, ch, "accepted");
        Ok(())
    }

    /// See [`Dispatcher::handle_eof`].
    ///
    /// # Errors
    /// Go to `handle_error`.
    fn handle_eof(&mut self, ch: &mut Channel<'_>) -> Result {
        ch.close_when_done();
        Ok(())
    }

    /// See [`Dispatcher::handle_close`].
    fn handle_close(&mut self, ch: &mut Channel<'_>) {
        ch.close();
    }

    /// See [`Dispatcher::handle_error`].
    fn handle_error(&mut self, ch: &mut Channel<'_>, error: Error) {
        defaults::handle_error(self, ch, &error);
    }

    /// See [`Dispatcher::handle_timeout`].
    ///
    /// # Errors
    /// Go to `handle_error`.
    fn handle_timeout(&mut self, ch: &mut Channel<'_>) -> Result {
        defaults::handle_timeout(self, ch);
        Ok(())
    }

    /// See [`Dispatcher::log`].
    fn log(&self, ch: &Channel<'_>, message: &str) {
        log::emit(LogType::Info, message);
    }

    /// See [`Dispatcher::log_info`].
    fn log_info(&self, ch: &Channel<'_>, message: &str, kind: LogType) {
        defaults::log_info(self, message, kind);
    }

    /// See [`Dispatcher::ignore_log_types`].
    fn ignore_log_types(&self) -> &[LogType] {
        &[LogType::Warning]
    }
}

impl<T: AsyncChat> Dispatcher for T {
    fn handle_data(&mut self, ch: &mut Channel<'_>, data: &[u8]) -> Result {
        parse(self, ch, data)
    }

    fn handle_pending_input(&mut self, ch: &mut Channel<'_>) -> Result {
        parse(self, ch, &[])
    }

    fn readable(&self, ch: &Channel<'_>) -> bool {
        AsyncChat::readable(self, ch)
    }

    fn writable(&self, ch: &Channel<'_>) -> bool {
        AsyncChat::writable(self, ch)
    }

    fn handle_write(&mut self, ch: &mut Channel<'_>) -> Result {
        AsyncChat::handle_write(self, ch)
    }

    fn handle_expt(&mut self, ch: &mut Channel<'_>) -> Result {
        AsyncChat::handle_expt(self, ch)
    }

    fn handle_connect(&mut self, ch: &mut Channel<'_>) -> Result {
        AsyncChat::handle_connect(self, ch)
    }

    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        peer: Option<SocketAddr>,
    ) -> Result {
        AsyncChat::handle_accepted(self, ch, sock, peer)
    }

    fn handle_eof(&mut self, ch: &mut Channel<'_>) -> Result {
        AsyncChat::handle_eof(self, ch)
    }

    fn handle_close(&mut self, ch: &mut Channel<'_>) {
        AsyncChat::handle_close(self, ch);
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, error: Error) {
        AsyncChat::handle_error(self, ch, error);
    }

    fn handle_timeout(&mut self, ch: &mut Channel<'_>) -> Result {
        AsyncChat::handle_timeout(self, ch)
    }

    fn log(&self, ch: &Channel<'_>, message: &str) {
        AsyncChat::log(self, ch, message);
    }

    fn log_info(&self, ch: &Channel<'_>, message: &str, kind: LogType) {
        AsyncChat::log_info(self, ch, message, kind);
    }

    fn ignore_log_types(&self) -> &[LogType] {
        AsyncChat::ignore_log_types(self)
    }

    fn ac_in_buffer_size(&self) -> usize {
        AsyncChat::ac_in_buffer_size(self).max(1)
    }

    fn ac_out_buffer_size(&self) -> usize {
        AsyncChat::ac_out_buffer_size(self)
    }
}

/// Hands `input` to the callbacks, piece by piece, for as long as the channel wants it.
///
/// What a failing callback leaves unparsed goes back to the framer, also when it panics.
fn parse<T: AsyncChat>(chat: &mut T, ch: &mut Channel<'_>, mut input: &[u8]) -> Result {
    let mut target = (ch, &mut input);
    panic::with_cleanup(
        &mut target,
        |(ch, input)| {
            ch.begin_parsing(input);
            while let Some(step) = ch.next_step(input) {
                match step {
                    Step::Collect(data) => chat.collect_incoming_data(ch, &data)?,
                    Step::Found => chat.found_terminator(ch)?,
                }
            }
            Ok(())
        },
        |(ch, input)| ch.unread_piece(input),
    )
}
