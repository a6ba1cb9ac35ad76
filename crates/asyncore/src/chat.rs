//! Dialogues: input framed by terminators, on top of [`Dispatcher`].

use std::net::SocketAddr;

use crate::channel::Channel;
use crate::defaults;
use crate::dispatcher::Dispatcher;
use crate::error::{Error, Result};
use crate::events::{declare_events, events, forward_events};
use crate::framing::{Framer, Step};
use crate::panic;
use crate::poller::Interest;
use crate::slot::{Notices, Slot};
use crate::socket::Socket;

/// A handler for a dialogue: it collects input until a terminator is found.
///
/// Two methods are required. [`set_terminator`](Channel::set_terminator) sets the terminator on the
/// channel: a byte string, a number of bytes, or none. A terminator set inside a callback takes
/// effect on the very next byte. Output goes through [`push`](Channel::push),
/// [`push_with_producer`](Channel::push_with_producer) and
/// [`close_when_done`](Channel::close_when_done).
///
/// Every `AsyncChat` is a [`Dispatcher`] whose `handle_data` does the framing. The other events are
/// those of `Dispatcher`, with the same names and the same defaults. The logging methods are those
/// of `Dispatcher`, with their defaults: a dialogue calls `self.log(…)`.
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
/// A length of 0 is found at once, so that a body of length 0 works; Python collected for ever.
/// Once the channel is closing, the rest of its input is not parsed. An
/// [`Accumulator`](crate::Accumulator), which has a limit, replaces `_collect_incoming_data` and
/// `_get_data`.
#[allow(unused_variables, reason = "the names of unused parameters are documentation")]
pub trait AsyncChat: Sized + 'static {
    /// Handles input before the terminator; `data` is never empty.
    ///
    /// One message can arrive in any number of pieces.
    ///
    /// # Errors
    /// Go to `handle_error`. The channel keeps the unparsed input and parses it if it stays open.
    fn collect_incoming_data(&mut self, ch: &mut Channel<'_>, data: &[u8]) -> Result;

    /// Handles the end of a message: the terminator was found. The terminator is not part of the
    /// collected input.
    ///
    /// # Errors
    /// As for `collect_incoming_data`.
    fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result;

    /// Returns the maximum number of bytes that one event reads, 64 KiB by default, at least 1 byte
    /// and at most 16 MiB. The map calls this once, when the channel is added.
    fn ac_in_buffer_size(&self) -> usize {
        Slot::BUFFER_SIZE
    }

    events!(declare_events);
}

impl<T: AsyncChat> Dispatcher for T {
    fn handle_data(&mut self, ch: &mut Channel<'_>, data: &[u8]) -> Result {
        parse(self, ch, data)
    }

    fn is_dialogue(&self) -> bool {
        true
    }

    fn handle_pending_input(&mut self, ch: &mut Channel<'_>) -> Result {
        parse(self, ch, &[])
    }

    fn ac_in_buffer_size(&self) -> usize {
        AsyncChat::ac_in_buffer_size(self).max(1)
    }

    events!(forward_events);
}

/// Passes `input` to the callbacks, piece by piece, until the channel stops parsing.
///
/// Input that a failing callback leaves unparsed goes back to the framer, also after a panic.
fn parse<T: AsyncChat>(chat: &mut T, ch: &mut Channel<'_>, mut input: &[u8]) -> Result {
    let mut target = (ch, &mut input);
    panic::with_cleanup(
        &mut target,
        |(ch, input)| {
            ch.map.input.begin_parsing(ch.key, input);
            while let Some(step) = next_step(ch, input) {
                match step {
                    Step::Collect(data) => chat.collect_incoming_data(ch, &data)?,
                    Step::Found => chat.found_terminator(ch)?,
                }
            }
            Ok(())
        },
        |(ch, input)| unread(ch, input),
    )
}

/// Returns the next piece of the input, or `None` if the channel is ending: the rest is then not
/// parsed.
fn next_step<'d>(ch: &mut Channel<'_>, input: &mut &'d [u8]) -> Option<Step<'d>> {
    let map = &mut *ch.map;
    let slot = map.slots.get_mut(ch.key)?;
    if slot.connection.is_ending() || slot.is_replaced {
        return None;
    }
    if map.input.left() != input.len() {
        // The last callback has taken the rest.
        *input = &[];
    }
    let step = slot.framer.get_or_insert_with(|| Box::new(Framer::new())).step(input);
    map.input.set_left(input.len());
    step
}

/// Keeps input that no callback has seen, and parses it after the running callback has returned.
fn unread(ch: &mut Channel<'_>, input: &[u8]) {
    let input = if ch.map.input.left() == input.len() { input } else { &[] };
    let Some(slot) = ch.map.slots.get_mut(ch.key).filter(|slot| !slot.connection.is_ending())
    else {
        return;
    };
    let Some(framer) = &mut slot.framer else { return };
    framer.unread(input);
    if framer.has_pending() {
        ch.map.note(ch.key, Notices::PARSE);
    }
}
