//! A socket before it is added to a channel, or after it is taken out of one.

use std::fmt;
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use rustix::io::Errno;
use rustix::net::RecvFlags;
use socket2::{SockRef, Type};

use crate::address::Address;
use crate::connection::Phase;
use crate::file::FileWrapper;
use crate::transport::Transport;

/// An open socket that no channel owns.
///
/// [`handle_accepted`](crate::Dispatcher::handle_accepted) receives one, and
/// [`Channel::add`](crate::Channel::add) takes one; dropping it closes the connection. The
/// standard library's sockets convert into it, which makes them non-blocking, and so does a
/// [`FileWrapper`].
///
/// ```
/// use asyncore::Socket;
/// use std::os::unix::net::UnixStream;
///
/// # fn main() -> std::io::Result<()> {
/// let (ours, theirs) = UnixStream::pair()?;
/// let socket = Socket::try_from(ours)?;
/// assert!(socket.descriptor().is_some());
/// # drop(theirs);
/// # Ok(())
/// # }
/// ```
pub struct Socket {
    pub(crate) transport: Transport,
    /// The peer's address from `accept`, kept to save another system call.
    pub(crate) peer: Option<Address>,
    /// Created, connected or listening.
    pub(crate) phase: Phase,
}

impl Socket {
    /// Returns the descriptor, for options that [`Channel`](crate::Channel) has no method for, or
    /// `None` on a simulated network.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.transport.fd()
    }

    /// Returns the address of the other end, if the socket is connected and the other end has one.
    pub fn peer_addr(&self) -> Option<&Address> {
        self.peer.as_ref()
    }

    /// Returns input that was received but not read by a handler before the socket was taken out of
    /// a channel ([`Channel::take_socket`](crate::Channel::take_socket)). If the socket is added to
    /// a channel, the channel reads this input first.
    pub fn unread(&self) -> &[u8] {
        self.transport.layered().map_or(&[], |layered| layered.input())
    }

    /// Takes the [unread](Socket::unread) input, for a program that continues without a channel.
    pub fn take_unread(&mut self) -> Vec<u8> {
        self.transport.layered_mut().map_or_else(Vec::new, |layered| layered.take_input())
    }

    pub(crate) fn accepted(transport: Transport, peer: Address) -> Self {
        Socket { transport, peer: Some(peer), phase: Phase::Connected }
    }

    fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        let socket = SockRef::from(&fd);
        socket.set_nonblocking(true)?;
        let datagram = socket.r#type()? == Type::DGRAM;
        let listening = !datagram && is_listening(&socket);
        let transport = if datagram { Transport::Datagram(fd) } else { Transport::Stream(fd) };
        let peer = transport.peer_addr().ok();
        let phase = match peer {
            _ if listening => Phase::Listening,
            Some(_) => Phase::Connected,
            None if !datagram && was_ever_connected(&transport) => Phase::Connected,
            None => Phase::Created,
        };
        Ok(Socket { transport, peer, phase })
    }
}

/// Returns `true` if a stream without a peer had one, or is connecting: a connection that was
/// already reset must not be mistaken for a socket that was never connected.
fn was_ever_connected(transport: &Transport) -> bool {
    let Some(fd) = transport.fd() else {
        return false;
    };
    let peeked = rustix::net::recv(fd, &mut [0; 1], RecvFlags::PEEK);
    !matches!(peeked, Err(Errno::NOTCONN | Errno::INVAL))
}

#[cfg(not(target_vendor = "apple"))]
fn is_listening(socket: &socket2::Socket) -> bool {
    socket.is_listener().unwrap_or(false)
}

#[cfg(target_vendor = "apple")]
fn is_listening(_socket: &socket2::Socket) -> bool {
    false
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.peer {
            Some(peer) => write!(f, "<Socket connected {peer}>"),
            None => f.write_str("<Socket>"),
        }
    }
}

impl From<FileWrapper> for Socket {
    fn from(file: FileWrapper) -> Self {
        Socket { transport: Transport::File(file), peer: None, phase: Phase::Connected }
    }
}

macro_rules! from_descriptor {
    ($($kind:ty),*) => {$(
        /// Fails if the descriptor is not a socket, or if the system refuses to make it
        /// non-blocking.
        impl TryFrom<$kind> for Socket {
            type Error = io::Error;

            fn try_from(socket: $kind) -> io::Result<Self> {
                Socket::from_fd(socket.into())
            }
        }
    )*};
}

from_descriptor!(
    TcpStream,
    TcpListener,
    UdpSocket,
    UnixStream,
    UnixListener,
    UnixDatagram,
    OwnedFd,
    socket2::Socket
);
