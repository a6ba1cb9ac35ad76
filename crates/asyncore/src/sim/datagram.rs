//! Sending and receiving datagrams.

use std::net::SocketAddr;

use rustix::io::Errno;

use super::wire::Delivery;
use super::world::{World, destination};

/// How many datagrams wait to be read at most; those that arrive beyond are dropped.
pub(super) const DATAGRAM_QUEUE: usize = 64;

/// The longest datagram that IPv4 carries.
const LONGEST: usize = 65507;

/// What a datagram takes of its sender's window: an empty one counts too, or they would be
/// unbounded.
pub(super) fn charge(bytes: &[u8]) -> usize {
    bytes.len().max(1)
}

impl World {
    /// Fixes the address that datagrams go to and come from.
    pub(super) fn connect_datagram(&mut self, id: usize, addr: SocketAddr) -> Result<(), Errno> {
        if self.endpoints.datagram(id)?.local.is_ipv4() != addr.is_ipv4() {
            return Err(Errno::AFNOSUPPORT);
        }
        let local = match self.source_addr(id) {
            Err(Errno::ADDRINUSE) => return Err(Errno::ADDRNOTAVAIL),
            other => other?,
        };
        let datagram = self.endpoints.datagram(id)?;
        datagram.local = local;
        datagram.remote = Some(destination(addr));
        Ok(())
    }

    pub(super) fn send_to(
        &mut self,
        id: usize,
        bytes: &[u8],
        to: SocketAddr,
    ) -> Result<usize, Errno> {
        let datagram = self.endpoints.datagram(id)?;
        if let Some(error) = datagram.error.take() {
            return Err(error);
        }
        if datagram.local.is_ipv4() != to.is_ipv4() {
            return Err(Errno::AFNOSUPPORT);
        }
        if bytes.len() > LONGEST {
            return Err(Errno::MSGSIZE);
        }
        if !datagram.has_room() {
            return Err(Errno::AGAIN);
        }
        datagram.under_way += charge(bytes);
        let source = self.source_addr(id)?;
        let at = self.arrival();
        let bytes = bytes.to_vec();
        let sent = bytes.len();
        self.wire
            .schedule(at, Delivery::Datagram { sender: id, source, to: destination(to), bytes });
        Ok(sent)
    }

    /// Takes the oldest datagram; what does not fit into `buf` is lost.
    pub(super) fn recv_from(
        &mut self,
        id: usize,
        buf: &mut [u8],
    ) -> Result<(usize, SocketAddr), Errno> {
        let datagram = self.endpoints.datagram(id)?;
        if let Some(error) = datagram.error.take() {
            return Err(error);
        }
        let (source, bytes) = datagram.inbound.pop_front().ok_or(Errno::AGAIN)?;
        let taken = bytes.len().min(buf.len());
        buf[..taken].copy_from_slice(&bytes[..taken]);
        Ok((taken, source))
    }
}
