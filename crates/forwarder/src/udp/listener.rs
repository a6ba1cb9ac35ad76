//! The socket that clients send to.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;

use asyncore::{Channel, Dispatcher, Error, Result, Token};

use crate::relay::CloseReason;
use crate::shared::Drain;
use crate::udp::session::Session;
use crate::udp::{BURST, DATAGRAM, dial};
use crate::worker_rule::WorkerRule;

/// A rule's socket, and the sessions of its clients.
///
/// Their number is bounded by the rule's limit on connections.
pub(crate) struct Listener {
    pub(crate) worker_rule: Rc<WorkerRule>,
    sessions: HashMap<SocketAddr, Token<Session>>,
    draining: Option<Drain>,
}

impl Listener {
    pub(crate) fn new(worker_rule: Rc<WorkerRule>) -> Self {
        Listener { worker_rule, sessions: HashMap::new(), draining: None }
    }

    /// Closes when the last session has ended, which is soon for those that nothing is on its way
    /// for. Until then their answers still go through it, and so do clients' datagrams unless those
    /// are another process's to receive; new clients are not let in by the rule.
    pub(crate) fn drain(&mut self, ch: &mut Channel<'_>, why: Drain) {
        self.draining = Some(why);
        for session in self.sessions.values() {
            ch.with(*session, Session::drain);
        }
        self.close_if_drained(ch);
    }

    fn close_if_drained(&self, ch: &mut Channel<'_>) {
        if self.draining.is_some() && self.sessions.is_empty() {
            ch.close();
        }
    }

    /// A session has ended.
    pub(crate) fn forget(
        &mut self,
        ch: &mut Channel<'_>,
        client: SocketAddr,
        session: Token<Session>,
    ) {
        // The client may have another one by now.
        if self.sessions.get(&client) == Some(&session) {
            self.sessions.remove(&client);
        }
        self.close_if_drained(ch);
    }

    fn forward(&mut self, ch: &mut Channel<'_>, client: SocketAddr, datagram: &[u8]) {
        // The system may report only now that the target refused an earlier datagram: this one
        // then goes to the next target.
        for _ in 0..2 {
            let Some(session) = self.session(ch, client) else {
                return;
            };
            if ch.with(session, |session, ch| session.forward(ch, datagram)) == Some(true) {
                return;
            }
        }
    }

    /// The client's session, or a new one when it has none that can be used.
    fn session(&mut self, ch: &mut Channel<'_>, client: SocketAddr) -> Option<Token<Session>> {
        let known = self.sessions.get(&client).copied();
        let open = known.filter(|session| ch.channel(*session).is_some_and(|it| !it.is_closing()));
        let mut tried = Vec::new();
        if let Some(session) = open {
            let outlived = |session: &mut Session, ch: &mut Channel<'_>| {
                session.end_if_outlived(ch, &self.worker_rule)
            };
            match ch.with(session, outlived).flatten() {
                None => return open,
                Some(targets) => tried = targets,
            }
        }
        match dial::open(ch, &self.worker_rule, client, tried) {
            Ok(session) => {
                self.sessions.insert(client, session);
                Some(session)
            }
            Err(reason) => {
                self.worker_rule.state.counts().note_dropped(reason);
                None
            }
        }
    }
}

impl Dispatcher for Listener {
    fn readable(&self, _ch: &Channel<'_>) -> bool {
        !matches!(self.draining, Some(Drain::HandedOver { .. }))
    }

    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        ch.with_buffer(DATAGRAM, |ch, buf| {
            for _ in 0..BURST {
                let (n, from) = ch.recv_from(buf)?;
                if let Some(client) = from.inet() {
                    self.forward(ch, client, &buf[..n]);
                }
            }
            Ok(())
        })
    }

    /// What failed was one datagram: the socket stays.
    fn handle_error(&mut self, _ch: &mut Channel<'_>, error: Error) {
        tracing::warn!(rule = %self.worker_rule.rule.name, "cannot receive a datagram: {error}");
    }

    /// Sessions cannot outlive the address that their answers come from.
    fn handle_close(&mut self, ch: &mut Channel<'_>) {
        for (_, session) in self.sessions.drain() {
            ch.with(session, |session, ch| session.end(ch, CloseReason::Removed));
        }
    }
}
