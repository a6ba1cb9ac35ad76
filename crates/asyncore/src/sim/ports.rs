//! The owners of the addresses on the simulated network.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use rustix::io::Errno;

/// First port that port 0 can select: the start of the dynamic ports (RFC 6335, section 6).
const FIRST_EPHEMERAL_PORT: u16 = 49152;

/// A transport protocol, each with its own ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Transport {
    Stream,
    Datagram,
}

/// The bound addresses, by port. IPv4 and IPv6 are separate: a wildcard covers only its own family.
pub(super) struct Ports {
    bound: BTreeMap<(Transport, u16), Vec<(IpAddr, usize)>>,
    next: u16,
}

impl Ports {
    pub(super) fn new() -> Ports {
        Ports { bound: BTreeMap::new(), next: FIRST_EPHEMERAL_PORT }
    }

    /// Assigns `addr` to endpoint `id`. Port 0 selects the next free port from 49152 up.
    pub(super) fn claim(
        &mut self,
        transport: Transport,
        addr: SocketAddr,
        id: usize,
    ) -> Result<SocketAddr, Errno> {
        let mut addr = addr;
        if addr.port() == 0 {
            addr.set_port(self.free_port(transport, addr.ip())?);
        } else if self.is_taken(transport, addr) {
            return Err(Errno::ADDRINUSE);
        }
        self.bound.entry((transport, addr.port())).or_default().push((addr.ip(), id));
        Ok(addr)
    }

    pub(super) fn release(&mut self, transport: Transport, port: u16, id: usize) {
        if let Some(owners) = self.bound.get_mut(&(transport, port)) {
            owners.retain(|(_, owner)| *owner != id);
            if owners.is_empty() {
                self.bound.remove(&(transport, port));
            }
        }
    }

    fn free_port(&mut self, transport: Transport, ip: IpAddr) -> Result<u16, Errno> {
        for _ in FIRST_EPHEMERAL_PORT..=u16::MAX {
            let port = self.next;
            self.next = port.checked_add(1).unwrap_or(FIRST_EPHEMERAL_PORT);
            if !self.is_taken(transport, SocketAddr::new(ip, port)) {
                return Ok(port);
            }
        }
        Err(Errno::ADDRINUSE)
    }

    fn is_taken(&self, transport: Transport, addr: SocketAddr) -> bool {
        let owners = self.bound.get(&(transport, addr.port()));
        owners.is_some_and(|owners| {
            owners.iter().any(|(ip, _)| {
                ip.is_ipv4() == addr.is_ipv4()
                    && (*ip == addr.ip() || ip.is_unspecified() || addr.ip().is_unspecified())
            })
        })
    }

    /// Returns the endpoint that receives what is sent to `addr`: the owner of exactly `addr`, else
    /// of its wildcard.
    pub(super) fn owner(&self, transport: Transport, addr: SocketAddr) -> Option<usize> {
        let owners = self.bound.get(&(transport, addr.port()))?;
        let exact = owners.iter().find(|(ip, _)| *ip == addr.ip());
        let wildcard =
            || owners.iter().find(|(ip, _)| ip.is_unspecified() && ip.is_ipv4() == addr.is_ipv4());
        exact.or_else(wildcard).map(|(_, id)| *id)
    }
}
