//! The transport of a channel: an OS socket, a file, an endpoint of a simulated network, or one of
//! these with layers on it.

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use socket2::{Domain, SockRef, Type};

use crate::address::Address;
use crate::connection::Kind;
use crate::error::context;
use crate::file::FileWrapper;
use crate::layer::Layered;
#[cfg(target_os = "linux")]
use crate::net::Pipe;
use crate::poller::Source;
use crate::sim::{Network, SimSocket};

/// The transport of a channel. Only this type distinguishes the kinds; the code above it sees
/// sockets.
pub(crate) enum Transport {
    Stream(OwnedFd),
    Datagram(OwnedFd),
    File(FileWrapper),
    Simulated(SimSocket),
    /// A transport with layers, or with unread input.
    Layered(Box<Layered>),
}

impl Transport {
    /// Opens a non-blocking socket, on the simulated network if there is one, else of the operating
    /// system.
    pub(crate) fn open(network: Option<&Network>, domain: Domain, kind: Type) -> io::Result<Self> {
        if let Some(network) = network {
            return Ok(Transport::Simulated(network.socket(domain, kind)?));
        }
        let socket = new_non_blocking(domain, kind)?;
        Ok(if kind == Type::DGRAM {
            Transport::Datagram(socket.into())
        } else {
            Transport::Stream(socket.into())
        })
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Transport::Stream(_) => Kind::Stream,
            Transport::Datagram(_) => Kind::Datagram,
            Transport::File(_) => Kind::File,
            Transport::Simulated(socket) if socket.is_datagram() => Kind::Datagram,
            Transport::Simulated(_) => Kind::Stream,
            Transport::Layered(layered) => layered.below().kind(),
        }
    }

    pub(crate) fn is_datagram(&self) -> bool {
        self.kind() == Kind::Datagram
    }

    /// Returns the transport without the layers on it.
    fn below(&self) -> &Transport {
        match self {
            Transport::Layered(layered) => layered.below(),
            transport => transport,
        }
    }

    pub(crate) fn layered(&self) -> Option<&Layered> {
        match self {
            Transport::Layered(layered) => Some(layered),
            _ => None,
        }
    }

    pub(crate) fn layered_mut(&mut self) -> Option<&mut Layered> {
        match self {
            Transport::Layered(layered) => Some(layered),
            _ => None,
        }
    }

    /// Converts the transport to one that can have layers.
    pub(crate) fn into_layered(self) -> Box<Layered> {
        match self {
            Transport::Layered(layered) => layered,
            transport => Box::new(Layered::new(transport)),
        }
    }

    pub(crate) fn source(&self) -> Source<'_> {
        match self {
            Transport::Stream(fd) | Transport::Datagram(fd) => Source::Fd(fd.as_fd()),
            Transport::File(file) => Source::Fd(file.as_fd()),
            Transport::Simulated(socket) => socket.source(),
            Transport::Layered(layered) => layered.below().source(),
        }
    }

    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self.source() {
            Source::Fd(fd) => Some(fd),
            Source::Simulated(_) => None,
        }
    }

    #[inline(always)]
    pub(crate) fn recv(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Transport::Stream(fd) | Transport::Datagram(fd) => {
                Ok(rustix::net::recv(fd, buf, RecvFlags::empty())?.0)
            }
            Transport::File(file) => file.recv(buf),
            Transport::Simulated(socket) => socket.recv(buf),
            Transport::Layered(layered) => layered.recv(buf),
        }
    }

    #[inline(always)]
    pub(crate) fn send(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Transport::Stream(fd) | Transport::Datagram(fd) => {
                Ok(rustix::net::send(fd, data, SendFlags::NOSIGNAL)?)
            }
            Transport::File(file) => file.send(data),
            Transport::Simulated(socket) => socket.send(data),
            Transport::Layered(layered) => layered.send(data),
        }
    }

    /// Sends the contents of a pipe.
    #[cfg(target_os = "linux")]
    pub(crate) fn send_pipe(&self, pipe: &Pipe) -> io::Result<usize> {
        match (self.fd(), self) {
            (Some(fd), Transport::Stream(_)) => pipe.drain(fd),
            _ => Err(not_a_socket()),
        }
    }

    pub(crate) fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, Address)> {
        match self.below() {
            Transport::Stream(fd) | Transport::Datagram(fd) => {
                let (n, _, from) = rustix::net::recvfrom(fd, buf, RecvFlags::empty())?;
                Ok((n, Address::from_system(from)))
            }
            Transport::File(_) | Transport::Layered(_) => Err(not_a_socket()),
            Transport::Simulated(socket) => {
                socket.recv_from(buf).map(|(n, from)| (n, Address::Inet(from)))
            }
        }
    }

    pub(crate) fn send_to(&self, data: &[u8], to: &Address) -> io::Result<usize> {
        match self.below() {
            Transport::Stream(fd) | Transport::Datagram(fd) => {
                SockRef::from(fd).send_to(data, &to.to_sock_addr()?)
            }
            Transport::File(_) | Transport::Layered(_) => Err(not_a_socket()),
            Transport::Simulated(socket) => socket.send_to(data, simulated(to)?),
        }
    }

    pub(crate) fn send_oob(&self, data: &[u8]) -> io::Result<usize> {
        match self {
            Transport::Stream(fd) | Transport::Datagram(fd) => {
                Ok(rustix::net::send(fd, data, SendFlags::NOSIGNAL | SendFlags::OOB)?)
            }
            Transport::File(_) => Err(not_a_socket()),
            Transport::Layered(_) => Err(has_layers()),
            Transport::Simulated(socket) => socket.send_oob(data),
        }
    }

    pub(crate) fn recv_oob(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Transport::Stream(fd) | Transport::Datagram(fd) => {
                Ok(rustix::net::recv(fd, buf, RecvFlags::OOB)?.0)
            }
            Transport::File(_) => Err(not_a_socket()),
            Transport::Layered(_) => Err(has_layers()),
            Transport::Simulated(socket) => socket.recv_oob(buf),
        }
    }

    pub(crate) fn bind(&self, addr: &Address) -> io::Result<()> {
        match self.below() {
            Transport::Stream(fd) | Transport::Datagram(fd) => {
                SockRef::from(fd).bind(&addr.to_sock_addr()?)
            }
            Transport::File(_) | Transport::Layered(_) => Err(not_a_socket()),
            Transport::Simulated(socket) => socket.bind(simulated(addr)?),
        }
        .map_err(|error| context(error, format_args!("cannot bind to {addr}")))
    }

    pub(crate) fn listen(&self, backlog: i32) -> io::Result<()> {
        match self.below() {
            Transport::Stream(fd) | Transport::Datagram(fd) => SockRef::from(fd).listen(backlog),
            Transport::File(_) | Transport::Layered(_) => Err(not_a_socket()),
            Transport::Simulated(socket) => socket.listen(backlog),
        }
    }

    /// Begins to connect. Returns `true` if the connection is established, `false` if it is still
    /// in progress.
    pub(crate) fn connect(&self, addr: &Address) -> io::Result<bool> {
        let outcome = match self.below() {
            Transport::Stream(fd) | Transport::Datagram(fd) => {
                SockRef::from(fd).connect(&addr.to_sock_addr()?)
            }
            Transport::File(_) | Transport::Layered(_) => Err(not_a_socket()),
            Transport::Simulated(socket) => socket.connect(simulated(addr)?),
        };
        match outcome {
            Ok(()) => Ok(true),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::INPROGRESS | Errno::ALREADY | Errno::INTR) => Ok(false),
                Some(Errno::ISCONN) => Ok(true),
                // The backlog of a Unix listener is full. No event reports when it has room again,
                // so this error must not be treated like spurious readiness.
                Some(Errno::AGAIN) => {
                    let what =
                        format!("cannot connect to {addr}: its backlog is full; retry later");
                    Err(io::Error::new(io::ErrorKind::ResourceBusy, what))
                }
                _ => Err(context(error, format_args!("cannot connect to {addr}"))),
            },
        }
    }

    /// Accepts one connection from the backlog as a non-blocking socket, with its peer's address.
    pub(crate) fn accept(&self) -> io::Result<(Transport, Address)> {
        match self.below() {
            Transport::Stream(fd) | Transport::Datagram(fd) => accept(fd),
            Transport::File(_) | Transport::Layered(_) => Err(not_a_socket()),
            Transport::Simulated(socket) => {
                let (socket, peer) = socket.accept()?;
                Ok((Transport::Simulated(socket), Address::Inet(peer)))
            }
        }
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self.below() {
            Transport::Stream(fd) | Transport::Datagram(fd) => SockRef::from(fd).shutdown(how),
            Transport::File(_) | Transport::Layered(_) => Ok(()),
            Transport::Simulated(socket) => socket.shutdown(how),
        }
    }

    /// Makes closing reset the connection, if the transport supports that.
    pub(crate) fn reset_on_close(&mut self) {
        match self {
            Transport::Stream(fd) | Transport::Datagram(fd) => {
                // If the system refuses, closing ends the connection normally instead.
                let _ = SockRef::from(&*fd).set_linger(Some(std::time::Duration::ZERO));
            }
            Transport::File(_) => {}
            Transport::Simulated(socket) => socket.reset_on_close(),
            Transport::Layered(layered) => layered.abort(),
        }
    }

    /// Takes the asynchronous error that occurred since the last call, if any.
    pub(crate) fn take_error(&self) -> io::Result<Option<io::Error>> {
        match self.below() {
            Transport::Stream(fd) | Transport::Datagram(fd) => SockRef::from(fd).take_error(),
            Transport::File(_) | Transport::Layered(_) => Ok(None),
            Transport::Simulated(socket) => socket.take_error(),
        }
    }

    pub(crate) fn local_addr(&self) -> io::Result<Address> {
        match self.below() {
            Transport::Stream(fd) | Transport::Datagram(fd) => {
                Ok(Address::from_system(Some(rustix::net::getsockname(fd)?)))
            }
            Transport::File(_) | Transport::Layered(_) => Err(not_a_socket()),
            Transport::Simulated(socket) => socket.local_addr().map(Address::Inet),
        }
    }

    pub(crate) fn peer_addr(&self) -> io::Result<Address> {
        match self.below() {
            Transport::Stream(fd) | Transport::Datagram(fd) => {
                Ok(Address::from_system(rustix::net::getpeername(fd)?))
            }
            Transport::File(_) | Transport::Layered(_) => Err(not_a_socket()),
            Transport::Simulated(socket) => socket.peer_addr().map(Address::Inet),
        }
    }
}

