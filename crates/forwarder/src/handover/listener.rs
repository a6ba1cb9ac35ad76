//! The running process's end: a process that connects gets the sockets, and takes over when it
//! serves.

use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use asyncore::{Channel, Dispatcher, Result, Socket, SocketMap, Token};
use rustix::net::sockopt;

use super::{FDS_PER_MESSAGE, Predecessor, SERVING, is_own, listen, send};
use crate::config::Listen;
use crate::shared::{Drain, Shared};

/// Processes that may have the sockets and not serve yet.
const MAX_SUCCESSORS: usize = 8;
/// Time that a process has between getting the sockets and serving.
const SUCCESSOR_TIMEOUT: Duration = Duration::from_secs(60);

/// Where the next process connects, on the control loop.
pub(crate) struct HandoverListener {
    shared: Arc<Shared>,
    successors: Vec<Token<Successor>>,
}

impl HandoverListener {
    /// Listens on `path`, in place of the predecessor if there is one.
    ///
    /// # Errors
    /// When it cannot be listened on, also because another process was faster to take over.
    pub(crate) fn start(
        map: &mut SocketMap,
        shared: &Arc<Shared>,
        path: &Path,
        predecessor: Option<&Predecessor>,
    ) -> anyhow::Result<()> {
        let (socket, file) = listen(path, predecessor)?;
        shared.files.add([(Listen::Unix(path.to_owned()), file)]);
        let shared = Arc::clone(shared);
        map.add(HandoverListener { shared, successors: Vec::new() }, Socket::try_from(socket)?);
        Ok(())
    }
}

impl Dispatcher for HandoverListener {
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
        if !is_own(peer.uid) {
            tracing::warn!("another user asked for the listening sockets, and got none");
            return Ok(());
        }
        self.successors.retain(|successor| ch.contains(*successor));
        // The one that has had the sockets for longest is the least likely to serve.
        if self.successors.len() == MAX_SUCCESSORS {
            give_up(ch, self.successors.remove(0));
        }
        let sockets = self.shared.kept.all();
        let successor = ch.add(
            Successor {
                pid: peer.pid.as_raw_nonzero().get().unsigned_abs(),
                shared: Arc::clone(&self.shared),
                total: sockets.len(),
                unsent: sockets,
                begun: false,
                serves: false,
            },
            sock,
        );
        ch.call_later(SUCCESSOR_TIMEOUT, move |map| {
            give_up(map, successor);
            Ok(())
        });
        self.successors.push(successor);
        Ok(())
    }
}

fn give_up(map: &mut SocketMap, successor: Token<Successor>) {
    if let Some(mut successor) = map.channel(successor) {
        successor.close();
    }
}

/// A process that is sent the sockets, until it serves.
struct Successor {
    pid: u32,
    shared: Arc<Shared>,
    total: usize,
    unsent: Vec<Arc<socket2::Socket>>,
    /// Set once the first message was sent; one is needed even if there are no sockets to hand over.
    begun: bool,
    serves: bool,
}

impl Dispatcher for Successor {
    fn writable(&self, _ch: &Channel<'_>) -> bool {
        !self.begun || !self.unsent.is_empty()
    }

    fn handle_write(&mut self, ch: &mut Channel<'_>) -> Result {
        while self.writable(ch) {
            let from = self.unsent.len().saturating_sub(FDS_PER_MESSAGE);
            let some: Vec<_> = self.unsent[from..].iter().map(|it| it.as_fd()).collect();
            ch.try_io(|fd| send(fd, self.total, &some))?;
            self.unsent.truncate(from);
            self.begun = true;
        }
        Ok(())
    }

    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        let mut buf = [0; SERVING.len()];
        let n = ch.recv(&mut buf)?;
        if n == 0 || buf[..n] != *SERVING {
            return Ok(());
        }
        self.serves = true;
        tracing::info!("another process has taken over, draining");
        // The page is the other process's as well from now on.
        if let Some(mut page) = self.shared.page().take().and_then(|page| ch.channel(page)) {
            page.close();
        }
        self.shared.drain(Drain::HandedOver { to: self.pid });
        ch.close();
        Ok(())
    }

    fn handle_close(&mut self, _ch: &mut Channel<'_>) {
        if !self.serves {
            tracing::warn!(
                pid = self.pid,
                "a process that asked for the sockets has not taken over"
            );
        }
    }
}
