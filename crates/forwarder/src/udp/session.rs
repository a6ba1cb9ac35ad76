//! One client's datagrams, to and from one target.

use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;

use asyncore::{Channel, Dispatcher, Domain, Error, Result, SocketMap, Token, Type};

use crate::fault::{self, Shortage};
use crate::policy::Assignment;
use crate::relay::{Connection, Ending, Side, report_failure};
use crate::serving::Serving;
use crate::udp::listener::Listener;
use crate::udp::{BURST, DATAGRAM};

/// A client's socket towards its target.
pub(crate) struct Session {
    listener: Token<Listener>,
    client: SocketAddr,
    pub(crate) connection: Rc<Connection>,
    /// The target has sent something.
    answered: bool,
}

/// Opens a session for a client that has none, if it is let in and a target can be sent to.
///
/// To be called by the listener.
pub(crate) fn open(
    ch: &mut Channel<'_>,
    serving: &Rc<Serving>,
    client: SocketAddr,
) -> Option<Token<Session>> {
    let permit = match serving.state.admit(ch.now(), Some(client.ip())) {
        Ok(permit) => permit,
        Err(refusal) => {
            tracing::debug!(rule = %serving.rule.name, client = %client, "refused: {refusal}");
            return None;
        }
    };
    let connection = Connection::new(Rc::clone(serving), Some(client), permit, ch.now());
    let opened = assign(ch, &connection, client);
    if opened.is_none() {
        connection.discard();
    }
    opened
}

/// Connects to the target whose turn it is; a failure at once goes on to the next.
fn assign(
    ch: &mut Channel<'_>,
    connection: &Rc<Connection>,
    client: SocketAddr,
) -> Option<Token<Session>> {
    let serving = &connection.serving;
    let listener = ch.token::<Listener>();
    loop {
        let tried = &connection.tried;
        let index = serving.state.choose(ch.now(), Some(client.ip()), &tried.borrow())?;
        tried.borrow_mut().push(index);
        let addrs = serving.addresses[index].borrow();
        let Some(addrs) = addrs.as_deref().filter(|addrs| !addrs.is_empty()) else {
            let target = serving.state.targets()[index].endpoint();
            tracing::debug!(rule = %serving.rule.name, %target, "no address of the target is known");
            continue;
        };
        let assignment = serving.state.targets()[index].assign(ch.now());
        let session = ch.add_with(|ch| {
            connect(ch, addrs)?;
            ch.set_timeout(serving.rule.timeouts.udp_session);
            let connection = Rc::clone(connection);
            Ok(Session { listener, client, connection, answered: false })
        });
        match session {
            Ok(session) => {
                connection.assignment.replace(Some(assignment));
                let now = ch.now();
                let target = ch.channel(session).and_then(|session| session.addr().cloned());
                connection.capture(target.as_ref(), |captures, subject| {
                    captures.tap_datagrams(subject, now)
                });
                return Some(session);
            }
            Err(error) => {
                let shortage = fault::shortage_in(&error);
                report_failure(connection, &assignment, ch.now(), &error, shortage);
                if shortage == Some(Shortage::General) {
                    return None;
                }
            }
        }
    }
}

/// Connects to the first of the addresses that there is a way to.
fn connect(ch: &mut Channel<'_>, addrs: &[SocketAddr]) -> io::Result<()> {
    let mut outcome = Ok(());
    for addr in addrs {
        ch.create_socket(Domain::for_address(*addr), Type::DGRAM)?;
        outcome = ch.connect(*addr);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// Ends a session for a reason of our own.
pub(crate) fn end(map: &mut SocketMap, session: Token<Session>, ending: Ending) {
    map.with(session, |session, ch| session.end(ch, ending));
}

impl Session {
    /// Sends a datagram to the target, or loses it as the network might. False if the target
    /// refuses: the session has ended then.
    pub(crate) fn forward(&mut self, ch: &mut Channel<'_>, datagram: &[u8]) -> bool {
        if !self.allows(ch, datagram.len()) {
            return true;
        }
        self.show(ch, Side::Client, datagram);
        match ch.send(datagram) {
            Ok(_) => true,
            Err(error) if concerns_one_datagram(&error) => {
                tracing::debug!(client = %self.client, "cannot send a datagram: {error}");
                true
            }
            Err(error) => {
                self.fail(ch, &error, fault::shortage_in(&error));
                false
            }
        }
    }

    /// Sends a datagram back to the client.
    fn answer(&mut self, ch: &mut Channel<'_>, datagram: &[u8]) {
        if !self.answered {
            self.answered = true;
            self.note_answer();
        }
        if !self.allows(ch, datagram.len()) {
            return;
        }
        self.show(ch, Side::Target, datagram);
        let Some(mut listener) = ch.channel(self.listener) else {
            return;
        };
        if let Err(error) = listener.send_to(datagram, self.client) {
            tracing::debug!(client = %self.client, "cannot send a datagram back: {error}");
        }
    }

    /// Tells those who capture the session what goes through.
    fn show(&self, ch: &Channel<'_>, from: Side, datagram: &[u8]) {
        if let Some(tap) = &mut *self.connection.tap.borrow_mut() {
            tap.data(from, datagram, ch.now());
        }
    }

    fn note_answer(&self) {
        let assignment = self.connection.assignment.borrow();
        if assignment.as_ref().is_some_and(Assignment::succeeded) {
            let target = self.connection.target();
            tracing::info!(target = target, "the target is well again");
        }
    }

    /// Whether the limits on bytes let a datagram through. It is not held up until they do: a
    /// datagram that comes late is of less use than one that is lost.
    fn allows(&self, ch: &Channel<'_>, len: usize) -> bool {
        let Some(throttle) = &self.connection.throttle else {
            return true;
        };
        let (mut throttle, len) = (throttle.borrow_mut(), len as u64);
        let Ok(granted) = throttle.grant(ch.now(), len) else {
            return false;
        };
        let whole = granted >= len;
        throttle.spend(ch.now(), if whole { len } else { 0 });
        whole
    }

    /// The target refuses, or cannot be reached any more.
    fn fail(&mut self, ch: &mut Channel<'_>, error: &dyn Display, shortage: Option<Shortage>) {
        if let Some(assignment) = &*self.connection.assignment.borrow() {
            report_failure(&self.connection, assignment, ch.now(), error, shortage);
        }
        self.end(ch, Ending::Failed(Side::Target, error.to_string()));
    }

    pub(crate) fn end(&mut self, ch: &mut Channel<'_>, ending: Ending) {
        self.connection.note_ending(ending);
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
                        self.fail(ch, &error, fault::shortage_in(&error));
                        break;
                    }
                }
            }
            Ok(())
        })
    }

    fn handle_timeout(&mut self, ch: &mut Channel<'_>) -> Result {
        self.end(ch, Ending::Idle);
        Ok(())
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, error: Error) {
        let shortage = fault::shortage(error.chain());
        self.fail(ch, &error, shortage);
    }

    fn handle_close(&mut self, ch: &mut Channel<'_>) {
        let stats = ch.stats();
        self.connection.note_bytes(Side::Client, stats.bytes_out);
        self.connection.note_bytes(Side::Target, stats.bytes_in);
        self.connection.finish(ch);
        let (client, this) = (self.client, ch.token::<Session>());
        ch.with(self.listener, |listener, ch| listener.forget(ch, client, this));
    }
}
