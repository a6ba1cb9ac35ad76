//! Clients that come through a proxy, whose PROXY header names them before the stream.

use std::fmt::Display;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use asyncore::{Channel, Dispatcher, Error, Result, Socket, SocketMap, Timer, Token};

use crate::policy::Permit;
use crate::relay::dial::{self, Arrival};
use crate::relay::proxy_header::{Ends, Header};
use crate::worker_rule::WorkerRule;

/// Maximum time for a proxy to send its header, which is the first thing it does.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum bytes of one read; no header is longer.
const READ: usize = 4096;

/// A proxy's connection, until its header was read.
pub(crate) struct Preamble {
    worker_rule: Rc<WorkerRule>,
    proxy: SocketAddr,
    permit: Option<Permit>,
    /// At most two reads, since the first one either ends the header or is a part of it.
    received: Vec<u8>,
    timer: Option<Timer>,
}

/// Waits for the header of a proxy that was let in.
pub(crate) fn begin(
    ch: &mut Channel<'_>,
    worker_rule: &Rc<WorkerRule>,
    sock: Socket,
    proxy: SocketAddr,
    permit: Permit,
) {
    worker_rule.worker.begin();
    let preamble = Preamble {
        worker_rule: Rc::clone(worker_rule),
        proxy,
        permit: Some(permit),
        received: Vec::new(),
        timer: None,
    };
    let token = ch.add(preamble, sock);
    let timer = ch.call_later(TIMEOUT, move |map| {
        map.with(token, |preamble, ch| {
            preamble.refuse(ch, &format_args!("it was not complete after {TIMEOUT:?}"));
        });
        Ok(())
    });
    if let Some(preamble) = ch.get_mut(token) {
        preamble.timer = Some(timer);
    }
}

/// Ends a connection of which no header has come yet.
pub(crate) fn end(map: &mut SocketMap, token: Token<Preamble>) {
    map.with(token, |_preamble, ch| ch.abort());
}

impl Preamble {
    /// Resets the connection, which may be a client that pretends to be a proxy.
    fn refuse(&self, ch: &mut Channel<'_>, cause: &dyn Display) {
        tracing::warn!(
            rule = %self.worker_rule.rule.name,
            proxy = %self.proxy,
            "connection reset, no PROXY header: {cause}"
        );
        ch.abort();
    }

    /// Begins the connection of the client that the header named.
    fn hand_over(&mut self, ch: &mut Channel<'_>, header: &Header) {
        let Some(mut permit) = self.permit.take() else {
            return;
        };
        let client = header.ends.map_or(self.proxy, |Ends { source, .. }| source);
        if let Err(refusal) = self.worker_rule.state.identify(&mut permit, client.ip()) {
            tracing::debug!(
                rule = %self.worker_rule.rule.name,
                client = %client,
                proxy = %self.proxy,
                "refused: {refusal}"
            );
            return ch.abort();
        }
        let Some(sock) = ch.take_socket() else {
            return;
        };
        let arrival = Arrival {
            sock,
            client: Some(client),
            destination: header.ends.map(|ends| ends.destination),
            hops: header.hops,
            early: self.received.split_off(header.len),
            permit,
        };
        dial::begin(ch, &self.worker_rule, arrival);
    }
}

impl Dispatcher for Preamble {
    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        ch.with_buffer(READ, |ch, buf| {
            let n = ch.recv(buf)?;
            self.received.extend_from_slice(&buf[..n]);
            std::io::Result::Ok(())
        })?;
        match Header::read(&self.received) {
            Ok(Some(header)) => self.hand_over(ch, &header),
            Ok(None) => {}
            Err(malformed) => self.refuse(ch, &malformed),
        }
        Ok(())
    }

    fn handle_eof(&mut self, ch: &mut Channel<'_>) -> Result {
        if self.received.is_empty() {
            // A probe of the port sends nothing.
            ch.close();
        } else {
            self.refuse(ch, &"the stream ended within it");
        }
        Ok(())
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, error: Error) {
        self.refuse(ch, &error);
    }

    fn handle_close(&mut self, ch: &mut Channel<'_>) {
        if let Some(timer) = self.timer.take() {
            ch.cancel(timer);
        }
        self.worker_rule.worker.end();
    }
}

#[cfg(test)]
mod tests;
