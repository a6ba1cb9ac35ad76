//! One client's datagrams, to and from one target.

use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use asyncore::{Channel, Dispatcher, Error, Result, SocketMap, Token};

use crate::exhaustion::{self, Exhaustion};
use crate::policy::{DatagramDrop, HealthState, TargetState};
use crate::relay::{CloseReason, Connection, Side};
use crate::udp::listener::Listener;
use crate::udp::{BURST, DATAGRAM};
use crate::worker_rule::WorkerRule;

/// How long an answer to the last datagram may take once the listener drains, and how long a session
/// that is never answered goes on then.
const DRAIN_ANSWER: Duration = Duration::from_secs(5);
/// Silence after the last answer that ends a session once the listener drains.
const DRAIN_SILENCE: Duration = Duration::from_millis(500);

/// A client's socket towards its target.
pub(crate) struct Session {
    listener: Token<Listener>,
    client: SocketAddr,
    pub(crate) connection: Rc<Connection>,
    /// The target has sent something.
    answered: bool,
    /// When the first of those datagrams was sent that the target has not answered.
    unanswered_since: Option<Instant>,
    draining: bool,
    /// It is worth a line of the access log, unlike one that met a refusal which was logged before.
    is_worth_a_line: bool,
}

/// Ends a session for a reason of our own.
pub(crate) fn end(map: &mut SocketMap, session: Token<Session>, reason: CloseReason) {
    map.with(session, |session, ch| session.end(ch, reason));
}

impl Session {
    pub(super) fn new(
        listener: Token<Listener>,
        client: SocketAddr,
        connection: Rc<Connection>,
    ) -> Self {
        Session {
            listener,
            client,
            connection,
            answered: false,
            unanswered_since: None,
            draining: false,
            is_worth_a_line: true,
        }
    }

    /// Sends a datagram to the target, or loses it as the network might. False if the target
    /// refuses: the session has ended then.
    pub(crate) fn forward(&mut self, ch: &mut Channel<'_>, datagram: &[u8]) -> bool {
        if !self.allows(ch, datagram.len()) {
            return true;
        }
        if self.unanswered_since.is_none() {
            self.unanswered_since = Some(ch.now());
            if self.draining {
                ch.set_timeout(DRAIN_ANSWER);
            }
        }
        self.show(ch, Side::Client, datagram);
        match ch.send(datagram) {
            Ok(_) => true,
            Err(error) if concerns_one_datagram(&error) => {
                self.lose(&error);
                true
            }
            Err(error) => {
                self.fail(ch, &error, exhaustion::exhaustion_in(&error));
                false
            }
        }
    }

    /// Sends a datagram back to the client.
    fn answer(&mut self, ch: &mut Channel<'_>, datagram: &[u8]) {
        if !self.answered {
            self.answered = true;
            self.connection.note_up();
        }
        if self.unanswered_since.take().is_some() && self.draining {
            ch.set_timeout(DRAIN_SILENCE);
        }
        if !self.allows(ch, datagram.len()) {
            return;
        }
        self.show(ch, Side::Target, datagram);
        let Some(mut listener) = ch.channel(self.listener) else {
            return;
        };
        if let Err(error) = listener.send_to(datagram, self.client) {
            self.lose(&error);
        }
    }

    /// Ends the session if the client's next datagram is to go to another target: when this one has
    /// left the rule, or has not answered for the time after which a client is forgotten, or is down
    /// while another one is up. Returns the targets to try last.
    pub(crate) fn end_if_outlived(
        &mut self,
        ch: &mut Channel<'_>,
        worker_rule: &Rc<WorkerRule>,
    ) -> Option<Vec<usize>> {
        let target =
            self.connection.assignment.borrow().as_ref().map(|it| Arc::clone(it.target()))?;
        let (targets, now) = (worker_rule.state.targets(), ch.now());
        let is_same_rule = Rc::ptr_eq(worker_rule, &self.connection.worker_rule);
        if !is_same_rule && !targets.iter().any(|it| Arc::ptr_eq(it, &target)) {
            self.end(ch, CloseReason::Removed);
            return Some(Vec::new());
        }
        let is_other = |it: &&Arc<TargetState>| !Arc::ptr_eq(it, &target) && it.takes_new();
        let mut others = targets.iter().filter(is_other).peekable();
        others.peek()?;
        let limit = worker_rule.rule.udp_session;
        let unanswered = self.unanswered_since.map(|since| now.saturating_duration_since(since));
        let why = if unanswered.is_some_and(|time| time >= limit) {
            format!("it has not answered for {}", humantime::format_duration(limit))
        } else if target.health().state(now) == HealthState::Down
            && others.any(|it| it.health().is_up(now))
        {
            "its health checks fail".to_owned()
        } else {
            return None;
        };
        self.end(ch, CloseReason::Failed(Side::Target, why));
        Some(if is_same_rule { self.connection.tried.take() } else { Vec::new() })
    }

