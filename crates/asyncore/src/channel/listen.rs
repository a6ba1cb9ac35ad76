//! Creating a socket, and accepting connections on it.

use std::io;
use std::net::SocketAddr;

use rustix::io::Errno;
use socket2::{Domain, SockRef, Type};

use crate::address::Address;
use crate::channel::Channel;
use crate::channel::transfer::no_socket;
use crate::connection::Phase;
use crate::poller::Interest;
use crate::slot::Slot;
use crate::socket::Socket;
use crate::transport::Transport;

/// Maximum number of aborted connections that one `accept` skips.
const MAX_SKIPPED_CONNECTIONS: usize = 64;

impl Channel<'_> {
    /// Creates a new non-blocking socket for the channel, and closes the one it had before.
    ///
    /// # Errors
    /// Fails if the system refuses a socket, for example because the process has no descriptors
    /// left.
    pub fn create_socket(&mut self, domain: Domain, kind: Type) -> io::Result<()> {
        let transport = Transport::open(self.map.network.as_ref(), domain, kind)?;
        self.set_socket(Socket { transport, peer: None, phase: Phase::Created });
        let nodelay = self.slot().and_then(|slot| slot.dial.as_ref()?.nodelay);
        if let Some(nodelay) = nodelay.filter(|_| kind == Type::STREAM) {
            self.set_nodelay(nodelay)?;
        }
        Ok(())
    }

    /// Allows binding the address again while connections of an earlier listener linger.
    ///
    /// This returns no error: if the system refuses the option, `bind` fails, with a better reason.
    pub fn set_reuse_addr(&mut self) {
        let _ = self.with_sock_ref(|sock| sock.set_reuse_address(true));
    }

    /// Allows several sockets of this user to share the port. The system spreads the connections
    /// over them: one loop per thread, each with its own listener.
    ///
    /// # Errors
    /// Fails if the system has no such option.
    pub fn set_reuse_port(&mut self) -> io::Result<()> {
        #[cfg(not(any(target_os = "solaris", target_os = "illumos")))]
        return self.with_sock_ref(|sock| sock.set_reuse_port(true));
        #[cfg(any(target_os = "solaris", target_os = "illumos"))]
        Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no SO_REUSEPORT"))
    }

    /// Sets whether an IPv6 socket accepts IPv6 only. With `false` it is dual-stack, whatever the
    /// system's default.
    ///
    /// # Errors
    /// Returns the system's error for a socket that is not IPv6 or is already bound.
    pub fn set_only_v6(&mut self, only: bool) -> io::Result<()> {
        self.with_sock_ref(|sock| sock.set_only_v6(only))
    }

    /// Sets `TCP_NODELAY`: sends small pieces at once instead of waiting until earlier ones are
    /// acknowledged.
    ///
    /// On a channel without a socket, this applies to the socket that
    /// [`connect_host`](Channel::connect_host) or `create_socket` creates later.
    ///
    /// # Errors
    /// Returns the system's error for a socket that is not TCP.
    pub fn set_nodelay(&mut self, nodelay: bool) -> io::Result<()> {
        if !self.has_socket() {
            if let Some(dial) = self.map.dial(self.key) {
                dial.nodelay = Some(nodelay);
            }
            return Ok(());
        }
        self.with_sock_ref(|sock| sock.set_tcp_nodelay(nodelay))
    }

    /// Binds the socket to an address. With port 0 the system chooses a port, which
    /// [`local_addr`](Channel::local_addr) returns.
    ///
    /// # Errors
    /// Fails if the address is in use or does not belong to this machine; the error names it.
    pub fn bind(&mut self, addr: impl Into<Address>) -> io::Result<()> {
        let addr = addr.into();
        self.transport()?.bind(&addr)?;
        let bound = self.transport()?.local_addr().unwrap_or(addr);
        if let Some(slot) = self.slot_mut() {
            slot.addr = Some(bound);
        }
        Ok(())
    }

    /// Makes the socket a listener, with room for `backlog` connections waiting to be accepted.
    ///
    /// A backlog that is too small slows down most connections to a busy server. 1,024 is a good
    /// value; the system has a limit of its own (`net.core.somaxconn`).
    ///
    /// # Errors
    /// Returns the system's error.
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

    /// Accepts one connection. Returns `None` if no connection is waiting, if the map or the system
    /// has no room for one, or if the listener is paused or closed.
    ///
    /// A connection that its peer aborted while it waited is skipped. At the map's
    /// [`max_channels`](crate::MapBuilder::max_channels) the listener pauses until a channel has
    /// ended. If the system has no descriptors or memory left for a connection, the listener logs
    /// that at most once a minute and tries again after a pause of 10 ms to 1 s, or when a channel
    /// has ended.
    ///
    /// # Errors
    /// Fails with `NotConnected` if the channel has no socket.
    pub fn accept(&mut self) -> io::Result<Option<(Socket, Option<SocketAddr>)>> {
        let is_held_back = self.map.is_held_back(self.key);
        let accepts = |slot: &&mut Slot| !slot.connection.is_ending() && !is_held_back;
        let Some(slot) = self.slot_mut().filter(accepts) else {
            return Ok(None);
        };
        slot.progress = slot.progress | Interest::READ;
        if self.map.len() > self.map.settings.max_channels {
            self.map.pause_listener(self.key);
            return Ok(None);
        }
        for _ in 0..MAX_SKIPPED_CONNECTIONS {
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
            // A simulated network has no socket options, and behaves as if they were set.
            None => Ok(()),
        }
    }
}

/// Returns whether the error concerns one waiting connection, and not the listener.
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
