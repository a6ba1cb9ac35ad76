//! A connection in progress, and the settings made before its socket exists.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use socket2::{Domain, SockRef, Type};

use crate::address::Address;
use crate::channel::Channel;
use crate::error::context;
use crate::layer::Layer;
use crate::timer::TimerKey;
use crate::token::Key;
use crate::transport::Transport;

/// A callback that prepares the socket for one connection attempt.
pub(crate) type Prepare = Rc<dyn Fn(&mut Channel<'_>, SocketAddr) -> io::Result<()>>;

/// The state that a channel needs only until it is connected.
#[derive(Default)]
pub(crate) struct Dial {
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) handshake_timeout: Option<Duration>,
    /// The argument of a `set_nodelay` call made before the socket existed.
    pub(crate) nodelay: Option<bool>,
    /// Layers that were inserted before the socket existed.
    pub(crate) layers: Vec<Box<dyn Layer>>,
    pub(crate) host: Option<HostConnect>,
    /// The channel tries an address on behalf of another one.
    pub(crate) is_attempt: bool,
}

impl Dial {
    /// Returns whether nothing here matters once the channel is connected: no layer and no limit
    /// for a later handshake.
    pub(crate) fn is_over(&self) -> bool {
        !self.is_attempt && self.layers.is_empty() && self.handshake_timeout.is_none()
    }
}

/// A connection in progress to one of several addresses.
pub(crate) struct HostConnect {
    name: String,
    left: VecDeque<SocketAddr>,
    pub(crate) attempts: Vec<Key>,
    pub(crate) timer: Option<TimerKey>,
    tried: usize,
    last_error: Option<io::Error>,
    pub(crate) prepare: Option<Prepare>,
    pub(crate) prepared: Option<PreparedSocket>,
}

impl HostConnect {
    pub(crate) fn new(
        name: String,
        prepare: Option<Prepare>,
        prepared: Option<PreparedSocket>,
    ) -> Self {
        HostConnect {
            name,
            left: VecDeque::new(),
            attempts: Vec::new(),
            timer: None,
            tried: 0,
            last_error: None,
            prepare,
            prepared,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn set_addresses(&mut self, addrs: Vec<SocketAddr>) {
        self.left = addrs.into();
    }

    /// Takes the next address to try.
    pub(crate) fn next_address(&mut self) -> Option<SocketAddr> {
        let addr = self.left.pop_front()?;
        self.tried += 1;
        Some(addr)
    }

    pub(crate) fn has_more(&self) -> bool {
        !self.left.is_empty()
    }

    pub(crate) fn note_failure(&mut self, error: io::Error) {
        self.last_error = Some(error);
    }

    /// Returns the error of the connection, after every address has failed.
    pub(crate) fn failure(&mut self) -> io::Error {
        let (name, tried) = (&self.name, self.tried);
        let what = match tried {
            0 | 1 => format!("cannot connect to {name}"),
            tried => format!("cannot connect to {name}: all {tried} addresses failed, last error"),
        };
        let error = self.last_error.take().unwrap_or(io::ErrorKind::NotConnected.into());
        context(error, what)
    }
}

/// A socket that the channel had before it began to connect to a host. The first attempt to an
/// address of its family uses it; further attempts use sockets with the same settings.
pub(crate) struct PreparedSocket {
    transport: Option<Transport>,
    domain: Domain,
    /// The source address that the socket was bound to.
    source: Option<IpAddr>,
    options: Options,
}

/// The socket options that are copied to further sockets.
#[derive(Default)]
struct Options {
    nodelay: bool,
    keepalive: bool,
    reuse_address: bool,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    mark: u32,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    device: Option<Vec<u8>>,
}

impl PreparedSocket {
    /// Reads the settings of `transport`, a TCP socket that is not connected yet.
    ///
    /// # Errors
    /// If the socket is of another kind, and every error of the system.
    pub(crate) fn new(transport: Transport) -> io::Result<Self> {
        let local = match transport.local_addr()? {
            Address::Inet(local) => local,
            other => {
                let what = format!(
                    "the channel already has a socket of another address family ({other}); connect \
                     before creating a socket, or create a TCP socket"
                );
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
        };
        let is_bound = local.port() != 0 || !local.ip().is_unspecified();
        let options = match transport.fd() {
            Some(fd) => Options::read(&SockRef::from(&fd)),
            None => Options::default(),
        };
        Ok(PreparedSocket {
            transport: Some(transport),
            domain: Domain::for_address(local),
            source: is_bound.then_some(local.ip()),
            options,
        })
    }

    /// Returns a socket for `addr`: the prepared one, or one that `open` creates, with the same
    /// settings.
    ///
    /// # Errors
    /// [`AddrNotAvailable`](io::ErrorKind::AddrNotAvailable) if `addr` is of another address family
    /// than the prepared socket, and every error of the system.
    pub(crate) fn socket_for(
        &mut self,
        addr: SocketAddr,
        open: impl FnOnce(Domain, Type) -> io::Result<Transport>,
    ) -> io::Result<Transport> {
        if Domain::for_address(addr) != self.domain {
            let what = format!("{addr} is not of the address family of the channel's socket");
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, what));
        }
        if let Some(transport) = self.transport.take() {
            return Ok(transport);
        }
        let transport = open(self.domain, Type::STREAM)?;
        if let Some(fd) = transport.fd() {
            self.options.write(&SockRef::from(&fd))?;
        }
        if let Some(source) = self.source {
            transport.bind(&SocketAddr::new(source, 0).into())?;
        }
        Ok(transport)
    }
}

impl Options {
    /// Reads the options of `socket`. An option that the system does not report keeps its default.
    fn read(socket: &SockRef<'_>) -> Self {
        Options {
            nodelay: socket.tcp_nodelay().unwrap_or(false),
            keepalive: socket.keepalive().unwrap_or(false),
            reuse_address: socket.reuse_address().unwrap_or(false),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            mark: socket.mark().unwrap_or(0),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            device: socket.device().ok().flatten(),
        }
    }

    fn write(&self, socket: &SockRef<'_>) -> io::Result<()> {
        if self.nodelay {
            socket.set_tcp_nodelay(true)?;
        }
        if self.keepalive {
            socket.set_keepalive(true)?;
        }
        if self.reuse_address {
            socket.set_reuse_address(true)?;
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            if self.mark != 0 {
                socket.set_mark(self.mark)?;
            }
            if self.device.is_some() {
                socket.bind_device(self.device.as_deref())?;
            }
        }
        Ok(())
    }
}