    /// Ends the session as soon as nothing is on its way: a client that is merely remembered does
    /// not hold the end of the process up.
    pub(crate) fn drain(&mut self, ch: &mut Channel<'_>) {
        self.draining = true;
        if self.unanswered_since.is_none() {
            if ch.stats().idle >= DRAIN_SILENCE {
                return self.end(ch, CloseReason::Idle);
            }
            return ch.set_timeout(DRAIN_SILENCE);
        }
        ch.set_timeout(DRAIN_ANSWER);
        let this = ch.token::<Session>();
        ch.call_later(DRAIN_ANSWER, move |map| {
            // What flows one way has no end.
            map.with(this, |session, ch| {
                if !session.answered {
                    session.end(ch, CloseReason::Idle);
                }
            });
            Ok(())
        });
    }

    /// Tells those who capture the session what goes through.
    fn show(&self, ch: &Channel<'_>, from: Side, datagram: &[u8]) {
        if let Some(tap) = &mut *self.connection.tap.borrow_mut() {
            tap.data(from, datagram, ch.now());
        }
    }

    /// Whether the limits on bytes let a datagram through. It is not held up until they do: a
    /// datagram that comes late is of less use than one that is lost.
    fn allows(&self, ch: &Channel<'_>, len: usize) -> bool {
        let Some(throttle) = &self.connection.throttle else {
            return true;
        };
        let (mut throttle, len) = (throttle.borrow_mut(), len as u64);
        let whole = match throttle.grant(ch.now(), len) {
            Ok(granted) => {
                let whole = granted >= len;
                throttle.spend(ch.now(), if whole { len } else { 0 });
                whole
            }
            Err(_) => false,
        };
        if !whole {
            self.connection.worker_rule.state.counts().note_dropped(DatagramDrop::Limit);
        }
        whole
    }

    /// Counts a datagram that the system did not send.
    fn lose(&self, error: &io::Error) {
        tracing::debug!(client = %self.client, "cannot send a datagram: {error}");
        self.connection.worker_rule.state.counts().note_dropped(DatagramDrop::NotSent);
    }

    /// The target refuses, or cannot be reached any more.
    fn fail(&mut self, ch: &mut Channel<'_>, error: &dyn Display, exhaustion: Option<Exhaustion>) {
        if let Some(assignment) = &*self.connection.assignment.borrow() {
            let is_news = self.connection.note_failure(assignment, ch.now(), error, exhaustion);
            self.is_worth_a_line = is_news || self.answered;
        }
        self.end(ch, CloseReason::Failed(Side::Target, error.to_string()));
    }

    pub(crate) fn end(&mut self, ch: &mut Channel<'_>, reason: CloseReason) {
        self.connection.note_close(reason);
        ch.close();
    }
}

/// Whether an error is about what was sent, or about this machine, and not about the target.
fn concerns_one_datagram(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MSGSIZE | Errno::NOBUFS | Errno::NOMEM | Errno::PERM | Errno::INTR)
    )
}

impl Dispatcher for Session {
    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        ch.with_buffer(DATAGRAM, |ch, buf| {
            for _ in 0..BURST {
                match ch.recv(buf) {
                    Ok(n) => self.answer(ch, &buf[..n]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => {
                        self.fail(ch, &error, exhaustion::exhaustion_in(&error));
                        break;
                    }
                }
            }
            Ok(())
        })
    }

    fn handle_timeout(&mut self, ch: &mut Channel<'_>) -> Result {
        self.end(ch, CloseReason::Idle);
        Ok(())
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, error: Error) {
        let exhaustion = exhaustion::exhaustion(error.chain());
        self.fail(ch, &error, exhaustion);
    }

    fn handle_close(&mut self, ch: &mut Channel<'_>) {
        let stats = ch.stats();
        self.connection.note_bytes(Side::Client, stats.bytes_out);
        self.connection.note_bytes(Side::Target, stats.bytes_in);
        self.connection.finish(ch, self.is_worth_a_line);
        let (client, this) = (self.client, ch.token::<Session>());
        ch.with(self.listener, |listener, ch| listener.forget(ch, client, this));
    }
}
