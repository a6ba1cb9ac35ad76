//! How listening addresses, and addresses to connect to, are written.
//!
//! | text | listening | connecting |
//! |---|---|---|
//! | `8080`, `:8080` | 127.0.0.1, port 8080 | the same |
//! | `localhost:8080` | 127.0.0.1 | whatever the name means |
//! | `10.0.0.5:80`, `[fd00::5]:80` | that address only | that address |
//! | `example.com:80` | — | the name's addresses, looked up again and again |
//! | `0.0.0.0:80` | every IPv4 address | — |
//! | `*:80`, `[::]:80` | every address, IPv4 and IPv6 | — |
//! | `udp:5353`, `udp:10.0.0.5:53` | as above, for datagrams | — (the listener decides) |
//! | `unix:/run/x.sock` | that socket, of at most 107 bytes | the same |
//!
//! A port alone never opens the machine to the network: that takes an address or a `*`. Port 0 is
//! for listening only, and takes any free port.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::host;
use super::invalid::{Invalid, quoted};
use super::model::{Endpoint, Listen};
use super::value::{Written, written};

/// What the system's address of a Unix socket has room for.
pub(super) const UNIX_PATH_MAX: usize = 107;

impl FromStr for Listen {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Listen::Unix(unix_path(path, text)?));
        }
        match text.strip_prefix("udp:") {
            Some(rest) => Ok(Listen::Udp(listening(rest, text)?)),
            None => Ok(Listen::Tcp(listening(text, text)?)),
        }
    }
}

impl FromStr for Endpoint {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Endpoint::Unix(unix_path(path, text)?));
        }
        if let Some(rest) = text.strip_prefix("udp:") {
            return Err(Invalid::new(format!(
                "{} names a protocol, which only a listening address does: write {}",
                quoted(text),
                quoted(rest)
            )));
        }
        let (host, port) = split(text)?;
        if port == 0 {
            return Err(Invalid::new(format!(
                "{} has port 0, which nothing can connect to: write a port from 1 to 65535",
                quoted(text)
            )));
        }
        Ok(Endpoint::Host(connecting(host, port, text)?, port))
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

impl Written for Listen {
    const WHAT: &'static str = "an address to listen on, such as \"127.0.0.1:8080\"";
    const EXAMPLES: &'static [&'static str] =
        &["127.0.0.1:8080", "*:80", "[::1]:80", "udp:5353", "unix:/run/x.sock"];
}

written!(Listen);

impl Listen {
    /// The listening address for an IP address (or `localhost`, or `*`) that stands without a port.
    ///
    /// # Errors
    ///
    /// When `host` is something else, such as a name.
    pub fn tcp(host: &str, port: u16) -> Result<Self, Invalid> {
        Ok(Listen::Tcp(SocketAddr::new(own_address(bare(host), port, host)?, port)))
    }
}

