//! All that a callback can do with its socket and with other channels.

mod chat;
mod connect;
mod flow;
mod listen;
mod queue;
mod time;
mod transfer;

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use crate::address::Address;
use crate::dispatcher::Dispatcher;
use crate::error::Result;
use crate::file::FileWrapper;
use crate::map::{ChannelStats, SocketMap, Stats};
use crate::slot::{Phase, Slot};
use crate::socket::Socket;
use crate::timer::Timer;
use crate::token::{Key, Token};
use crate::trigger::Trigger;

/// One channel of a [`SocketMap`], for as long as a callback or a borrow of the map lasts.
///
/// A callback is given its own; [`channel`](Channel::channel) reaches others by their token. What
/// it has methods for falls into five groups: the socket (`create_socket`, `bind`, `listen`,
/// `connect`, `accept`, `recv`, `send`, `close`), the output queue (`push` and its kin), the
/// dialogue (`set_terminator`), time (`set_timeout`, `call_later`), and the other channels.
///
/// ```
/// use asyncore::{Channel, Dispatcher, Result, Token};
///
/// /// Hands what it receives to another channel, for as long as that is there.
/// struct Copy {
///     to: Token,
/// }
///
/// impl Dispatcher for Copy {
///     fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
///         let mut buf = [0; 8192];
///         let n = ch.recv(&mut buf)?;
///         match ch.channel(self.to) {
///             Some(mut to) => to.push(&buf[..n]),
///             None => ch.close(),
///         }
///         Ok(())
///     }
/// }
/// ```
///
/// [`Debug`](fmt::Debug) tells the handler's type, the state and the address, as `repr` did:
/// `<echo_server::EchoHandler connected 127.0.0.1:41234 #3v1>`.
pub struct Channel<'a> {
    pub(crate) map: &'a mut SocketMap,
    pub(crate) key: Key,
}

