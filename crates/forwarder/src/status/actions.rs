//! Closing a connection on request.

use asyncore::{Channel, SocketMap, Token};
use asyncore_http::{Refusal, Reply, Response};

use super::hub::{Hub, INTERVAL};
use super::id::ConnectionId;
use crate::relay::{self, CloseReason, Half};
use crate::udp::{self, Session};

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
            // Whoever asked has gone if this cannot be told.
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
