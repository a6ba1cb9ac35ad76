//! A socket of the simulated network, with the interface of an operating system's socket.

use std::io;
use std::net::{Shutdown, SocketAddr};

use rustix::io::Errno;

use super::endpoint::{Endpoint, Phase};
use super::network::Network;
use crate::poller::Source;

/// A non-blocking stream or datagram socket; dropping it closes it.
///
/// Errors have the numbers of Linux.
pub(crate) struct SimSocket {
    network: Network,
    id: usize,
    is_datagram: bool,
}

impl SimSocket {
    pub(super) fn stream(network: Network, id: usize) -> SimSocket {
        SimSocket { network, id, is_datagram: false }
    }

    pub(super) fn datagram(network: Network, id: usize) -> SimSocket {
        SimSocket { network, id, is_datagram: true }
    }

    pub(crate) fn is_datagram(&self) -> bool {
        self.is_datagram
    }

    pub(crate) fn source(&self) -> Source<'static> {
        Source::Simulated(self.id)
    }

    pub(crate) fn bind(&self, addr: SocketAddr) -> io::Result<()> {
        Ok(self.network.world().bind(self.id, addr)?)
    }

    pub(crate) fn listen(&self, backlog: i32) -> io::Result<()> {
        Ok(self.network.world().listen(self.id, backlog)?)
    }

    /// Begins to connect. Returns `Err(EINPROGRESS)` for a stream, and `Ok` for a datagram socket.
    pub(crate) fn connect(&self, addr: SocketAddr) -> io::Result<()> {
        let mut world = self.network.world();
        if self.is_datagram {
            return Ok(world.connect_datagram(self.id, addr)?);
        }
        world.connect(self.id, addr)?;
        Err(Errno::INPROGRESS.into())
    }

    pub(crate) fn accept(&self) -> io::Result<(SimSocket, SocketAddr)> {
        let mut world = self.network.world();
        if let Some(errno) = world.accept_failure(self.id) {
            return Err(io::Error::from_raw_os_error(errno));
        }
        let (id, remote) = world.accept(self.id)?;
        Ok((SimSocket::stream(self.network.clone(), id), remote))
    }

    pub(crate) fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut world = self.network.world();
        if self.is_datagram {
            return Ok(world.recv_from(self.id, buf)?.0);
        }
        Ok(world.recv(self.id, buf)?)
    }

    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut world = self.network.world();
        if self.is_datagram {
            let remote = world.endpoints.datagram(self.id)?.remote;
            let to = remote.ok_or(Errno::DESTADDRREQ)?;
            return Ok(world.send_to(self.id, bytes, to)?);
        }
        Ok(world.send(self.id, bytes)?)
    }

    pub(crate) fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        Ok(self.network.world().recv_from(self.id, buf)?)
    }

    pub(crate) fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        Ok(self.network.world().send_to(self.id, bytes, to)?)
    }

    /// Reads the urgent byte into the first byte of `buf`.
    pub(crate) fn recv_oob(&self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(slot) = buf.first_mut() else {
            return Ok(0);
        };
        *slot = self.network.world().recv_oob(self.id)?;
        Ok(1)
    }

    /// Sends `bytes`, the last of them as the urgent byte.
    pub(crate) fn send_oob(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.network.world().send_oob(self.id, bytes)?)
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let read = how != Shutdown::Write;
        let write = how != Shutdown::Read;
        Ok(self.network.world().shutdown(self.id, read, write)?)
    }

    /// Resets the connection before it is closed.
    pub(crate) fn reset_on_close(&self) {
        self.network.world().abort(self.id);
    }

    /// Takes the pending error: of a failed connect, or of a reset.
    pub(crate) fn take_error(&self) -> io::Result<Option<io::Error>> {
        let mut world = self.network.world();
        let error = match world.endpoints.get_mut(self.id)? {
            Endpoint::Stream(stream) => stream.error.take(),
            Endpoint::Datagram(datagram) => datagram.error.take(),
            Endpoint::Listener(_) => None,
        };
        Ok(error.map(io::Error::from))
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.network.world().endpoints.get_mut(self.id)?.local())
    }

    pub(crate) fn peer_addr(&self) -> io::Result<SocketAddr> {
        let mut world = self.network.world();
        let remote = match world.endpoints.get_mut(self.id)? {
            Endpoint::Stream(stream) if stream.phase == Phase::Connected => stream.remote,
            Endpoint::Datagram(datagram) => datagram.remote,
            _ => None,
        };
        Ok(remote.ok_or(Errno::NOTCONN)?)
    }
}

impl Drop for SimSocket {
    fn drop(&mut self) {
        self.network.world().close(self.id);
    }
}
