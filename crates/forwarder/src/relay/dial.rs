//! Making a client's connection to a target, and to the next one if that fails.

use std::net::SocketAddr;
use std::rc::Rc;

use asyncore::{Channel, Error, Socket, SocketMap, Token};
use socket2::SockRef;

use crate::fault::{self, Shortage};
use crate::policy::Permit;
use crate::relay::connection::{Connection, Side};
use crate::relay::ending::Ending;
use crate::relay::half::{HIGH_WATER, Half};
use crate::relay::{proxy_header, silence, stall};
use crate::serving::Serving;

/// A client that was let in.
pub(crate) struct Arrival {
    pub(crate) sock: Socket,
    /// Its address, which is not the socket's peer when it comes through a proxy.
    pub(crate) client: Option<SocketAddr>,
    /// Where it connected to, if a proxy told.
    pub(crate) destination: Option<SocketAddr>,
    /// What was received from it already.
    pub(crate) early: Vec<u8>,
    pub(crate) permit: Permit,
}

/// Begins a connection for a client that was let in.
pub(crate) fn begin(ch: &mut Channel<'_>, serving: &Rc<Serving>, arrival: Arrival) {
    let Arrival { sock, client, destination, early, permit } = arrival;
    let connection = Connection::new(Rc::clone(serving), client, permit, ch.now());
    connection.destination.set(destination);
    connection.note_early(early);
    let half = Half::new(Side::Client, None, Rc::clone(&connection));
    let client = ch.add(half, sock);
    if let Some(mut client) = ch.channel(client) {
        client.set_high_water(HIGH_WATER);
        client.pause_reading();
    }
    dial(ch, client, &connection, None);
}

/// Connects to the target whose turn it is; a failure at once goes on to the next.
fn dial(
    ch: &mut Channel<'_>,
    client: Token<Half>,
    connection: &Rc<Connection>,
    mut last_error: Option<String>,
) {
    let serving = &connection.serving;
    let now = ch.now();
    loop {
        let ip = connection.client.map(|client| client.ip());
        let chosen = serving.state.choose(now, ip, &connection.tried.borrow());
        let Some(index) = chosen else {
            return give_up(ch, client, connection, last_error);
        };
        let assignment = serving.state.targets()[index].assign(now);
        match connect(ch, client, connection, index) {
            Ok(target) => {
                connection.assignment.replace(Some(assignment));
                if let Some(client) = ch.get_mut(client) {
                    client.other = Some(target);
                }
                return;
            }
            Err(error) => {
                connection.tried.borrow_mut().push(index);
                let shortage = fault::shortage_in(&error);
                report_failure(connection, &assignment, now, &error, shortage);
                last_error = Some(error.to_string());
                if shortage == Some(Shortage::General) {
                    return give_up(ch, client, connection, last_error);
                }
            }
        }
    }
}

fn connect(
    ch: &mut Channel<'_>,
    client: Token<Half>,
    connection: &Rc<Connection>,
    index: usize,
) -> std::io::Result<Token<Half>> {
    let serving = &connection.serving;
    ch.add_with(|ch| {
        ch.set_high_water(HIGH_WATER);
        ch.set_sink(client);
        ch.set_connect_timeout(serving.rule.timeouts.connect);
        silence::watch(ch, &serving.rule);
        serving.connect(ch, index)?;
        Ok(Half::new(Side::Target, Some(client), Rc::clone(connection)))
    })
}

/// The target has answered: from now on both halves pass on what they receive.
pub(crate) fn connected(half: &mut Half, ch: &mut Channel<'_>) {
    let connection = Rc::clone(&half.connection);
    if let Some(assignment) = &*connection.assignment.borrow() {
        if assignment.succeeded() {
            tracing::info!(target = %assignment.target().name(), "the target is well again");
        }
    }
    if let Some(fd) = ch.descriptor() {
        // Of no use on a Unix socket, which refuses it. The client's socket has it from its listener.
        let _ = SockRef::from(&fd).set_tcp_nodelay(true);
    }
    half.open = true;
    let Some(client) = half.other else {
        return;
    };
    let early = connection.early.take();
    connection.capture(ch.addr(), |captures, subject| {
        let mut tap = captures.tap(subject, ch.now())?;
        tap.data(Side::Client, &early, ch.now());
        Some(tap)
    });
    push_first(ch, client, &connection, early);
    let target = ch.token::<Half>();
    if let Some(client) = ch.get_mut(client) {
        client.open = true;
    }
    if let Some(mut client) = ch.channel(client) {
        client.set_sink(target);
        client.resume_reading();
    }
    limit(ch, client, &connection);
}

/// Begins what is timed from when both sides are connected.
fn limit(ch: &mut Channel<'_>, client: Token<Half>, connection: &Connection) {
    let timeouts = &connection.serving.rule.timeouts;
    if timeouts.tcp_user.is_some() {
        // A Unix socket refuses it, and so does a system without, where it cannot be configured.
        let _ = ch.set_tcp_user_timeout(timeouts.tcp_user);
        if let Some(mut client) = ch.channel(client) {
            let _ = client.set_tcp_user_timeout(timeouts.tcp_user);
        }
    }
    if let Some(limit) = timeouts.send {
        stall::watch(ch, connection, [client, ch.token::<Half>()], limit);
    }
    if let Some(lifetime) = timeouts.lifetime {
        let timer = ch.call_later(lifetime, move |map| {
            end(map, client, Ending::Lifetime);
            Ok(())
        });
        connection.lifetime.set(Some(timer));
    }
}

