use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use crate::config::invalid::{Invalid, quoted};

use super::{Written, written};

/// A network in CIDR notation such as `10.0.0.0/8`, or one address.
///
/// An address with bits beyond the prefix is refused rather than cut off: in a list of who may
/// connect, it is a mistake. IPv4 networks are written as such and not in IPv6's notation for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net(pub IpNet);

impl FromStr for Net {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        let net = text.parse::<IpNet>().ok();
        let net = net.or_else(|| text.parse().map(|address: IpAddr| address.into()).ok());
        let Some(net) = net else {
            return Err(Invalid::new(format!(
                "{} is not a network: write it as in 10.0.0.0/8, fd00::/8 or 10.0.0.5",
                quoted(text)
            )));
        };
        if net.addr() != net.network() {
            return Err(Invalid::new(format!(
                "{} has address bits beyond its /{}: write {} for the network or {} for the one address",
                quoted(text),
                net.prefix_len(),
                net.trunc(),
                net.addr()
            )));
        }
        if let IpAddr::V4(address) = net.addr().to_canonical() {
            if net.addr().is_ipv6() {
                let prefix = net.prefix_len().saturating_sub(96);
                return Err(Invalid::new(format!(
                    "{} is an IPv4 network in IPv6's notation: write {address}/{prefix}",
                    quoted(text)
                )));
            }
        }
        Ok(Net(net))
    }
}

impl Written for Net {
    const WHAT: &'static str = "a network such as \"10.0.0.0/8\"";
    const EXAMPLES: &'static [&'static str] = &["10.0.0.0/8", "fd00::/8", "10.0.0.5"];
}

written!(Net);
