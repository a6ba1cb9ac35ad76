//! A connection that is being made, and what was set before there is a socket for it.

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

/// Prepares the socket of one address that is tried.
pub(crate) type Prepare = Rc<dyn Fn(&mut Channel<'_>, SocketAddr) -> io::Result<()>>;

/// What a channel needs to connect, and does not need any more once it is connected.
#[derive(Default)]
pub(crate) struct Dial {
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) handshake_timeout: Option<Duration>,
    /// `set_nodelay` was called before there was a socket.
    pub(crate) nodelay: Option<bool>,
    /// Layers that were inserted before there was a socket.
    pub(crate) layers: Vec<Box<dyn Layer>>,
    pub(crate) host: Option<HostConnect>,
    /// The channel tries an address on behalf of another one.
    pub(crate) is_attempt: bool,
}

/// A connection to one of several addresses that is being made.
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

    /// The next address to try.
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

    /// The error to fail with when every address has failed.
    pub(crate) fn failure(&mut self) -> io::Error {
        let (name, tried) = (&self.name, self.tried);
        let what = match tried {
            0 | 1 => format!("cannot connect to {name}"),
            tried => {
                format!(
                    "cannot connect to {name}: none of its {tried} addresses answered, the last"
                )
            }
        };
        let error = self.last_error.take().unwrap_or(io::ErrorKind::NotConnected.into());
        context(error, what)
    }
}

/// A socket that the channel had before it was told to connect to a host. The first address of its
/// family is tried with it, further ones with sockets that are set up the same way.
pub(crate) struct PreparedSocket {
    transport: Option<Transport>,
    domain: Domain,
    /// The source address that it was bound to.
    source: Option<IpAddr>,
    options: Options,
}

/// The options that carry over to further sockets.
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
    /// What `transport`, a TCP socket that is not connected yet, was set up for.
    ///
    /// # Errors
    /// For a socket of another kind, and the system's.
    pub(crate) fn new(transport: Transport) -> io::Result<Self> {
        let local = match transport.local_addr()? {
            Address::Inet(local) => local,
            other => {
                let what = format!("the channel has a socket of another family ({other}) already");
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

    /// A socket for `addr`: the prepared one, or another like it that `open` makes.
    pub(crate) fn socket_for(
        &mut self,
        addr: SocketAddr,
        open: impl FnOnce(Domain, Type) -> io::Result<Transport>,
    ) -> io::Result<Transport> {
        if Domain::for_address(addr) != self.domain {
            let what = format!("{addr} is of another family than the socket of the channel");
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
    /// An option that the system does not tell is left at its default.
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
