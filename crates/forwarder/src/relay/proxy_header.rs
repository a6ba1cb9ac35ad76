//! The PROXY protocol's header, which names the client ahead of the stream.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ppp::{v1, v2};

use crate::config::ProxyVersion;

/// The longest line of version 1, its end included.
const LONGEST_LINE: usize = 107;
/// Version 2 up to its length field.
const FIXED: usize = 16;
/// The longest header of version 2 that is read; the addresses take at most 216 bytes of it,
/// other fields the rest.
const LONGEST: usize = 4096;
const LINE_START: &[u8] = b"PROXY ";
/// The field of version 2, from the range for private use, that counts the forwarders which a
/// connection has come through with a header each.
const HOPS: u8 = 0xE5;
/// Maximum number of forwarders in a row that send each other headers; a loop ends there.
const MAX_HOPS: u8 = 16;

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
    /// The forwarders and proxies that the connection has come through, as far as headers tell.
    pub(crate) hops: u8,
    /// How many bytes it took.
    pub(crate) len: usize,
}

/// Why something is no header.
#[derive(Debug, PartialEq)]
pub(crate) enum Malformed {
    Start,
    Endless,
    TooLong(usize),
    Sign,
    Loop,
    Line(v1::BinaryParseError),
    Binary(v2::ParseError),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::Start => {
                f.write_str("it begins neither with 'PROXY ' nor with the signature of version 2")
            }
            Malformed::Endless => write!(f, "no end of the line in its first {LONGEST_LINE} bytes"),
            Malformed::TooLong(len) => {
                write!(f, "it is {len} bytes long, and at most {LONGEST} are read")
            }
            Malformed::Sign => f.write_str("a port with a sign"),
            Malformed::Loop => write!(
                f,
                "it has come through {MAX_HOPS} forwarders, which is a loop: change a rule's targets"
            ),
            Malformed::Line(error) => write!(f, "{}", error.to_string().escape_debug()),
            Malformed::Binary(error) => error.fmt(f),
        }
    }
}

impl Header {
    /// Reads the header that `bytes` begin with; `None` while more of it is to come.
    pub(crate) fn read(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
        // Which part of it has arrived must make no difference, so it is parsed as a whole only.
        let Some(len) = length(bytes)? else {
            return Ok(None);
        };
        let bytes = &bytes[..len];
        if !bytes.starts_with(v2::PROTOCOL_PREFIX) {
            return Ok(Some(Header { ends: line(bytes)?, hops: 1, len }));
        }
        let header = match v2::Header::try_from(bytes) {
            Ok(header) => header,
            // Whatever a LOCAL header has for addresses is ignored.
            Err(_) if bytes[FIXED - 4] == v2::Version::Two | v2::Command::Local => {
                return Ok(Some(Header { ends: None, hops: 1, len }));
            }
            Err(error) => return Err(Malformed::Binary(error)),
        };
        // The crate takes all that a header without addresses has for its addresses.
        let fields = match header.addresses {
            v2::Addresses::Unspecified => v2::TypeLengthValues::from(&bytes[FIXED..]),
            _ => header.tlvs(),
        };
        let hops = fields.flatten().find(|tlv| tlv.kind == HOPS);
        let hops = hops.and_then(|tlv| tlv.value.first().copied()).unwrap_or(0).saturating_add(1);
        if hops > MAX_HOPS {
            return Err(Malformed::Loop);
        }
        Ok(Some(Header { ends: ends(&header), hops, len }))
    }
}

/// The ends that a line of version 1 names.
fn line(line: &[u8]) -> Result<Option<Ends>, Malformed> {
    let header = v1::Header::try_from(line).map_err(Malformed::Line)?;
    // The crate takes a number with a sign for a port, which the specification does not.
    if line.contains(&b'+') && header.addresses != v1::Addresses::Unknown {
        return Err(Malformed::Sign);
    }
    Ok(match header.addresses {
        v1::Addresses::Unknown => None,
        v1::Addresses::Tcp4(it) => Some(Ends::new(
            (it.source_address, it.source_port),
            (it.destination_address, it.destination_port),
        )),
        v1::Addresses::Tcp6(it) => Some(Ends::new(
            (it.source_address, it.source_port),
            (it.destination_address, it.destination_port),
        )),
    })
}

/// The ends that a header of version 2 names.
fn ends(header: &v2::Header<'_>) -> Option<Ends> {
    match header.addresses {
        _ if header.command == v2::Command::Local => None,
        v2::Addresses::IPv4(it) => Some(Ends::new(
            (it.source_address, it.source_port),
            (it.destination_address, it.destination_port),
        )),
        v2::Addresses::IPv6(it) => Some(Ends::new(
            (it.source_address, it.source_port),
            (it.destination_address, it.destination_port),
        )),
        v2::Addresses::Unix(_) | v2::Addresses::Unspecified => None,
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

/// Writes the header that names the client to a target, or says that the connection is our own if it
/// has no address; `hops` are those that the connection has come through, as [`Header::hops`].
///
/// # Errors
/// Never, since no such header is too long.
pub(crate) fn encode(version: ProxyVersion, ends: Option<Ends>, hops: u8) -> io::Result<Vec<u8>> {
    let addresses = ends.map(|ends| ends.of_one_family());
    let builder = match (version, addresses) {
        (ProxyVersion::V1, ends) => {
            let line = ends.map_or(v1::Addresses::Unknown, |ends| ends.into());
            return Ok(line.to_string().into_bytes());
        }
        (ProxyVersion::V2, Some(ends)) => v2::Builder::with_addresses(
            v2::Version::Two | v2::Command::Proxy,
            v2::Protocol::Stream,
            ends,
        ),
        (ProxyVersion::V2, None) => v2::Builder::new(v2::Version::Two | v2::Command::Local, 0),
    };
    match hops {
        0 => builder.build(),
        hops => builder.write_tlv(HOPS, &[hops])?.build(),
    }
}

impl Ends {
    fn new<A: Into<IpAddr>>(source: (A, u16), destination: (A, u16)) -> Ends {
        Ends { source: source.into(), destination: destination.into() }
    }

    /// Source and destination; a dual-stack socket reports IPv4 as IPv6, and a header has one family
    /// for both.
    fn of_one_family(self) -> (SocketAddr, SocketAddr) {
        let (mut from, mut to) =
            (self.source.ip().to_canonical(), self.destination.ip().to_canonical());
        if from.is_ipv4() != to.is_ipv4() {
            (from, to) = (v6(from).into(), v6(to).into());
        }
        (SocketAddr::new(from, self.source.port()), SocketAddr::new(to, self.destination.port()))
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