/// Sends the target what comes before anything that is read from now on: who the client is, if the
/// target is to be told, and what came with the header that told us.
fn push_first(ch: &mut Channel<'_>, client: Token<Half>, connection: &Connection, early: Vec<u8>) {
    if let Some(version) = connection.serving.rule.proxy_protocol.send {
        let local = ch.channel(client).and_then(|client| client.local_addr().ok());
        let ends = connection.ends(local.and_then(|local| local.inet()));
        ch.push(proxy_header::encode(version, ends));
    }
    if !early.is_empty() {
        ch.push(early);
    }
}

/// The target could not be connected to: goes on to the next one at once.
pub(crate) fn failed(half: &mut Half, ch: &mut Channel<'_>, error: &Error) {
    let connection = Rc::clone(&half.connection);
    if half.side == Side::Client {
        connection.note_ending(Ending::Failed(Side::Client, error.to_string()));
        return ch.abort();
    }
    let shortage = fault::shortage(error.chain());
    if let Some(assignment) = connection.assignment.take() {
        connection.note_tried(&assignment);
        report_failure(&connection, &assignment, ch.now(), error, shortage);
    }
    ch.close();
    // From here on this half is nobody's; the client goes on with the next one.
    let Some(client) = half.other.filter(|client| ch.contains(*client)) else {
        return;
    };
    half.other = None;
    if shortage == Some(Shortage::General) {
        return give_up(ch, client, &connection, Some(error.to_string()));
    }
    dial(ch, client, &connection, Some(error.to_string()));
}

/// The target has reset the connection, which has ended. If nothing has gone through in either
/// direction it is as if the target had refused: the next one's turn comes. False where it cannot:
/// a target that got a single byte may have acted on it, and must not get it again elsewhere.
///
/// A process that is killed leaves behind such connections, which its system had accepted for it.
/// The target does not rest for it, since clients that stay silent could bring that about.
pub(crate) fn retried(half: &mut Half, ch: &mut Channel<'_>) -> bool {
    let connection = Rc::clone(&half.connection);
    let is_target = half.side == Side::Target && half.open;
    let Some(client) = half.other.filter(|_| is_target && connection.is_unused()) else {
        return false;
    };
    let received = ch.channel(client).map(|client| client.stats().bytes_in);
    let is_last = connection.tried.borrow().len() + 1 >= connection.serving.rule.targets.len();
    if received != Some(0) || is_last {
        return false;
    }
    if let Some(assignment) = connection.assignment.take() {
        connection.note_tried(&assignment);
        tracing::info!(
            rule = %connection.serving.rule.name,
            target = %assignment.target().name(),
            "reset by the target before a byte went through: the next one's turn"
        );
    }
    disconnected(ch, client, &connection);
    half.other = None;
    dial(ch, client, &connection, Some("reset before a byte went through".to_owned()));
    true
}

/// Takes back what [`connected`] did: the client waits for a target again.
fn disconnected(ch: &mut Channel<'_>, client: Token<Half>, connection: &Connection) {
    if let Some(half) = ch.get_mut(client) {
        half.open = false;
    }
    if let Some(mut client) = ch.channel(client) {
        client.pause_reading();
    }
    connection.cancel_timers(ch);
    if let Some(mut tap) = connection.tap.take() {
        tap.reset(Side::Target);
    }
}

/// Ends a connection for a reason of our own.
pub(crate) fn end(map: &mut SocketMap, client: Token<Half>, ending: Ending) {
    map.with(client, |half, ch| {
        half.connection.note_ending(ending);
        ch.abort();
    });
}

pub(crate) fn report_failure(
    connection: &Connection,
    assignment: &crate::policy::Assignment,
    now: std::time::Instant,
    error: &dyn std::fmt::Display,
    shortage: Option<Shortage>,
) {
    if shortage.is_some() {
        // A good target must not rest because this machine is short of something.
        return tracing::error!(
            rule = %connection.serving.rule.name,
            target = %assignment.target().name(),
            "this machine is short of descriptors, memory or ports, not the target's fault: {error}"
        );
    }
    let rests = assignment.failed(now, error);
    tracing::warn!(
        rule = %connection.serving.rule.name,
        target = %assignment.target().name(),
        rests_seconds = rests.map(|rest| rest.as_secs_f64()),
        "{error}"
    );
}

fn give_up(
    ch: &mut Channel<'_>,
    client: Token<Half>,
    connection: &Connection,
    error: Option<String>,
) {
    let error = error.unwrap_or_else(|| "none is well".to_owned());
    connection.note_ending(Ending::NoTarget(error));
    // The client sees a reset, which is what a refused connection is when it was accepted first.
    if let Some(mut client) = ch.channel(client) {
        client.abort();
    }
}

#[cfg(test)]
mod tests;