#[cfg(not(target_vendor = "apple"))]
fn new_non_blocking(domain: Domain, kind: Type) -> io::Result<socket2::Socket> {
    socket2::Socket::new(domain, kind.nonblocking(), None)
}

#[cfg(target_vendor = "apple")]
fn new_non_blocking(domain: Domain, kind: Type) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(domain, kind, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(not(target_vendor = "apple"))]
fn accept(listener: &OwnedFd) -> io::Result<(Transport, Address)> {
    use rustix::net::SocketFlags;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (fd, peer) = rustix::net::acceptfrom_with(listener, flags)?;
    Ok((Transport::Stream(fd), Address::from_system(peer)))
}

#[cfg(target_vendor = "apple")]
fn accept(listener: &OwnedFd) -> io::Result<(Transport, Address)> {
    let (fd, peer) = rustix::net::acceptfrom(listener)?;
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&fd, true)?;
    Ok((Transport::Stream(fd), Address::from_system(peer)))
}

fn simulated(addr: &Address) -> io::Result<std::net::SocketAddr> {
    addr.inet().ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::Unsupported,
            format!("the simulated network does not support {addr}; use an IPv4 or IPv6 address"),
        )
    })
}

fn has_layers() -> io::Error {
    let what = "out-of-band data would bypass the layers of this channel";
    io::Error::new(io::ErrorKind::Unsupported, what)
}

fn not_a_socket() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "this channel is a file, not a socket")
}

/// Returns `true` if the error means that the connection is gone: asyncore's `_DISCONNECTED`.
pub(crate) fn is_disconnected(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::CONNRESET
                | Errno::NOTCONN
                | Errno::SHUTDOWN
                | Errno::CONNABORTED
                | Errno::PIPE
                | Errno::BADF
                | Errno::TIMEDOUT
                | Errno::HOSTUNREACH
                | Errno::NETUNREACH
        )
    )
}
