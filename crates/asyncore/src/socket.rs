//! A socket on its way into a channel or out of one.

use std::fmt;
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use socket2::{SockRef, Type};

use crate::address::Address;
use crate::file::FileWrapper;
use crate::transport::Transport;

/// An open socket that no channel owns.
///
/// [`handle_accepted`](crate::Dispatcher::handle_accepted) is given one, and
/// [`Channel::add`](crate::Channel::add) takes one; dropping it closes the connection. The
/// standard library's sockets convert into it and are made non-blocking by that, and so does a
/// [`FileWrapper`].
///
/// ```
/// use asyncore::Socket;
/// use std::os::unix::net::UnixStream;
///
/// # fn main() -> std::io::Result<()> {
/// let (ours, theirs) = UnixStream::pair()?;
/// let socket = Socket::try_from(ours)?;
/// assert!(socket.as_fd().is_some());
/// # drop(theirs);
/// # Ok(())
/// # }
/// ```
pub struct Socket {
    pub(crate) transport: Transport,
    /// Where it came from, as `accept` told, so that nobody need ask the system again.
    pub(crate) peer: Option<Address>,
    pub(crate) listening: bool,
}

impl Socket {
    /// The descriptor, for options that [`Channel`](crate::Channel) has no method for; `None` on
    /// a simulated network.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.transport.fd()
    }

    /// The address of the other end, if the socket is connected and it has one.
    pub fn peer_addr(&self) -> Option<&Address> {
        self.peer.as_ref()
    }

    pub(crate) fn accepted(transport: Transport, peer: Address) -> Self {
        Socket { transport, peer: Some(peer), listening: false }
    }

    fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        let socket = SockRef::from(&fd);
        socket.set_nonblocking(true)?;
        let datagram = socket.r#type()? == Type::DGRAM;
        let listening = !datagram && is_listening(&socket);
        let transport = if datagram { Transport::Datagram(fd) } else { Transport::Stream(fd) };
        let peer = transport.peer_addr().ok();
        Ok(Socket { transport, peer, listening })
    }
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
        Socket { transport: Transport::File(file), peer: None, listening: false }
    }
}

macro_rules! from_descriptor {
    ($($kind:ty),*) => {$(
        /// Fails only if the system refuses to make it non-blocking.
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
