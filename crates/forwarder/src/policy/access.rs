//! The clients that may connect: sets of networks.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Networks merged and sorted, so that a look-up among thousands is a binary search.
///
/// An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`, what a dual-stack socket reports) is its IPv4
/// address, in the networks as in the addresses asked for. Any other IPv6 network, `::/0` too,
/// has no IPv4 address in it.
///
/// ```
/// use forwarder::policy::NetSet;
///
/// let nets = NetSet::new(&["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()]);
/// assert!(nets.contains("::ffff:10.1.2.3".parse().unwrap()));
/// assert!(!nets.contains("192.0.2.1".parse().unwrap()));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetSet {
    v4: Vec<Ipv4Net>,
    v6: Vec<Ipv6Net>,
}

impl NetSet {
    /// The set of all addresses in `nets`; bits behind a prefix are ignored.
    pub fn new(nets: &[IpNet]) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for net in nets {
            match net {
                IpNet::V4(net) => v4.push(net.trunc()),
                IpNet::V6(net) => match unmapped(net) {
                    Some(net) => v4.push(net),
                    None => v6.push(net.trunc()),
                },
            }
        }
        let (mut v4, mut v6) = (Ipv4Net::aggregate(&v4), Ipv6Net::aggregate(&v6));
        v4.sort_unstable_by_key(Ipv4Net::network);
        v6.sort_unstable_by_key(Ipv6Net::network);
        NetSet { v4, v6 }
    }

    /// Returns whether one of the networks contains the address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let after = self.v4.partition_point(|net| net.network() <= address);
                self.v4[..after].last().is_some_and(|net| net.contains(&address))
            }
            IpAddr::V6(address) => {
                let after = self.v6.partition_point(|net| net.network() <= address);
                self.v6[..after].last().is_some_and(|net| net.contains(&address))
            }
        }
    }

    /// Returns whether the set contains no network.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

/// The IPv4 network that an IPv4-mapped IPv6 network stands for.
fn unmapped(net: &Ipv6Net) -> Option<Ipv4Net> {
    let prefix = net.prefix_len().checked_sub(96)?;
    let address: Ipv4Addr = net.network().to_ipv4_mapped()?;
    Ipv4Net::new(address, prefix).ok()
}

/// The networks of a rule, ready for look-ups: denied first, then allowed, and an empty `allow` is
/// everyone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessList {
    allow: NetSet,
    deny: NetSet,
}

impl AccessList {
    /// The list of these networks.
    pub fn new(allow: &[IpNet], deny: &[IpNet]) -> Self {
        AccessList { allow: NetSet::new(allow), deny: NetSet::new(deny) }
    }

    /// Whether a client at `address` may connect.
    pub fn permits(&self, address: IpAddr) -> bool {
        !self.deny.contains(address) && (self.allow.is_empty() || self.allow.contains(address))
    }
}

#[cfg(test)]
mod tests;
