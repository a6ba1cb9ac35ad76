//! Which connections arrive at which listener of this machine.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;

use super::model::{Endpoint, Listen, Rule};

/// Whether a connection to `address` arrives at `listen`, for addresses that a name turned out to
/// have: such a target would make the rule connect to itself.
pub fn arrives_at(address: SocketAddr, listen: &Listen) -> bool {
    match listen {
        Listen::Tcp(own) | Listen::Udp(own) => arrives(address.ip(), address.port(), *own, &is_own),
        Listen::Unix(_) => false,
    }
}

/// Whether what `from` sends to `endpoint` arrives at `to`; `is_own` tells which addresses are this
/// machine's. Names are not looked up, except for `localhost`.
pub(super) fn leads_to(
    from: &Rule,
    endpoint: &Endpoint,
    to: &Rule,
    is_own: &dyn Fn(IpAddr) -> bool,
) -> bool {
    let sends_datagrams = matches!(from.listen, Listen::Udp(_));
    match (endpoint, &to.listen) {
        (Endpoint::Unix(path), Listen::Unix(own)) => path == own,
        (Endpoint::Host(host, port), Listen::Tcp(own) | Listen::Udp(own)) => {
            sends_datagrams == matches!(to.listen, Listen::Udp(_))
                && *port == own.port()
                && addresses(host).into_iter().any(|ip| arrives(ip, *port, *own, is_own))
        }
        _ => false,
    }
}

/// Rules by where they listen, so that ten thousand are not compared with each other.
#[derive(Default)]
pub(super) struct ByAddress<'r> {
    exact: HashMap<Key<'r>, Vec<usize>>,
    /// Those on every address, by whether they are for datagrams, and their port.
    wildcards: HashMap<(bool, u16), Vec<usize>>,
    by_port: HashMap<(bool, u16), Vec<usize>>,
}

/// A Unix path, or whether it is for datagrams, with address and port.
#[derive(PartialEq, Eq, Hash)]
enum Key<'r> {
    Inet(bool, IpAddr, u16),
    Unix(&'r Path),
}

impl<'r> ByAddress<'r> {
    /// Adds the rule of this index.
    pub(super) fn add(&mut self, index: usize, listen: &'r Listen) {
        let key = match listen {
            Listen::Unix(path) => Key::Unix(path),
            Listen::Tcp(addr) | Listen::Udp(addr) => {
                let port = (matches!(listen, Listen::Udp(_)), addr.port());
                self.by_port.entry(port).or_default().push(index);
                if addr.ip().is_unspecified() {
                    self.wildcards.entry(port).or_default().push(index);
                    return;
                }
                Key::Inet(port.0, addr.ip().to_canonical(), port.1)
            }
        };
        self.exact.entry(key).or_default().push(index);
    }

    /// The rules with which `listen` may overlap.
    pub(super) fn near(&self, listen: &'r Listen) -> impl Iterator<Item = usize> {
        let (exact, port) = match listen {
            Listen::Unix(path) => (Some(Key::Unix(path)), None),
            Listen::Tcp(addr) | Listen::Udp(addr) => {
                let port = (matches!(listen, Listen::Udp(_)), addr.port());
                let is_wildcard = addr.ip().is_unspecified();
                let exact = Key::Inet(port.0, addr.ip().to_canonical(), port.1);
                ((!is_wildcard).then_some(exact), Some((port, is_wildcard)))
            }
        };
        let exact = exact.and_then(|key| self.exact.get(&key));
        let others = port.and_then(|(port, is_wildcard)| {
            if is_wildcard { self.by_port.get(&port) } else { self.wildcards.get(&port) }
        });
        exact.into_iter().chain(others).flatten().copied()
    }

    /// The rules to which what `from` sends to `endpoint` may lead.
    pub(super) fn reached(&self, from: &Rule, endpoint: &'r Endpoint) -> Vec<usize> {
        let is_udp = matches!(from.listen, Listen::Udp(_));
        let (keys, port) = match endpoint {
            Endpoint::Unix(path) => (vec![Key::Unix(path)], None),
            Endpoint::Host(host, port) => {
                let ips = addresses(host);
                let keys = ips.iter().map(|ip| Key::Inet(is_udp, ip.to_canonical(), *port));
                (keys.collect(), (!ips.is_empty()).then_some((is_udp, *port)))
            }
        };
        let exact = keys.iter().filter_map(|key| self.exact.get(key));
        let wildcards = port.and_then(|port| self.wildcards.get(&port));
        let mut reached: Vec<_> = exact.chain(wildcards).flatten().copied().collect();
        reached.sort_unstable();
        reached
    }
}

/// Whether both cannot be listened on at once.
pub(super) fn overlap(a: &Listen, b: &Listen) -> bool {
    match (a, b) {
        (Listen::Tcp(a), Listen::Tcp(b)) | (Listen::Udp(a), Listen::Udp(b)) => {
            sockets_overlap(*a, *b)
        }
        (Listen::Unix(a), Listen::Unix(b)) => a == b,
        _ => false,
    }
}

/// As `overlap`, for two of the same protocol.
pub(super) fn sockets_overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let same = match (a, b) {
        (SocketAddr::V6(a), SocketAddr::V6(b)) => a.ip() == b.ip() && a.scope_id() == b.scope_id(),
        _ => a.ip().to_canonical() == b.ip().to_canonical(),
    };
    let any_port = a.port() == 0;
    a.port() == b.port()
        && !any_port
        && (same || includes(a.ip(), b.ip()) || includes(b.ip(), a.ip()))
}

/// Whether `all` stands for every address of a family, and `one` is of it.
fn includes(all: IpAddr, one: IpAddr) -> bool {
    match all {
        IpAddr::V4(all) => all.is_unspecified() && one.to_canonical().is_ipv4(),
        IpAddr::V6(all) => all.is_unspecified(),
    }
}

fn arrives(ip: IpAddr, port: u16, own: SocketAddr, is_own: &dyn Fn(IpAddr) -> bool) -> bool {
    let ip = ip.to_canonical();
    let same = ip == own.ip().to_canonical();
    let local = || ip.is_loopback() || ip.is_unspecified() || is_own(ip);
    port == own.port() && (same || includes(own.ip(), ip) && local())
}

/// The addresses that `host` surely has.
fn addresses(host: &str) -> Vec<IpAddr> {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    if name == "localhost" || name.ends_with(".localhost") {
        return vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    let number = name.split_once('%').map_or(name.as_str(), |(number, _interface)| number);
    number.parse().into_iter().collect()
}

/// Whether this machine has the address: the system then answers from that address itself.
/// Connecting a datagram socket sends nothing.
pub(super) fn is_own(ip: IpAddr) -> bool {
    let any: IpAddr = match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let source = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((ip, 9))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == ip)
}