impl Endpoint {
    /// The address to connect to for a name or an IP address that stands without a port.
    ///
    /// # Errors
    ///
    /// When `host` is neither, or an address that means "every address", or `port` is 0.
    pub fn host(host: &str, port: u16) -> Result<Self, Invalid> {
        let bare = bare(host);
        if bare.is_empty() {
            let what = quoted(host);
            return Err(Invalid::new(format!(
                "{what} is empty: write a name, or an address such as 10.0.0.5"
            )));
        }
        let text =
            if bare.contains(':') { format!("[{bare}]:{port}") } else { format!("{bare}:{port}") };
        text.parse()
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn listening(text: &str, whole: &str) -> Result<SocketAddr, Invalid> {
    let (host, port) = split(text)?;
    match host {
        Host::None => Ok((Ipv4Addr::LOCALHOST, port).into()),
        Host::V6(address) => Ok(address.into()),
        Host::Other(host) => Ok(SocketAddr::new(own_address(host, port, whole)?, port)),
    }
}

fn own_address(host: &str, port: u16, whole: &str) -> Result<IpAddr, Invalid> {
    if host == "*" {
        return Ok(Ipv6Addr::UNSPECIFIED.into());
    }
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    host.parse().map_err(|_| {
        Invalid::new(format!(
            "{} is not an address to listen on: write an IP address of this machine such as \
             127.0.0.1:{port}, or *:{port} for all of them",
            quoted(whole)
        ))
    })
}

fn connecting(host: Host<'_>, port: u16, whole: &str) -> Result<String, Invalid> {
    let (name, address) = match host {
        Host::None => return Ok(Ipv4Addr::LOCALHOST.to_string()),
        Host::V6(address) if address.scope_id() != 0 => {
            return Ok(format!("{}%{}", address.ip(), address.scope_id()));
        }
        Host::V6(address) => (address.ip().to_string(), Some(IpAddr::V6(*address.ip()))),
        Host::Other(name) => (name.to_owned(), name.parse().ok()),
    };
    if name == "*" || address.is_some_and(|ip| ip.to_canonical().is_unspecified()) {
        return Err(Invalid::new(format!(
            "{} stands for every address, and a connection goes to one: write 127.0.0.1:{port} for \
             this machine",
            quoted(whole)
        )));
    }
    if address.is_none() {
        host::check(&name, whole)?;
    }
    Ok(name)
}

/// What stands before the port.
enum Host<'a> {
    None,
    /// It was in brackets.
    V6(SocketAddrV6),
    Other(&'a str),
}

fn split(text: &str) -> Result<(Host<'_>, u16), Invalid> {
    if text.is_empty() {
        return Err(Invalid::new("'' is empty: write an address such as 10.0.0.5:80"));
    }
    if let Some((_, rest)) = text.split_once("://") {
        let rest = rest.split('/').next().unwrap_or_default();
        let remedy = if rest.contains(':') { rest.to_owned() } else { format!("{rest}:PORT") };
        return Err(Invalid::new(format!(
            "{} is a URL: write its host and port only, {}",
            quoted(text),
            quoted(&remedy)
        )));
    }
    if text.starts_with('[') {
        return bracketed(text);
    }
    match text.rsplit_once(':') {
        None if text.bytes().all(|b| b.is_ascii_digit()) => Ok((Host::None, port(text, text)?)),
        None => Err(Invalid::new(format!(
            "{} has no port: write {}",
            quoted(text),
            quoted(&format!("{text}:80"))
        ))),
        Some((host, _)) if host.contains(':') => Err(Invalid::new(format!(
            "{} has too many colons: write an IPv6 address in brackets, such as [::1]:8080",
            quoted(text)
        ))),
        Some(("", digits)) => Ok((Host::None, port(digits, text)?)),
        Some((host, digits)) => Ok((Host::Other(host), port(digits, text)?)),
    }
}

fn bracketed(text: &str) -> Result<(Host<'_>, u16), Invalid> {
    let digits = text.rsplit_once("]:").map(|(_, digits)| digits).ok_or_else(|| {
        Invalid::new(format!("{} has no port: write it as in [::1]:8080", quoted(text)))
    })?;
    let port = port(digits, text)?;
    let address = text.parse().map_err(|_| {
        Invalid::new(format!(
            "{} has something else than an IPv6 address in its brackets: write it as in \
             [::1]:{port}, and an interface by its number, as in [fe80::1%2]:{port}",
            quoted(text)
        ))
    })?;
    Ok((Host::V6(address), port))
}

fn port(digits: &str, whole: &str) -> Result<u16, Invalid> {
    let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
    number.ok_or_else(|| {
        Invalid::new(format!(
            "{} in {} is not a port: write a number from 0 to 65535",
            quoted(digits),
            quoted(whole)
        ))
    })
}

fn unix_path(path: &str, whole: &str) -> Result<PathBuf, Invalid> {
    let wrong = if path.is_empty() {
        "has no path: write it as in unix:/run/x.sock".to_owned()
    } else if path.starts_with('@') {
        "is an abstract socket, which is not supported: write a path as in unix:/run/x.sock"
            .to_owned()
    } else if path.contains('\0') {
        "contains a zero byte: write a path as in unix:/run/x.sock".to_owned()
    } else if path.len() > UNIX_PATH_MAX {
        let length = path.len();
        format!("has a path of {length} bytes: choose one of at most {UNIX_PATH_MAX}")
    } else {
        return Ok(Path::new(path).to_owned());
    };
    Err(Invalid::new(format!("{} {wrong}", quoted(whole))))
}
