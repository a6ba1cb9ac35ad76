//! The PROXY protocol's header: who the client is, told ahead of the stream.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ppp::{v1, v2};

use crate::config::ProxyVersion;

/// The longest line of version 1, its end included.
const LONGEST_LINE: usize = 107;
/// Version 2 up to its length field.
const FIXED: usize = 16;
/// The longest header of version 2 that is read; the addresses take 216 bytes of it at the most,
/// the rest is for what else a proxy has to tell.
const LONGEST: usize = 4096;
const LINE_START: &[u8] = b"PROXY ";

/// Both ends of the connection that a proxy took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
}

/// A header that was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// `None` when the proxy speaks for itself, as in a health check, or does not know.
    pub(crate) ends: Option<Ends>,
    /// How many bytes it took.
    pub(crate) len: usize,
}

/// Why something is no header.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("it begins neither with 'PROXY ' nor with the signature of version 2")]
    Start,
    #[error("no end of the line in its first 107 bytes")]
    Endless,
    #[error("it is {0} bytes long, and at most 4096 are read")]
    TooLong(usize),
    #[error("{}", .0.to_string().escape_debug())]
    Line(#[from] v1::BinaryParseError),
    #[error("{0}")]
    Binary(#[from] v2::ParseError),
}

impl Header {
    /// Reads the header that `bytes` begin with; `None` while more of it is to come.
    pub(crate) fn read(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
        // Which part of it has arrived must make no difference, so it is parsed as a whole only.
        let Some(len) = length(bytes)? else {
            return Ok(None);
        };
        let ends = if bytes.starts_with(v2::PROTOCOL_PREFIX) {
            binary(&v2::Header::try_from(&bytes[..len])?)
        } else {
            line(v1::Header::try_from(&bytes[..len])?.addresses)
        };
        Ok(Some(Header { ends, len }))
    }
}

fn length(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    if agree(bytes, v2::PROTOCOL_PREFIX) {
        let Some(length) = bytes.get(FIXED - 2..FIXED) else {
            return Ok(None);
        };
        let len = FIXED + usize::from(u16::from_be_bytes([length[0], length[1]]));
        if len > LONGEST {
            return Err(Malformed::TooLong(len));
        }
        return Ok((bytes.len() >= len).then_some(len));
    }
    if !agree(bytes, LINE_START) {
        return Err(Malformed::Start);
    }
    let line = &bytes[..bytes.len().min(LONGEST_LINE)];
    match line.windows(2).position(|pair| pair == b"\r\n") {
        Some(end) => Ok(Some(end + 2)),
        None if line.len() == LONGEST_LINE => Err(Malformed::Endless),
        None => Ok(None),
    }
}

/// Whether one is the beginning of the other.
fn agree(a: &[u8], b: &[u8]) -> bool {
    a.iter().zip(b).all(|(a, b)| a == b)
}

fn line(addresses: v1::Addresses) -> Option<Ends> {
    match addresses {
        v1::Addresses::Unknown => None,
        v1::Addresses::Tcp4(it) => Some(ends(
            (it.source_address, it.source_port),
            (it.destination_address, it.destination_port),
        )),
        v1::Addresses::Tcp6(it) => Some(ends(
            (it.source_address, it.source_port),
            (it.destination_address, it.destination_port),
        )),
    }
}

fn binary(header: &v2::Header<'_>) -> Option<Ends> {
    match header.addresses {
        _ if header.command == v2::Command::Local => None,
        v2::Addresses::IPv4(it) => Some(ends(
            (it.source_address, it.source_port),
            (it.destination_address, it.destination_port),
        )),
        v2::Addresses::IPv6(it) => Some(ends(
            (it.source_address, it.source_port),
            (it.destination_address, it.destination_port),
        )),
        v2::Addresses::Unix(_) | v2::Addresses::Unspecified => None,
    }
}

fn ends<A: Into<IpAddr>>(source: (A, u16), destination: (A, u16)) -> Ends {
    Ends { source: source.into(), destination: destination.into() }
}

/// The header that tells a target who the client is; `None` if that has no address.
pub(crate) fn encode(version: ProxyVersion, ends: Option<Ends>) -> Vec<u8> {
    let family = ends.map(Ends::of_one_family);
    match version {
        ProxyVersion::V1 => text(family),
        ProxyVersion::V2 => bytes(family),
    }
}

fn text(ends: Option<Ends>) -> Vec<u8> {
    let Some(Ends { source, destination }) = ends else {
        return b"PROXY UNKNOWN\r\n".to_vec();
    };
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    format!("PROXY {family} {from} {to} {} {}\r\n", source.port(), destination.port()).into_bytes()
}

fn bytes(ends: Option<Ends>) -> Vec<u8> {
    let mut header = v2::PROTOCOL_PREFIX.to_vec();
    let Some(Ends { source, destination }) = ends else {
        // LOCAL: the target takes the connection for our own, since there is nobody to name.
        header.extend([0x20, 0, 0, 0]);
        return header;
    };
    match (source.ip(), destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            header.extend([0x21, 0x11, 0, 12]);
            header.extend(from.octets());
            header.extend(to.octets());
        }
        (from, to) => {
            header.extend([0x21, 0x21, 0, 36]);
            header.extend(v6(from).octets());
            header.extend(v6(to).octets());
        }
    }
    header.extend(source.port().to_be_bytes());
    header.extend(destination.port().to_be_bytes());
    header
}

impl Ends {
    /// A dual-stack socket reports IPv4 as IPv6, and a header has one family for both.
    fn of_one_family(self) -> Self {
        let (mut from, mut to) =
            (self.source.ip().to_canonical(), self.destination.ip().to_canonical());
        if from.is_ipv4() != to.is_ipv4() {
            (from, to) = (v6(from).into(), v6(to).into());
        }
        Ends {
            source: SocketAddr::new(from, self.source.port()),
            destination: SocketAddr::new(to, self.destination.port()),
        }
    }
}

fn v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

#[cfg(test)]
mod tests;
