//! Accepting clients.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use asyncore::{Channel, Dispatcher, Socket, SocketMap, Token};
use socket2::{Domain, Type};

use super::{Connection, Service};

/// Maximum number of clients at once. A further client displaces the quietest one, so that idle
/// connections cannot keep probes and monitors out.
pub(crate) const MAX_CONNECTIONS: usize = 128;
/// More than browsers and monitors open at once.
const BACKLOG: i32 = 128;

/// A socket that listens on `addr`; port 0 lets the system choose one.
///
/// # Errors
/// An address that is in use, or not this machine's.
pub(crate) fn listen(addr: SocketAddr) -> io::Result<socket2::Socket> {
    let addr = crate::bind::usable(addr);
    let socket = socket2::Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    // Answers leave whole, so there is nothing to gain by waiting for more to send.
    socket.set_tcp_nodelay(true)?;
    if addr.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Lets clients in and begins their dialogues.
pub(crate) struct Server {
    service: Rc<dyn Service>,
    clients: Vec<Token<Connection>>,
}

impl Server {
    /// Serves on a socket that [`listen`] made, until its channel is closed.
    ///
    /// # Errors
    /// When the socket is none that listens.
    pub(crate) fn start(
        map: &mut SocketMap,
        socket: socket2::Socket,
        service: Rc<dyn Service>,
    ) -> io::Result<Token<Self>> {
        let socket = Socket::try_from(socket)?;
        Ok(map.add(Server::new(service), socket))
    }

    /// Ends the service, also of clients that are being served.
    pub(crate) fn stop(&mut self, ch: &mut Channel<'_>) {
        for client in self.clients.drain(..) {
            if let Some(mut client) = ch.channel(client) {
                client.close();
            }
        }
        ch.close();
    }

    pub(crate) fn new(service: Rc<dyn Service>) -> Self {
        Server { service, clients: Vec::new() }
    }

    /// Closes the connection that has made no progress for longest. One that waits for an answer,
    /// or takes one, is closed only if all do.
    fn displace_quietest(&mut self, ch: &mut Channel<'_>) {
        let now = ch.now();
        let quiet = |client: Token<Connection>| {
            let idle = ch.channel_stats(client.untyped()).map(|stats| stats.idle);
            let connection = ch.get(client);
            let reading = connection.and_then(|it| it.reading_for(now)).max(idle);
            (connection.is_some_and(|it| !it.is_answering(ch, client)), reading)
        };
        // Among equals the last is chosen, so the oldest has to come last.
        let quietest = (0..self.clients.len()).rev().max_by_key(|at| quiet(self.clients[*at]));
        let Some(client) = quietest.map(|at| self.clients.remove(at)) else {
            return;
        };
        if let Some(mut channel) = ch.channel(client) {
            tracing::debug!(client = ?channel.addr(), "an idle client gives way to a new one");
            channel.close();
        }
    }
}

impl Dispatcher for Server {
    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        _peer: Option<SocketAddr>,
    ) -> asyncore::Result {
        if self.clients.len() >= MAX_CONNECTIONS {
            self.clients.retain(|client| ch.contains(*client));
        }
        if self.clients.len() >= MAX_CONNECTIONS {
            self.displace_quietest(ch);
        }
        self.clients.push(Connection::start(ch, sock, Rc::clone(&self.service)));
        Ok(())
    }
}
