//! Who answers requests.

use asyncore::{Channel, SocketMap, Token};

use super::{Connection, Request, Response};

/// Answers the requests of all connections of a [`Server`](super::Server).
pub(crate) trait Service: 'static {
    /// Answers `request` at once, or keeps `reply` to answer later.
    fn respond(&self, ch: &mut Channel<'_>, request: &Request, reply: Reply) -> Answer;

    /// Whether a connection stays open for the next request.
    fn keeps_connections(&self) -> bool {
        true
    }
}

/// What a [`Service`] makes of a request.
pub(crate) enum Answer {
    Now(Response),
    /// The [`Reply`] brings it. A connection that hears nothing for its idle time is closed.
    Later,
}

/// Whom a late answer is for; only the first one is sent.
#[derive(Clone, Copy)]
pub(crate) struct Reply {
    pub(super) connection: Token<Connection>,
    /// Which of the connection's requests.
    pub(super) request: u64,
}

impl Reply {
    /// Whether the client is still there.
    pub(crate) fn is_awaited(&self, map: &SocketMap) -> bool {
        map.contains(self.connection)
    }

    /// Answers, unless the client has gone or was answered before.
    pub(crate) fn send(self, ch: &mut Channel<'_>, response: Response) {
        ch.with(self.connection, |connection, ch| {
            connection.answer_late(ch, self.request, response);
        });
    }
}
