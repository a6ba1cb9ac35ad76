//! Closing a connection on an operator's request.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use asyncore::{Channel, SocketMap, Token};
use asyncore_http::{Refusal, Reply, Response};

use super::hub::{Hub, INTERVAL};
use crate::relay::{self, CloseReason, Half};
use crate::udp::{self, Session};

/// The name of a connection, by which it can be closed: the number of its worker and the name of its
/// channel there, as in `0-17v3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionId {
    pub(crate) worker: usize,
    name: String,
}

/// Maximum length of a name: two numbers of 32 bits.
const MAX_NAME_LENGTH: usize = 24;

impl ConnectionId {
    /// The name of a worker's connection.
    pub(crate) fn new(worker: usize, token: Token) -> Self {
        ConnectionId { worker, name: format!("{token:?}").trim_start_matches('#').to_owned() }
    }

    /// Returns the channel of that name, if it is still there. It looks at all channels, which is
    /// quick enough for an operator's action.
    pub(crate) fn find(&self, map: &SocketMap) -> Option<Token> {
        let mut shown = String::with_capacity(MAX_NAME_LENGTH);
        let is_named = |token: &Token| {
            shown.clear();
            // Writing to a string cannot fail.
            let _ = write!(shown, "{token:?}");
            shown.strip_prefix('#') == Some(&self.name)
        };
        map.tokens().find(is_named)
    }
}

impl FromStr for ConnectionId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (worker, name) = text.split_once('-').ok_or(())?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric();
        if name.is_empty() || name.len() > MAX_NAME_LENGTH || !name.bytes().all(is_name) {
            return Err(());
        }
        Ok(ConnectionId { worker: worker.parse().map_err(|_| ())?, name: name.to_owned() })
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.worker, self.name)
    }
}

impl Hub {
    /// Ends a connection, and answers when its worker has done so.
    pub(super) fn end(
        &mut self,
        ch: &mut Channel<'_>,
        id: ConnectionId,
        reply: Reply,
    ) -> Result<(), Refusal> {
        let gone = "there is no such connection any more";
        let hub = ch.token::<Hub>();
        let home = self.home.clone();
        let worker = self.shared.workers().get(id.worker).ok_or_else(|| Refusal::new(404, gone))?;
        let asked = worker.trigger.pull_trigger(move |map| {
            let found = id.find(map).is_some_and(|token| end(map, token));
            // Without a hub there is no client either.
            let _ = home.pull_trigger(move |map| {
                let response = match found {
                    true => Response::text(200, "the connection is ended"),
                    false => Response::text(404, gone),
                };
                map.with(hub, |_, ch| reply.send(ch, response));
                Ok(())
            });
            Ok(())
        });
        asked.map_err(|error| {
            Refusal::new(503, format!("the connection's worker cannot be reached: {error}"))
        })?;
        ch.call_later(INTERVAL, move |map| {
            let late = "the connection's worker is busy, and ends it as soon as it can";
            map.with(hub, |_, ch| reply.send(ch, Response::text(503, late)));
            Ok(())
        });
        Ok(())
    }
}

/// Ends a connection of this worker; false if the channel is something else.
fn end(map: &mut SocketMap, token: Token) -> bool {
    if map.get::<Half>(token.cast()).is_some() {
        relay::end(map, token.cast(), CloseReason::Operator);
    } else if map.get::<Session>(token.cast()).is_some() {
        udp::end(map, token.cast(), CloseReason::Operator);
    } else {
        return false;
    }
    true
}

#[cfg(test)]
mod tests;
