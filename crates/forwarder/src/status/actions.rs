//! Closing a connection on an operator's request.

use std::fmt;
use std::str::FromStr;

use asyncore::{Channel, SocketMap, Token};
use asyncore_http::{Refusal, Reply, Response};

use super::hub::{Hub, INTERVAL};
use crate::registry::Number;
use crate::relay::{self, CloseReason, Half};
use crate::udp::{self, Session};
use crate::worker::Worker;

/// A worker's number and a connection's number there, as in `0-17`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionId {
    pub(crate) worker: usize,
    pub(crate) number: Number,
}

impl FromStr for ConnectionId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (worker, number) = text.split_once('-').ok_or(())?;
        // Not with a sign, which numbers may have otherwise.
        if !worker.bytes().chain(number.bytes()).all(|byte| byte.is_ascii_digit()) {
            return Err(());
        }
        let number = number.parse().map_err(|_| ())?;
        Ok(ConnectionId { worker: worker.parse().map_err(|_| ())?, number })
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.worker, self.number)
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
        let token = worker.token;
        let asked = worker.trigger.pull_trigger(move |map| {
            let channel = Worker::registry(map, token).and_then(|it| it.find(id.number));
            let found = channel.is_some_and(|channel| end(map, channel));
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
