//! Accepting clients.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use asyncore::{Channel, Dispatcher, Socket, SocketMap, Token};

use crate::{Connection, Service};

/// Accepts clients and starts their connections.
pub struct Server {
    service: Rc<dyn Service>,
    clients: Vec<Token<Connection>>,
}

impl Server {
    /// Makes the handler for a listening socket.
    pub fn new(service: impl Service) -> Self {
        Server { service: Rc::new(service), clients: Vec::new() }
    }

    /// Serves on a listening socket until its channel is closed.
    ///
    /// # Errors
    /// When the socket cannot be used.
    pub fn start(
        map: &mut SocketMap,
        socket: impl TryInto<Socket, Error = io::Error>,
        service: impl Service,
    ) -> io::Result<Token<Self>> {
        Ok(map.add(Server::new(service), socket.try_into()?))
    }

    /// Stops, and closes the connections of all clients.
    pub fn stop(&mut self, ch: &mut Channel<'_>) {
        for client in self.clients.drain(..) {
            if let Some(mut client) = ch.channel(client) {
                client.close();
            }
        }
        ch.close();
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

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("clients", &self.clients).finish_non_exhaustive()
    }
}

impl Dispatcher for Server {
    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        _peer: Option<SocketAddr>,
    ) -> asyncore::Result {
        let limit = self.service.max_connections();
        if self.clients.len() >= limit {
            self.clients.retain(|client| ch.contains(*client));
        }
        if self.clients.len() >= limit {
            self.displace_quietest(ch);
        }
        self.clients.push(Connection::start(ch, sock, Rc::clone(&self.service)));
        Ok(())
    }
}
