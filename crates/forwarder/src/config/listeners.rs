//! Which listening addresses overlap, and at which of them a connection arrives.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;

use super::address::{Endpoint, Listen};

/// Listening addresses by what they cover, with the index of the first that does. A look-up costs the
/// same however many there are.
#[derive(Default)]
pub(super) struct Listeners<'a>(HashMap<Covered<'a>, usize>);

/// Something that a listening address covers.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
enum Covered<'a> {
    Path(&'a Path),
    Ip(Socket),
    /// Some IPv4 address; 0.0.0.0 overlaps with all of them.
    SomeIpv4(Port),
    /// Some address; `[::]` overlaps with all of them.
    Some(Port),
}

#[derive(Clone, Copy, Eq, Hash, PartialEq)]
struct Port {
    is_udp: bool,
    number: u16,
}

/// An address without IPv6's notation for IPv4, and its interface for an IPv6 address that has one.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
struct Socket {
    port: Port,
    ip: IpAddr,
    scope: u32,
}

const ANY_IPV4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const ANY: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

impl Socket {
    fn new(is_udp: bool, address: SocketAddr) -> Self {
        let scope = match address {
            SocketAddr::V6(v6) => v6.scope_id(),
            SocketAddr::V4(_) => 0,
        };
        let port = Port { is_udp, number: address.port() };
        Socket { port, ip: address.ip().to_canonical(), scope }
    }

    /// The address that stands for every address of its family, or of both.
    fn every(self, ip: IpAddr) -> Covered<'static> {
        Covered::Ip(Socket { ip, scope: 0, ..self })
    }

    /// The listening addresses that include this one: itself and those for every address.
    fn including(self) -> impl Iterator<Item = Covered<'static>> {
        let ipv4 = self.ip.is_ipv4().then(|| self.every(ANY_IPV4));
        [Covered::Ip(self), self.every(ANY)].into_iter().chain(ipv4)
    }
}

/// `None` for port 0, which is another port each time.
fn socket(listen: &Listen) -> Option<Socket> {
    match listen {
        Listen::Tcp(address) => Some(Socket::new(false, *address)),
        Listen::Udp(address) => Some(Socket::new(true, *address)),
        Listen::Unix(_) => None,
    }
    .filter(|socket| socket.port.number != 0)
}

impl<'a> Listeners<'a> {
    pub(super) fn insert(&mut self, listen: &'a Listen, index: usize) {
        let socket = socket(listen);
        let path = match listen {
            Listen::Unix(path) => Some(Covered::Path(path)),
            _ => None,
        };
        let ipv4 = socket.filter(|socket| socket.ip.is_ipv4());
        let covered = [
            path,
            socket.map(Covered::Ip),
            socket.map(|socket| Covered::Some(socket.port)),
            ipv4.map(|socket| Covered::SomeIpv4(socket.port)),
        ];
        for covered in covered.into_iter().flatten() {
            self.0.entry(covered).or_insert(index);
        }
    }

    /// The first address that cannot be listened on together with this one.
    pub(super) fn overlapping(&self, listen: &Listen) -> Option<usize> {
        if let Listen::Unix(path) = listen {
            return self.0.get(&Covered::Path(path)).copied();
        }
        let socket = socket(listen)?;
        let included = match socket.ip {
            ANY => Some(Covered::Some(socket.port)),
            ANY_IPV4 => Some(Covered::SomeIpv4(socket.port)),
            _ => None,
        };
        let near = socket.including().chain(included);
        near.filter_map(|covered| self.0.get(&covered).copied()).min()
    }

    /// The addresses at which connections (or datagrams) to an endpoint arrive. Names are not looked
    /// up, except for `localhost`.
    pub(super) fn reached(
        &self,
        endpoint: &Endpoint,
        is_udp: bool,
        is_own: &mut dyn FnMut(IpAddr) -> bool,
    ) -> Vec<usize> {
        let (host, port) = match endpoint {
            Endpoint::Unix(path) => {
                return self.0.get(&Covered::Path(path)).copied().into_iter().collect();
            }
            Endpoint::Host(host, port) => (host, *port),
        };
        let mut reached = Vec::new();
        for address in addresses(host, port) {
            let socket = Socket::new(is_udp, address);
            for covered in socket.including() {
                let Some(index) = self.0.get(&covered) else { continue };
                if covered == Covered::Ip(socket) || is_here(socket.ip, is_own) {
                    reached.push(*index);
                }
            }
        }
        reached.dedup();
        reached
    }
}

/// Whether a connection to `address` arrives at `listen`, for the addresses of a name: such a target
/// would make the rule connect to itself.
pub fn arrives_at(address: SocketAddr, listen: &Listen) -> bool {
    let mut listeners = Listeners::default();
    listeners.insert(listen, 0);
    let endpoint = Endpoint::Host(address.ip().to_string(), address.port());
    !listeners.reached(&endpoint, matches!(listen, Listen::Udp(_)), &mut is_own).is_empty()
}

/// The addresses that `host` has for certain.
fn addresses(host: &str, port: u16) -> Vec<SocketAddr> {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    if name == "localhost" || name.ends_with(".localhost") {
        return vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()];
    }
    let plain = name.parse().map(|ip: IpAddr| SocketAddr::new(ip, port));
    plain.or_else(|_| format!("[{name}]:{port}").parse()).into_iter().collect()
}

fn is_here(ip: IpAddr, is_own: &mut dyn FnMut(IpAddr) -> bool) -> bool {
    ip.is_loopback() || ip.is_unspecified() || is_own(ip)
}

/// Returns whether this machine has the address: the system then answers from that address itself.
/// Connecting a datagram socket sends nothing.
pub(super) fn is_own(ip: IpAddr) -> bool {
    let any = if ip.is_ipv4() { ANY_IPV4 } else { ANY };
    let source = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((ip, 9))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == ip)
}
