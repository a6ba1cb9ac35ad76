//! Addresses that a socket is bound or connected to.

use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::net::{SocketAddrAny, SocketAddrUnix};
use socket2::SockAddr;

/// An address that a channel can bind or connect to, of any address family.
///
/// Every method with an address parameter accepts each type that converts into `Address`, such as
/// a [`SocketAddr`] or a path.
///
/// ```
/// use asyncore::Address;
/// use std::net::Ipv6Addr;
/// use std::path::Path;
///
/// assert_eq!(Address::from((Ipv6Addr::LOCALHOST, 80)).to_string(), "[::1]:80");
/// assert_eq!(Address::from(Path::new("/run/x.sock")).to_string(), "unix:/run/x.sock");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// An IPv4 or IPv6 address and a port.
    Inet(SocketAddr),
    /// The path of a Unix domain socket.
    Unix(Box<Path>),
    /// The name of a Unix domain socket in Linux's abstract namespace, without its leading zero
    /// byte.
    Abstract(Box<[u8]>),
    /// A Unix domain socket without a path, such as a client's end usually is.
    Unnamed,
}

impl Address {
    /// Returns the IP address and port, or `None` for a Unix address.
    pub fn inet(&self) -> Option<SocketAddr> {
        match self {
            Address::Inet(addr) => Some(*addr),
            Address::Unix(_) | Address::Abstract(_) | Address::Unnamed => None,
        }
    }

    /// Converts an address from the system. Unsupported address families count as unnamed.
    pub(crate) fn from_system(addr: Option<SocketAddrAny>) -> Address {
        let Some(addr) = addr else {
            return Address::Unnamed;
        };
        if let Ok(inet) = SocketAddr::try_from(addr.clone()) {
            return Address::Inet(inet);
        }
        let unix = SocketAddrUnix::try_from(addr).ok();
        if let Some(path) = unix.as_ref().and_then(SocketAddrUnix::path_bytes) {
            return Address::Unix(Path::new(OsStr::from_bytes(path)).into());
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let name = unix.as_ref().and_then(SocketAddrUnix::abstract_name);
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            return Address::Abstract(name.into());
        }
        Address::Unnamed
    }

    pub(crate) fn to_sock_addr(&self) -> io::Result<SockAddr> {
        match self {
            Address::Inet(addr) => Ok(SockAddr::from(*addr)),
            Address::Unix(path) => SockAddr::unix(path),
            Address::Abstract(name) => {
                // A path with a leading zero byte is a name in the abstract namespace.
                let mut path = vec![0];
                path.extend_from_slice(name);
                SockAddr::unix(OsStr::from_bytes(&path))
            }
            Address::Unnamed => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "an unnamed Unix socket cannot be an address; specify a path",
            )),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Inet(addr) => addr.fmt(f),
            Address::Unix(path) => {
                f.write_str("unix:")?;
                write_escaped(f, &path.to_string_lossy())
            }
            Address::Abstract(name) => {
                f.write_str("unix:@")?;
                write_escaped(f, &String::from_utf8_lossy(name))
            }
            Address::Unnamed => f.write_str("unix:"),
        }
    }
}

/// Writes `name` with its control characters escaped. A peer chooses its name, and must not be able
/// to forge log lines with it.
fn write_escaped(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    name.chars().try_for_each(|char| match char.is_control() {
        true => write!(f, "{}", char.escape_default()),
        false => f.write_char(char),
    })
}

impl From<SocketAddr> for Address {
    fn from(addr: SocketAddr) -> Self {
        Address::Inet(addr)
    }
}

impl From<SocketAddrV4> for Address {
    fn from(addr: SocketAddrV4) -> Self {
        Address::Inet(addr.into())
    }
}

impl From<SocketAddrV6> for Address {
    fn from(addr: SocketAddrV6) -> Self {
        Address::Inet(addr.into())
    }
}

impl<I: Into<IpAddr>> From<(I, u16)> for Address {
    fn from(addr: (I, u16)) -> Self {
        Address::Inet(addr.into())
    }
}

impl From<&Path> for Address {
    fn from(path: &Path) -> Self {
        Address::Unix(path.into())
    }
}

impl From<PathBuf> for Address {
    fn from(path: PathBuf) -> Self {
        Address::Unix(path.into())
    }
}

impl From<&Address> for Address {
    fn from(addr: &Address) -> Self {
        addr.clone()
    }
}
