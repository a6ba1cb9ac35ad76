//! Opening a session: its client is let in, and a target is chosen.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use asyncore::{Channel, Domain, Token, Type};

use crate::exhaustion::{self, Exhaustion};
use crate::policy::DatagramDrop;
use crate::relay::Connection;
use crate::udp::listener::Listener;
use crate::udp::session::Session;
use crate::worker_rule::WorkerRule;

/// Opens a session for a client that has none, if it is let in and a target can be sent to: one that
/// is not among those `tried`, if there is such a one.
///
/// To be called by the listener.
pub(crate) fn open(
    ch: &mut Channel<'_>,
    worker_rule: &Rc<WorkerRule>,
    client: SocketAddr,
    tried: Vec<usize>,
) -> Result<Token<Session>, DatagramDrop> {
    let permit = worker_rule.state.admit(ch.now(), Some(client.ip())).map_err(|refusal| {
        tracing::debug!(rule = %worker_rule.rule.name, client = %client, "refused: {refusal}");
        DatagramDrop::Refused
    })?;
    let connection = Connection::new(Rc::clone(worker_rule), Some(client), permit, ch.now());
    let tries_again = !tried.is_empty();
    connection.tried.replace(tried);
    let mut opened = assign(ch, &connection, client);
    if opened.is_none() && tries_again {
        connection.tried.take();
        opened = assign(ch, &connection, client);
    }
    opened.ok_or_else(|| {
        connection.discard();
        DatagramDrop::NoTarget
    })
}

/// Connects to the target whose turn it is; a failure at once goes on to the next.
fn assign(
    ch: &mut Channel<'_>,
    connection: &Rc<Connection>,
    client: SocketAddr,
) -> Option<Token<Session>> {
    let worker_rule = &connection.worker_rule;
    let listener = ch.token::<Listener>();
    loop {
        let tried = &connection.tried;
        let index = worker_rule.state.choose(ch.now(), Some(client.ip()), &tried.borrow())?;
        tried.borrow_mut().push(index);
        let addrs = worker_rule.addresses[index].borrow();
        let Some(addrs) = addrs.as_deref().filter(|addrs| !addrs.is_empty()) else {
            let target = worker_rule.state.targets()[index].endpoint();
            tracing::debug!(rule = %worker_rule.rule.name, %target, "no address of the target is known");
            continue;
        };
        let assignment = worker_rule.state.targets()[index].assign(ch.now());
        let session = ch.add_with(|ch| {
            connect(ch, addrs)?;
            ch.set_timeout(worker_rule.rule.udp_session);
            Ok(Session::new(listener, client, Rc::clone(connection)))
        });
        match session {
            Ok(session) => {
                connection.note_channel(session.untyped());
                connection.assignment.replace(Some(assignment));
                let now = ch.now();
                let target = ch.channel(session).and_then(|session| session.addr().cloned());
                connection.capture(target.as_ref(), |captures, subject| {
                    captures.tap_datagrams(subject, now)
                });
                return Some(session);
            }
            Err(error) => {
                let exhaustion = exhaustion::exhaustion_in(&error);
                connection.note_failure(&assignment, ch.now(), &error, exhaustion);
                if exhaustion == Some(Exhaustion::General) {
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
