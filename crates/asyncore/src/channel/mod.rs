//! The channel: a callback's access to its socket, and through the map to other channels.

mod chat;
mod connect;
mod flow;
mod handover;
mod layers;
mod listen;
mod queue;
mod time;
mod transfer;

use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::BorrowedFd;

pub(crate) use self::transfer::no_socket;
use crate::address::Address;
use crate::connection::Phase;
use crate::dispatcher::Dispatcher;
use crate::map::{ChannelStats, SocketMap};
use crate::poller::Interest;
use crate::slot::Slot;
use crate::socket::Socket;
use crate::token::{Key, Token};

/// One channel of a [`SocketMap`], for as long as a callback or a borrow of the map lasts.
///
/// Each callback receives its own channel; [`channel`](SocketMap::channel) returns another one by
/// its token. The methods fall into five groups: the socket (`create_socket`, `bind`, `listen`,
/// `connect`, `accept`, `recv`, `send`, `close`), the output queue (`push` and related methods),
/// the dialogue (`set_terminator`), time (`set_timeout`, `call_later`), and the other channels.
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
/// A channel dereferences to its [`SocketMap`]. Through it a callback adds channels, reaches
/// others, starts timers and reads the clock: `ch.add(…)`, `ch.channel(token)`, `ch.call_later(…)`,
/// `ch.now()`. If both have a method of the same name, `SocketMap::stats(ch)` calls that of the
/// map.
///
/// [`Debug`](fmt::Debug) shows the handler's type, the state, the address and the token, as
/// Python's `repr` did: `<echo_server::EchoHandler connected 127.0.0.1:41234 #3v1>`.
pub struct Channel<'a> {
    pub(crate) map: &'a mut SocketMap,
    pub(crate) key: Key,
}

impl Channel<'_> {
    /// Adds a channel for an open socket, as [`SocketMap::add`] does.
    ///
    /// A method of the channel itself, because dereferencing would borrow `ch` before the arguments
    /// are evaluated: `ch.add(Guest { room: ch.token() }, sock)`.
    pub fn add<T: Dispatcher>(&mut self, handler: T, sock: Socket) -> Token<T> {
        self.map.add(handler, sock)
    }

    /// Makes the loop evaluate the predicates of this channel again.
    ///
    /// This is only needed if they depend on something that can change without a callback of this
    /// channel and without the map, such as a shared variable. The loop then also offers the
    /// channel again any readiness that a callback has not used, and asks a producer again that had
    /// nothing yet. So a callback that reads from the descriptor by other means calls this, and is
    /// called again while the descriptor is ready; [`try_io`](Channel::try_io) does that by itself.
    pub fn touch(&mut self) {
        if let Some(slot) = self.slot_mut() {
            slot.progress = Interest::ALL;
        }
        self.map.touch(self.key);
    }

    /// Returns the token of this channel, by which other code reaches it. `T` is the type of its
    /// handler.
    ///
    /// A token with a wrong `T` finds the channel, but no handler.
    pub fn token<T: Dispatcher>(&self) -> Token<T> {
        Token::new(self.key)
    }

    /// Returns whether the connection is established and not closed, so that bytes can pass.
    pub fn is_connected(&self) -> bool {
        self.phase() == Phase::Connected
    }

    /// Returns whether the channel is connecting, or a handshake of its layers is in progress.
    pub fn is_connecting(&self) -> bool {
        matches!(self.phase(), Phase::Connecting | Phase::Handshaking)
    }

    /// Returns whether the channel is a listener.
    pub fn is_accepting(&self) -> bool {
        self.phase() == Phase::Listening
    }

    pub(crate) fn is_datagram(&self) -> bool {
        self.slot().is_some_and(|slot| slot.connection.is_datagram())
    }

    /// Returns whether the channel is ending: closed, or closing once its output is sent.
    pub fn is_closing(&self) -> bool {
        self.slot().is_none_or(|slot| slot.connection.is_ending())
    }

    /// Returns the address that the channel is connected or bound to.
    ///
    /// As in asyncore, this is the peer's address for a connection and the local address for a
    /// listener. It stays available after the channel has closed.
    pub fn addr(&self) -> Option<&Address> {
        self.slot().and_then(|slot| slot.addr.as_ref())
    }

    /// Returns the address that the socket is bound to; after `bind` to port 0, the chosen one.
    ///
    /// # Errors
    /// Fails with `NotConnected` if the channel has no socket; returns the system's error.
    pub fn local_addr(&self) -> io::Result<Address> {
        self.transport()?.local_addr()
    }

    /// Returns the descriptor, for options that no method sets. `None` without a socket, and on a
    /// simulated network. This is Python's `fileno()`.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.slot()?.transport.as_ref()?.fd()
    }

    /// Returns the cause of an end that was not orderly: a reset, or a timeout.
    pub fn close_cause(&self) -> Option<&io::Error> {
        self.slot().and_then(|slot| slot.connection.cause())
    }

    /// Returns the counters of this channel.
    pub fn stats(&self) -> ChannelStats {
        self.map.channel_stats(Token::<dyn Dispatcher>::new(self.key)).unwrap_or_default()
    }

    pub(crate) fn slot(&self) -> Option<&Slot> {
        self.map.slots.get(self.key)
    }

    pub(crate) fn slot_mut(&mut self) -> Option<&mut Slot> {
        self.map.slots.get_mut(self.key)
    }

    pub(crate) fn phase(&self) -> Phase {
        self.slot().map_or(Phase::Closed, |slot| slot.connection.phase())
    }
}

impl Deref for Channel<'_> {
    type Target = SocketMap;

    fn deref(&self) -> &SocketMap {
        self.map
    }
}

impl DerefMut for Channel<'_> {
    fn deref_mut(&mut self) -> &mut SocketMap {
        self.map
    }
}

impl fmt::Debug for Channel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = Token::<dyn Dispatcher>::new(self.key);
        let Some(slot) = self.slot() else {
            return write!(f, "<channel gone {token:?}>");
        };
        let name = (slot.name)();
        let state = match slot.connection.phase() {
            Phase::Created => "",
            Phase::Connecting => " connecting",
            Phase::Listening => " listening",
            Phase::Handshaking => " handshaking",
            Phase::Connected if slot.connection.is_closing() => " closing",
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
