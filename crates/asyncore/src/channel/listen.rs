//! Making a socket, and accepting connections on it.

use std::io;
use std::net::SocketAddr;

use rustix::io::Errno;
use socket2::{Domain, SockRef, Type};

use crate::address::Address;
use crate::channel::Channel;
use crate::channel::transfer::no_socket;
use crate::connection::Phase;
use crate::poller::Interest;
use crate::socket::Socket;
use crate::transport::Transport;

/// How many connections that were given up one `accept` passes over.
const SKIPPED_AT_ONCE: usize = 64;

impl Channel<'_> {
    /// Makes a new non-blocking socket for the channel; one it had before is closed.
    ///
    /// # Errors
    /// When the system refuses one, for example because the process has no descriptors left.
    pub fn create_socket(&mut self, domain: Domain, kind: Type) -> io::Result<()> {
        let transport = Transport::open(self.map.network.as_ref(), domain, kind)?;
        self.set_socket(Socket { transport, peer: None, phase: Phase::Created });
        let nodelay = self.slot().and_then(|slot| slot.dial.as_ref()?.nodelay);
        if let Some(nodelay) = nodelay.filter(|_| kind == Type::STREAM) {
            self.set_nodelay(nodelay)?;
        }
        Ok(())
    }

    /// Lets the address be bound again while connections of an earlier listener linger.
    ///
    /// A system that refuses does so in `bind` too, with a better reason, so this tells nothing.
    pub fn set_reuse_addr(&mut self) {
        let _ = self.with_sock_ref(|sock| sock.set_reuse_address(true));
    }

    /// Lets several sockets of this user share the port, between which the system spreads the
    /// connections: one loop per thread, each with its own listener.
    ///
    /// # Errors
    /// When the system does not have it.
    pub fn set_reuse_port(&mut self) -> io::Result<()> {
        #[cfg(not(any(target_os = "solaris", target_os = "illumos")))]
        return self.with_sock_ref(|sock| sock.set_reuse_port(true));
        #[cfg(any(target_os = "solaris", target_os = "illumos"))]
        Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no SO_REUSEPORT"))
    }

    /// Whether an IPv6 socket takes IPv6 only; with `false` it is dual-stack, whatever the
    /// system's default.
    ///
    /// # Errors
    /// The system's, for a socket that is not IPv6 or is bound already.
    pub fn set_only_v6(&mut self, only: bool) -> io::Result<()> {
        self.with_sock_ref(|sock| sock.set_only_v6(only))
    }

    /// Sends small pieces at once instead of waiting for earlier ones to be acknowledged.
    ///
    /// Before there is a socket it is remembered for the one that
    /// [`connect_host`](Channel::connect_host) or `create_socket` makes.
    ///
    /// # Errors
    /// The system's, for a socket that is not TCP.
    pub fn set_nodelay(&mut self, nodelay: bool) -> io::Result<()> {
        if !self.has_socket() {
            if let Some(dial) = self.map.dial(self.key) {
                dial.nodelay = Some(nodelay);
            }
            return Ok(());
        }
        self.with_sock_ref(|sock| sock.set_tcp_nodelay(nodelay))
    }

    /// Binds the socket to an address; port 0 lets the system choose, and
    /// [`local_addr`](Channel::local_addr) tells.
    ///
    /// # Errors
    /// An address that is in use, or not this machine's: the error names it.
    pub fn bind(&mut self, addr: impl Into<Address>) -> io::Result<()> {
        let addr = addr.into();
        self.transport()?.bind(&addr)?;
        let bound = self.transport()?.local_addr().unwrap_or(addr);
        if let Some(slot) = self.slot_mut() {
            slot.addr = Some(bound);
        }
        Ok(())
    }

    /// Makes the socket a listener, with room for `backlog` connections that wait to be accepted.
    ///
    /// Too little room costs a busy server most of its connections' speed; 1,024 is a good value,
    /// and the system has a limit of its own (`net.core.somaxconn`).
    ///
    /// # Errors
    /// The system's.
    pub fn listen(&mut self, backlog: u32) -> io::Result<()> {
        self.transport()?.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        let Some(slot) = self.slot_mut() else {
            return Err(no_socket());
        };
        slot.connection.begin_listening();
        slot.listener = Some(Box::default());
        tracing::info!(target: "asyncore", channel = ?self, "listening");
        self.touch();
        Ok(())
    }

    /// Accepts one connection; `None` when none waits, when there is no room for one, or when the
    /// listener was closed.
    ///
    /// A connection that its peer gave up while it waited is skipped. At the map's
    /// [`max_channels`](crate::MapBuilder::max_channels) the listener pauses until a channel has
    /// ended. When the system cannot give a connection, having no descriptors or memory left, that
    /// is logged once, and the listener tries again after a pause of 10 ms to 1 s, or when a
    /// channel has ended.
    ///
    /// # Errors
    /// `NotConnected` without a socket.
    pub fn accept(&mut self) -> io::Result<Option<(Socket, Option<SocketAddr>)>> {
        let Some(slot) = self.slot_mut().filter(|slot| !slot.connection.is_ending()) else {
            return Ok(None);
        };
        slot.attempted = slot.attempted | Interest::READ;
        if self.map.len() > self.map.settings.max_channels {
            self.map.pause_listener(self.key);
            return Ok(None);
        }
        for _ in 0..SKIPPED_AT_ONCE {
            match self.transport()?.accept() {
                Ok((transport, peer)) => {
                    self.map.stats.accepted += 1;
                    self.map.listener_recovered(self.key);
                    let addr = peer.inet();
                    return Ok(Some((Socket::accepted(transport, peer), addr)));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    self.map.back_off(self.key, &error);
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }

    pub(super) fn has_socket(&self) -> bool {
        self.slot().is_some_and(|slot| slot.transport.is_some())
    }

    pub(super) fn with_sock_ref(
        &mut self,
        set: impl FnOnce(SockRef<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        match self.transport()?.fd() {
            Some(fd) => set(SockRef::from(&fd)),
            // A simulated network has no options, and behaves as if they were set.
            None => Ok(()),
        }
    }
}

/// Whether it was one connection that failed while it waited, and not the accepting.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::CONNABORTED
                | Errno::CONNRESET
                | Errno::PROTO
                | Errno::INTR
                | Errno::PERM
                | Errno::TIMEDOUT
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
                | Errno::NOPROTOOPT
        )
    )
}
