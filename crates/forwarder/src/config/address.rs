//! Addresses to listen on, and addresses to connect to.
//!
//! | text | listening | connecting |
//! |---|---|---|
//! | `8080`, `:8080` | 127.0.0.1, port 8080 | the same |
//! | `localhost:8080` | 127.0.0.1 | the addresses of the name |
//! | `10.0.0.5:80`, `[fd00::5]:80` | that address only | that address |
//! | `example.com:80` | — | the addresses of the name, looked up periodically |
//! | `0.0.0.0:80` | every IPv4 address | — |
//! | `*:80`, `[::]:80` | every address, IPv4 and IPv6 | — |
//! | `udp:5353`, `udp:10.0.0.5:53` | as above, for datagrams | — (the listener decides) |
//! | `unix:/run/x.sock` | that socket, of at most 107 bytes | the same |
//!
//! A port alone never opens the machine to the network: that takes an address or a `*`. Port 0 is
//! for listening only, and takes any free port.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::diagnostic::ParseError;
use super::host_port::{Host, check_name, corrected, split};
use super::notation::Notation;

/// Maximum length of the path of a Unix socket: the system's address has room for no more.
pub(super) const MAX_UNIX_PATH: usize = 107;

/// Where a rule listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Listen {
    /// For connections. The unspecified IPv6 address takes IPv4 as well.
    Tcp(SocketAddr),
    /// For datagrams. The unspecified IPv6 address takes IPv4 as well.
    Udp(SocketAddr),
    /// For connections on this machine.
    Unix(PathBuf),
}

/// An address to connect to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// A name or an address, and a port.
    Host(String, u16),
    /// A socket on this machine.
    Unix(PathBuf),
}

impl FromStr for Listen {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parse = |text: &str| match text.split_once(':') {
            Some(("unix", path)) => unix_path(path, text).map(Listen::Unix),
            Some(("udp", rest)) => listening(rest, text).map(Listen::Udp),
            _ => listening(text, text).map(Listen::Tcp),
        };
        parse(text).map_err(|error| corrected(text, error, |text| parse(text).is_ok()))
    }
}

impl FromStr for Endpoint {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parse = |text: &str| match text.split_once(':') {
            Some(("unix", path)) => unix_path(path, text).map(Endpoint::Unix),
            _ => connecting(text),
        };
        parse(text).map_err(|error| corrected(text, error, |text| parse(text).is_ok()))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp(address) => address.fmt(f),
            Listen::Udp(address) => write!(f, "udp:{address}"),
            Listen::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Host(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Endpoint::Host(host, port) => write!(f, "{host}:{port}"),
            Endpoint::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Notation for Listen {
    type Value = Self;
    const EXPECTED: &'static str = "an address to listen on, such as \"127.0.0.1:8080\"";
    const EXAMPLES: &'static [&'static str] =
        &["127.0.0.1:8080", "*:80", "[::1]:80", "udp:5353", "unix:/run/x.sock"];

    fn parse(text: &str) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl Listen {
    /// The listening address for an IP address, `localhost` or `*` without a port.
    ///
    /// # Errors
    /// When `host` is something else, such as a name.
    pub fn tcp(host: &str, port: u16) -> Result<Self, ParseError> {
        Ok(Listen::Tcp(SocketAddr::new(own_address(bare(host), port, host)?, port)))
    }
}

impl Endpoint {
    /// The address to connect to for a name or an IP address without a port.
    ///
    /// # Errors
    /// When `host` is neither, or an address that means "every address", or `port` is 0.
    pub fn host(host: &str, port: u16) -> Result<Self, ParseError> {
        let bare = bare(host);
        if bare.is_empty() {
            let problem = "is empty: write a name, or an address such as 10.0.0.5";
            return Err(ParseError::of(host, problem));
        }
        connecting(&if bare.contains(':') {
            format!("[{bare}]:{port}")
        } else {
            format!("{bare}:{port}")
        })
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn listening(text: &str, whole: &str) -> Result<SocketAddr, ParseError> {
    let (host, port) = split(text)?;
    match host {
        Host::None => Ok((Ipv4Addr::LOCALHOST, port).into()),
        Host::V6(address) => Ok(address.into()),
        Host::Other(host) => Ok(SocketAddr::new(own_address(host, port, whole)?, port)),
    }
}

fn own_address(host: &str, port: u16, whole: &str) -> Result<IpAddr, ParseError> {
    if host == "*" {
        return Ok(Ipv6Addr::UNSPECIFIED.into());
    }
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    let problem = "is not an address to listen on: write an IP address of this machine such as";
    host.parse().map_err(|_| {
        ParseError::of(whole, format!("{problem} 127.0.0.1:{port}, or *:{port} for all of them"))
    })
}

fn connecting(text: &str) -> Result<Endpoint, ParseError> {
    let (host, port) = split(text)?;
    if port == 0 {
        let problem = "has port 0, which nothing can connect to: write a port from 1 to 65535";
        return Err(ParseError::of(text, problem));
    }
    let (name, address) = match host {
        Host::None => (Ipv4Addr::LOCALHOST.to_string(), Some(Ipv4Addr::LOCALHOST.into())),
        Host::V6(address) if address.scope_id() != 0 => {
            (format!("{}%{}", address.ip(), address.scope_id()), Some(IpAddr::V6(*address.ip())))
        }
        Host::V6(address) => (address.ip().to_string(), Some(IpAddr::V6(*address.ip()))),
        Host::Other(name) => (name.to_owned(), name.parse().ok()),
    };
    if name == "*" || address.is_some_and(|ip| ip.to_canonical().is_unspecified()) {
        let problem = "means every address, and a connection goes to one: write";
        return Err(ParseError::of(text, format!("{problem} 127.0.0.1:{port} for this machine")));
    }
    if address.is_none() {
        check_name(&name, text)?;
    }
    Ok(Endpoint::Host(name, port))
}

fn unix_path(path: &str, whole: &str) -> Result<PathBuf, ParseError> {
    let problem = if path.is_empty() {
        "has no path: write it as in unix:/run/x.sock".to_owned()
    } else if path.starts_with('@') {
        "is an abstract socket, which is not supported: write a path as in unix:/run/x.sock"
            .to_owned()
    } else if path.contains('\0') {
        "contains a zero byte: write a path as in unix:/run/x.sock".to_owned()
    } else if path.len() > MAX_UNIX_PATH {
        let length = path.len();
        format!("has a path of {length} bytes: choose one of at most {MAX_UNIX_PATH}")
    } else {
        return Ok(Path::new(path).to_owned());
    };
    Err(ParseError::of(whole, problem))
}
