//! The trait of what answers requests.

use asyncore::{Channel, SocketMap, Token};

use crate::{Connection, Request, Response};

/// Answers the requests of all connections of a [`Server`](crate::Server).
pub trait Service: 'static {
    /// Answers `request` at once, or keeps `reply` to answer later.
    fn respond(&self, ch: &mut Channel<'_>, request: &Request, reply: Reply) -> Answer;

    /// Maximum number of clients at once. A further client displaces the quietest one, so that idle
    /// connections cannot keep others out.
    fn max_connections(&self) -> usize;

    /// Maximum length of a request's body in bytes; longer ones are refused with 413.
    fn max_body(&self) -> usize {
        64 * 1024
    }

    /// Header lines of every response, each with its line end.
    fn headers(&self) -> &'static str {
        ""
    }

    /// Whether connections stay open for the next request.
    fn keeps_connections(&self) -> bool {
        true
    }

    /// Logs an answer; without a request, that a client was refused.
    fn log(&self, ch: &Channel<'_>, request: Option<&Request>, response: &Response) {
        tracing::debug!(
            client = ch.addr().map(tracing::field::display),
            request = request.map(tracing::field::display),
            status = response.status(),
            "http"
        );
    }
}

/// The outcome of [`Service::respond`].
pub enum Answer {
    /// The response.
    Now(Response),
    /// The [`Reply`] brings it. A connection that hears nothing for its idle timeout is closed.
    Later,
}

/// The place of a late answer. Only the first answer is sent.
#[derive(Clone, Copy, Debug)]
pub struct Reply {
    pub(crate) connection: Token<Connection>,
    /// The number of the request on its connection.
    pub(crate) request: u64,
}

impl Reply {
    /// Whether the client is still there.
    pub fn is_awaited(&self, map: &SocketMap) -> bool {
        map.contains(self.connection)
    }

    /// Answers, unless the client has gone or was answered before.
    pub fn send(self, ch: &mut Channel<'_>, response: Response) {
        ch.with(self.connection, |connection, ch| {
            connection.answer_late(ch, self.request, response);
        });
    }
}
