//! Completing a connection, or its failure.

use std::io;

use crate::connection::Act;
use crate::error::context;
use crate::map::SocketMap;
use crate::poller::Readiness;
use crate::slot::Notices;
use crate::token::Key;

impl SocketMap {
    /// Handles a ready socket that was connecting: it is connected, or it has failed.
    pub(crate) fn connect_ready(&mut self, key: Key, ready: Readiness) {
        let Some(slot) = self.slots.get(key) else {
            return;
        };
        let Some(transport) = &slot.transport else {
            return;
        };
        let failed = ready.hangup || ready.error;
        if !failed && self.poller.reports_failed_connects() {
            return self.connected(key);
        }
        match transport.take_error() {
            Ok(None) if !failed => self.connected(key),
            outcome => {
                let error = match outcome {
                    Ok(Some(error)) | Err(error) => error,
                    Ok(None) => io::ErrorKind::ConnectionAborted.into(),
                };
                let what = match &slot.addr {
                    Some(addr) => format!("cannot connect to {addr}"),
                    None => "cannot connect".to_owned(),
                };
                self.connect_failed(key, context(error, what));
            }
        }
    }

    pub(crate) fn connected(&mut self, key: Key) {
        self.lift_phase_limit(key);
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        slot.traffic.last = self.now;
        if slot.layered().is_some_and(|layered| !layered.is_ready()) {
            slot.connection.begin_handshake();
            self.limit_phase(key, self.handshake_timeout(key));
            return self.shake_hands(key);
        }
        // An idle connection does not keep what was needed to make it.
        slot.dial.take_if(|dial| dial.is_over());
        if slot.connection.established() {
            self.note(key, Notices::CONNECT);
        } else {
            self.note_waiting_output(key, true);
        }
        self.note(key, Notices::SEND);
        self.touch(key);
        tracing::debug!(target: "asyncore", channel = ?self.channel_mut(key), "connected");
    }

    /// Passes a failure to connect to `handle_error`, and closes the socket.
    pub(crate) fn connect_failed(&mut self, key: Key, error: io::Error) {
        self.lift_phase_limit(key);
        self.abandon_host(key);
        // The socket is of no more use; a handler that keeps the channel may create another.
        self.close_transport(key);
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let act = slot.connection.connect_failed();
        self.fail(key, error.into());
        if act == Act::Close {
            self.note(key, Notices::CLOSE);
        }
    }

    pub(crate) fn connect_timed_out(&mut self, key: Key) {
        let Some(slot) = self.slots.get(key) else {
            return;
        };
        // After a delay of the loop, the time limit may pass before the loop sees that the socket
        // is connected.
        if self.is_made(key) {
            return self.connected(key);
        }
        let host = slot.dial.as_ref().and_then(|dial| dial.host.as_ref());
        let attempts = host.map_or(&[][..], |host| &host.attempts);
        if let Some(made) = attempts.iter().copied().find(|attempt| self.is_made(*attempt)) {
            return self.attempt_succeeded(key, made);
        }
        let limit = self.connect_timeout(key);
        let to = match (&slot.addr, host) {
            (_, Some(host)) => host.name().to_owned(),
            (Some(addr), None) => addr.to_string(),
            (None, None) => "the peer".to_owned(),
        };
        let what = format!("cannot connect to {to}: no answer in {limit:?}");
        self.connect_failed(key, io::Error::new(io::ErrorKind::TimedOut, what));
    }

    /// Returns whether the channel's socket is connected, even if the loop has not seen that yet.
    fn is_made(&self, key: Key) -> bool {
        let transport = self.slots.get(key).and_then(|slot| slot.transport.as_ref());
        transport.is_some_and(|transport| transport.peer_addr().is_ok())
    }
}
