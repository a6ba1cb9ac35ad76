//! The running process's end: who comes gets the sockets, and takes over when it serves.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use asyncore::{Channel, Dispatcher, Result, Socket, SocketMap, Token};
use rustix::net::sockopt;

use super::{SERVING, listen};
use crate::http::Server;
use crate::shared::{Drain, Shared};

/// Where the next process connects, on the first worker's loop.
pub(crate) struct Door {
    shared: Arc<Shared>,
    drain: Duration,
    status: Option<Token<Server>>,
    successor: Option<Token<Successor>>,
}

impl Door {
    /// Listens on `path`, which the process that was there before yields if it was `taken_over`.
    ///
    /// # Errors
    /// When it cannot be listened on.
    pub(crate) fn open(
        map: &mut SocketMap,
        shared: &Arc<Shared>,
        path: &Path,
        taken_over: bool,
        drain: Duration,
        status: Option<Token<Server>>,
    ) -> anyhow::Result<()> {
        let socket = listen(path, taken_over)
            .and_then(|socket| Ok(Socket::try_from(socket)?))
            .with_context(|| format!("cannot listen on {} for handing over", path.display()))?;
        let shared = Arc::clone(shared);
        map.add(Door { shared, drain, status, successor: None }, socket);
        Ok(())
    }
}

impl Dispatcher for Door {
    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        _peer: Option<SocketAddr>,
    ) -> Result {
        let Some(fd) = sock.descriptor() else {
            return Ok(());
        };
        let peer = sockopt::socket_peercred(fd)?;
        if peer.uid != rustix::process::geteuid() {
            tracing::warn!("another user asked for the listening sockets, and got none");
            return Ok(());
        }
        if self.successor.is_some_and(|successor| ch.contains(successor)) {
            tracing::warn!("a process asked for the listening sockets while another takes over");
            return Ok(());
        }
        self.shared.kept.send(fd)?;
        let shared = Arc::clone(&self.shared);
        let successor = Successor {
            pid: peer.pid.as_raw_nonzero().get().unsigned_abs(),
            shared,
            drain: self.drain,
            status: self.status,
            serves: false,
        };
        self.successor = Some(ch.add(successor, sock));
        Ok(())
    }
}

/// The process that has the sockets, until it serves.
struct Successor {
    pid: u32,
    shared: Arc<Shared>,
    drain: Duration,
    status: Option<Token<Server>>,
    serves: bool,
}

impl Dispatcher for Successor {
    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        let mut buf = [0; SERVING.len()];
        let n = ch.recv(&mut buf)?;
        if n == 0 || buf[..n] != *SERVING {
            return Ok(());
        }
        self.serves = true;
        tracing::info!("another process has taken over, draining");
        // Its page is the other process's as well from now on.
        if let Some(mut status) = self.status.and_then(|status| ch.channel(status)) {
            status.close();
        }
        self.shared.drain(Drain::HandedOver { to: self.pid }, self.drain);
        ch.close();
        Ok(())
    }

    fn handle_close(&mut self, _ch: &mut Channel<'_>) {
        if !self.serves {
            tracing::warn!("the process that asked for the sockets has gone without taking over");
        }
    }
}
