//! All that a callback can do with its socket and with other channels.

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
/// It dereferences to its [`SocketMap`], through which a callback adds channels, reaches others,
/// puts calls off and asks the time: `ch.add(…)`, `ch.channel(token)`, `ch.call_later(…)`. Where
/// both have a method of one name, `SocketMap::stats(ch)` is the map's.
///
/// [`Debug`](fmt::Debug) shows the handler's type, the state and the address, as `repr` did:
/// `<echo_server::EchoHandler connected 127.0.0.1:41234 #3v1>`.
pub struct Channel<'a> {
    pub(crate) map: &'a mut SocketMap,
    pub(crate) key: Key,
}

impl Channel<'_> {
    /// Adds a channel for an open socket, as [`SocketMap::add`] does.
    ///
    /// Not left to dereferencing, so that the handler can be made of what `self` answers:
    /// `ch.add(Guest { room: ch.token() }, sock)`.
    pub fn add<T: Dispatcher>(&mut self, handler: T, sock: Socket) -> Token<T> {
        self.map.add(handler, sock)
    }

    /// Says that the predicates of this channel may answer differently from now on.
    ///
    /// Only needed when they depend on what neither a callback of this channel nor the map could
    /// see change, such as a variable shared with somebody else. It also offers the channel again
    /// what a callback left alone, and asks a producer again that had nothing yet. So a callback
    /// that has read from the descriptor by other means calls it, and is called again while the
    /// descriptor is ready; [`try_io`](Channel::try_io) does that by itself.
    pub fn touch(&mut self) {
        if let Some(slot) = self.slot_mut() {
            slot.attempted = Interest::ALL;
        }
        self.map.touch(self.key);
    }

    /// This channel's name, for others to reach it by; `T` is the type of its handler.
    ///
    /// A wrong `T` does no harm: such a token finds the channel, but never a handler.
    pub fn token<T: Dispatcher>(&self) -> Token<T> {
        Token::new(self.key)
    }

    /// Whether bytes can flow: the connection is made and not closed.
    pub fn is_connected(&self) -> bool {
        self.phase() == Phase::Connected
    }

    /// Whether the connection is being made, or its layers are shaking hands.
    pub fn is_connecting(&self) -> bool {
        matches!(self.phase(), Phase::Connecting | Phase::Handshaking)
    }

    /// Whether this is a listener.
    pub fn is_accepting(&self) -> bool {
        self.phase() == Phase::Listening
    }

    pub(crate) fn is_datagram(&self) -> bool {
        self.slot().is_some_and(|slot| slot.connection.is_datagram())
    }

    /// Whether the channel is ending: closed, or closing once its output is sent.
    pub fn is_closing(&self) -> bool {
        self.slot().is_none_or(|slot| slot.connection.is_ending())
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
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.slot()?.transport.as_ref()?.fd()
    }

    /// Why the connection ended, when that was not in order: a reset, or a timeout.
    pub fn close_cause(&self) -> Option<&io::Error> {
        self.slot().and_then(|slot| slot.connection.cause())
    }

    /// What this channel has done so far.
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