impl Channel<'_> {
    /// Adds a channel for an open socket, as [`SocketMap::add`] does.
    pub fn add<T: Dispatcher>(&mut self, handler: T, sock: Socket) -> Token<T> {
        self.map.add(handler, sock)
    }

    /// Adds a channel whose handler `make` builds, as [`SocketMap::add_with`] does.
    ///
    /// # Errors
    /// What `make` fails with; the channel is not added then.
    pub fn add_with<T: Dispatcher>(
        &mut self,
        make: impl FnOnce(&mut Channel<'_>) -> io::Result<T>,
    ) -> io::Result<Token<T>> {
        self.map.add_with(make)
    }

    /// Adds a channel for a file, as [`SocketMap::add_file`] does.
    pub fn add_file<T: Dispatcher>(&mut self, handler: T, file: FileWrapper) -> Token<T> {
        self.map.add_file(handler, file)
    }

    /// The channel that `token` names, to use its socket and queue.
    pub fn channel<T: ?Sized>(&mut self, token: Token<T>) -> Option<Channel<'_>> {
        self.map.channel(token)
    }

    /// The handler of another channel, to change its fields; `None` for the running one's own.
    pub fn get_mut<T: Dispatcher>(&mut self, token: Token<T>) -> Option<&mut T> {
        self.map.get_mut(token)
    }

    /// Acts as another channel: runs `act` with its handler and its channel.
    ///
    /// `None`, and `act` is not run, when that channel is gone, when its handler is not a `T`, or
    /// when it is among those that run now.
    pub fn with<T: Dispatcher, R>(
        &mut self,
        token: Token<T>,
        act: impl FnOnce(&mut T, &mut Channel<'_>) -> R,
    ) -> Option<R> {
        self.map.with(token, act)
    }

    /// Says that the predicates of this channel may answer differently from now on.
    ///
    /// Only needed when they depend on what neither a callback of this channel nor the map could
    /// see change, such as a variable shared with somebody else. It also offers the channel again
    /// what a callback left alone, and asks a producer again that had nothing yet.
    pub fn touch(&mut self) {
        self.map.touch(self.key);
    }

    /// A handle for other threads; see [`SocketMap::trigger`].
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn trigger(&mut self) -> io::Result<Trigger> {
        self.map.trigger()
    }

    /// Calls `call` once, after `delay`; see [`SocketMap::call_later`].
    pub fn call_later(
        &mut self,
        delay: Duration,
        call: impl FnOnce(&mut SocketMap) -> Result + 'static,
    ) -> Timer {
        self.map.call_later(delay, call)
    }

    /// Calls `call` again and again; see [`SocketMap::call_every`].
    pub fn call_every(
        &mut self,
        period: Duration,
        call: impl FnMut(&mut SocketMap) -> Result + 'static,
    ) -> Timer {
        self.map.call_every(period, call)
    }

    /// Cancels a call; false if it has been made already, or was cancelled before.
    pub fn cancel(&mut self, timer: Timer) -> bool {
        self.map.cancel(timer)
    }

    /// Puts a call off anew; see [`SocketMap::reset`].
    pub fn reset(&mut self, timer: Timer, delay: Duration) -> bool {
        self.map.reset(timer, delay)
    }

    /// Begins to end the whole map in good order; see [`SocketMap::drain`].
    pub fn drain(&mut self, deadline: Duration) {
        self.map.drain(deadline);
    }

    /// The handler of another channel; a predicate that looks is asked again when it changes.
    pub fn get<T: Dispatcher>(&self, token: Token<T>) -> Option<&T> {
        self.map.get(token)
    }

    /// Whether another channel is still in the map.
    pub fn contains<T: ?Sized>(&self, token: Token<T>) -> bool {
        self.map.contains(token)
    }

    /// The names of all channels of the map, this one among them.
    pub fn tokens(&self) -> impl Iterator<Item = Token> {
        self.map.tokens()
    }

    /// This channel's name, for others to reach it by; `T` is the type of its handler.
    ///
    /// A wrong `T` does no harm: such a token finds the channel, but never a handler.
    pub fn token<T: Dispatcher>(&self) -> Token<T> {
        Token::new(self.key)
    }

    /// Whether bytes can flow: the connection is made and not closed.
    pub fn connected(&self) -> bool {
        self.phase() == Phase::Connected
    }

    /// Whether the connection is being made.
    pub fn connecting(&self) -> bool {
        self.phase() == Phase::Connecting
    }

    /// Whether this is a listener.
    pub fn accepting(&self) -> bool {
        self.phase() == Phase::Listening
    }

    /// Whether the channel is ending: closed, or closing once its output is sent.
    pub fn closing(&self) -> bool {
        self.slot().is_none_or(Slot::is_ending)
    }

    /// Where the channel is connected to, or what it is bound to.
    ///
    /// As in asyncore, this is the peer's address of a connection and the own one of a listener.
    /// It can still be told when the channel has closed.
    pub fn addr(&self) -> Option<&Address> {
        self.slot().and_then(|slot| slot.addr.as_ref())
    }

    /// The address that the socket is bound to; after `bind` to port 0, the one it was given.
    ///
    /// # Errors
    /// When there is no socket, and the system's.
    pub fn local_addr(&self) -> io::Result<Address> {
        self.transport()?.local_addr()
    }

    /// The descriptor, for options that no method sets; `None` without a socket, and on a
    /// simulated network. Python's `fileno()`.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.slot()?.transport.as_ref()?.fd()
    }

    /// Why the connection ended, when that was not in order: a reset, or a timeout.
    pub fn close_cause(&self) -> Option<&io::Error> {
        self.slot().and_then(|slot| slot.cause.as_ref())
    }

    /// What this channel has done so far.
    pub fn stats(&self) -> ChannelStats {
        self.map.channel_stats(Token::<dyn Dispatcher>::new(self.key)).unwrap_or_default()
    }

    /// What the whole map has done so far.
    pub fn map_stats(&self) -> Stats {
        self.map.stats()
    }

    pub(crate) fn slot(&self) -> Option<&Slot> {
        self.map.slots.get(self.key)
    }

    pub(crate) fn slot_mut(&mut self) -> Option<&mut Slot> {
        self.map.slots.get_mut(self.key)
    }

    pub(crate) fn phase(&self) -> Phase {
        self.slot().map_or(Phase::Closed, |slot| slot.phase)
    }
}

impl fmt::Debug for Channel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = Token::<dyn Dispatcher>::new(self.key);
        let Some(slot) = self.slot() else {
            return write!(f, "<channel gone {token:?}>");
        };
        let name = (slot.name)();
        let state = match slot.phase {
            Phase::Created => "",
            Phase::Connecting => " connecting",
            Phase::Listening => " listening",
            Phase::Connected if slot.closing => " closing",
            Phase::Connected => " connected",
            Phase::Lingering => " closing",
            Phase::Closed => " closed",
        };
        write!(f, "<{name}{state}")?;
        if let Some(addr) = &slot.addr {
            write!(f, " {addr}")?;
        }
        write!(f, " {token:?}>")
    }
}
