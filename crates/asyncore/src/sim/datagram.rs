//! Sending and receiving datagrams.

use std::net::SocketAddr;

use rustix::io::Errno;

use super::wire::Delivery;
use super::world::{World, destination};

/// Maximum number of datagrams in a receive queue; the network drops those beyond.
pub(super) const MAX_QUEUED_DATAGRAMS: usize = 64;

/// Maximum length of the data in an IPv4 datagram, in bytes.
const MAX_DATAGRAM_LEN: usize = 65507;

/// Returns the bytes of the sender's window that a datagram uses. An empty one uses 1, to bound
/// their number.
pub(super) fn charge(bytes: &[u8]) -> usize {
    bytes.len().max(1)
}

impl World {
    /// Sets the address that datagrams are sent to and accepted from.
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
        if bytes.len() > MAX_DATAGRAM_LEN {
            return Err(Errno::MSGSIZE);
        }
        if !datagram.has_room() {
            return Err(Errno::AGAIN);
        }
        datagram.in_flight += charge(bytes);
        let source = self.source_addr(id)?;
        let at = self.arrival();
        let bytes = bytes.to_vec();
        let sent = bytes.len();
        self.wire
            .schedule(at, Delivery::Datagram { sender: id, source, to: destination(to), bytes });
        Ok(sent)
    }

    /// Takes the oldest datagram. Bytes beyond the length of `buf` are lost.
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
