//! Making a client's connection to a target, and to the next one if that fails.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use asyncore::{Channel, Error, Socket, SocketMap, Token};
use socket2::SockRef;

use crate::exhaustion::{self, Exhaustion};
use crate::policy::Permit;
use crate::relay::close_reason::CloseReason;
use crate::relay::connection::{Connection, Side};
use crate::relay::half::{HIGH_WATER, Half, State};
use crate::relay::{proxy_header, timeouts};
use crate::worker_rule::WorkerRule;

/// The first wait until a Unix socket whose backlog is full is tried again, of which the system
/// tells nothing; each wait is twice the one before.
const FIRST_RETRY: Duration = Duration::from_millis(5);
/// Maximum wait, so that many clients that wait cost little.
const LONGEST_RETRY: Duration = Duration::from_millis(200);

/// A client that was let in.
pub(crate) struct Arrival {
    pub(crate) sock: Socket,
    /// Its address, which is not the socket's peer when it comes through a proxy.
    pub(crate) client: Option<SocketAddr>,
    /// Where it connected to, if a proxy named that.
    pub(crate) destination: Option<SocketAddr>,
    /// The forwarders that it has come through.
    pub(crate) hops: u8,
    /// What was received from it already.
    pub(crate) early: Vec<u8>,
    pub(crate) permit: Permit,
}

/// Begins a connection for a client that was let in.
pub(crate) fn begin(ch: &mut Channel<'_>, worker_rule: &Rc<WorkerRule>, arrival: Arrival) {
    let Arrival { sock, client, destination, hops, early, permit } = arrival;
    let connection = Connection::new(Rc::clone(worker_rule), client, permit, ch.now());
    connection.destination.set(destination);
    connection.hops.set(hops);
    connection.note_early(early);
    let half = Half::new(Side::Client, None, Rc::clone(&connection));
    let client = ch.add(half, sock);
    connection.note_channel(client.untyped());
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
    let worker_rule = &connection.worker_rule;
    let now = ch.now();
    loop {
        let ip = connection.client.map(|client| client.ip());
        let chosen = worker_rule.state.choose(now, ip, &connection.tried.borrow());
        let Some(index) = chosen else {
            return give_up(ch, client, connection, last_error);
        };
        connection.assignment.replace(Some(worker_rule.state.targets()[index].assign(now)));
        let give_up_at = now + worker_rule.rule.connect_timeout;
        match attempt(ch, client, connection, index, Retry { give_up_at, wait: FIRST_RETRY }) {
            Ok(()) => return,
            Err((error, Some(Exhaustion::General))) => {
                return give_up(ch, client, connection, Some(error));
            }
            Err((error, _)) => last_error = Some(error),
        }
    }
}

/// When connecting to a busy target is tried again.
#[derive(Clone, Copy)]
struct Retry {
    give_up_at: Instant,
    wait: Duration,
}

/// Begins to connect to the target that is assigned, now or when there is room in its backlog.
///
/// # Errors
/// What the system refuses at once, which has been noted, and what this machine is short of.
fn attempt(
    ch: &mut Channel<'_>,
    client: Token<Half>,
    connection: &Rc<Connection>,
    index: usize,
    retry: Retry,
) -> Result<(), (String, Option<Exhaustion>)> {
    let error = match connect(ch, client, connection, index) {
        Ok(target) => {
            set_state(ch, client, State::Dialing(Some(target)));
            return Ok(());
        }
        Err(error) => error,
    };
    if error.kind() == ErrorKind::ResourceBusy && ch.now() < retry.give_up_at {
        let connection = Rc::clone(connection);
        ch.call_later(retry.wait, move |map| {
            let wait = (retry.wait * 2).min(LONGEST_RETRY);
            map.with(client, |_, ch| {
                let retry = Retry { wait, ..retry };
                match attempt(ch, client, &connection, index, retry) {
                    Ok(()) => {}
                    Err((error, Some(Exhaustion::General))) => {
                        give_up(ch, client, &connection, Some(error));
                    }
                    Err((error, _)) => dial(ch, client, &connection, Some(error)),
                }
            });
            Ok(())
        });
        return Ok(());
    }
    connection.tried.borrow_mut().push(index);
    let exhaustion = exhaustion::exhaustion_in(&error);
    if let Some(assignment) = connection.assignment.take() {
        connection.note_failure(&assignment, ch.now(), &error, exhaustion);
    }
    Err((error.to_string(), exhaustion))
}

fn set_state(ch: &mut Channel<'_>, half: Token<Half>, state: State) {
    if let Some(half) = ch.get_mut(half) {
        half.state = state;
    }
}

fn connect(
    ch: &mut Channel<'_>,
    client: Token<Half>,
    connection: &Rc<Connection>,
    index: usize,
) -> io::Result<Token<Half>> {
    let worker_rule = &connection.worker_rule;
    ch.add_with(|ch| {
        ch.set_high_water(HIGH_WATER);
        ch.set_sink(client);
        ch.set_connect_timeout(worker_rule.rule.connect_timeout);
        timeouts::watch_silence(ch, &worker_rule.rule);
        worker_rule.connect(ch, index)?;
        Ok(Half::new(Side::Target, Some(client), Rc::clone(connection)))
    })
}

/// The target has answered: from now on both halves pass on what they receive.
pub(crate) fn connected(half: &mut Half, ch: &mut Channel<'_>) -> asyncore::Result {
    let connection = Rc::clone(&half.connection);
    connection.note_connected(ch.now());
    if let Some(fd) = ch.descriptor() {
        // Of no use on a Unix socket, which refuses it. The client's socket has it from its listener.
        let _ = SockRef::from(&fd).set_tcp_nodelay(true);
    }
    let Some(client) = half.other() else {
        return Ok(());
    };
    half.state = State::Relaying(client);
    let early = connection.early.take();
    connection.capture(ch.addr(), |captures, subject| {
        let mut tap = captures.tap(subject, ch.now())?;
        tap.data(Side::Client, &early, ch.now());
        Some(tap)
    });
    push_first(ch, client, &connection, early)?;
    let target = ch.token::<Half>();
    set_state(ch, client, State::Relaying(target));
    if let Some(mut client) = ch.channel(client) {
        client.set_sink(target);
        client.resume_reading();
    }
    timeouts::begin(ch, client, &connection);
    Ok(())
}

/// Sends the target what comes before anything that is read from now on: a PROXY header, if the rule
/// sends one, and what the client sent together with the header that named it.
fn push_first(
    ch: &mut Channel<'_>,
    client: Token<Half>,
    connection: &Connection,
    early: Vec<u8>,
) -> io::Result<()> {
    if let Some(version) = connection.worker_rule.rule.proxy_send {
        let local = ch.channel(client).and_then(|client| client.local_addr().ok());
        let ends = connection.ends(local.and_then(|local| local.inet()));
        ch.push(proxy_header::encode(version, ends, connection.hops.get())?);
    }
    if !early.is_empty() {
        ch.push(early);
    }
    Ok(())
}

/// The target could not be connected to: goes on to the next one at once.
pub(crate) fn failed(half: &mut Half, ch: &mut Channel<'_>, error: &Error) {
    let connection = Rc::clone(&half.connection);
    if half.side == Side::Client {
        connection.note_close(CloseReason::Failed(Side::Client, error.to_string()));
        return ch.abort();
    }
    let exhaustion = exhaustion::exhaustion(error.chain());
    if let Some(assignment) = connection.assignment.take() {
        connection.note_tried(&assignment);
        connection.note_failure(&assignment, ch.now(), error, exhaustion);
    }
    ch.close();
    let Some(client) = half.other().filter(|client| ch.contains(*client)) else {
        return;
    };
    half.state = State::Replaced;
    set_state(ch, client, State::Dialing(None));
    if exhaustion == Some(Exhaustion::General) {
        return give_up(ch, client, &connection, Some(error.to_string()));
    }
    dial(ch, client, &connection, Some(error.to_string()));
}

/// The target has reset the connection, which has ended. If nothing has gone through in either
/// direction it is as if the target had refused: the next one's turn comes. False where it cannot:
/// a target that got a single byte may have acted on it, and must not get it again elsewhere.
///
/// A process that is killed leaves behind such connections, which its system had accepted for it.
/// The target does not back off for it, since clients that stay silent could bring that about.
pub(crate) fn retried(half: &mut Half, ch: &mut Channel<'_>) -> bool {
    let connection = Rc::clone(&half.connection);
    let State::Relaying(client) = half.state else {
        return false;
    };
    if half.side == Side::Client || !connection.is_unused() {
        return false;
    }
    let received = ch.channel(client).map(|client| client.stats().bytes_in);
    let is_last = connection.tried.borrow().len() + 1 >= connection.worker_rule.rule.targets.len();
    if received != Some(0) || is_last {
        return false;
    }
    if let Some(assignment) = connection.assignment.take() {
        connection.note_tried(&assignment);
        tracing::debug!(
            rule = %connection.worker_rule.rule.name,
            target = %assignment.target().name(),
            "reset by the target before a byte went through: the next one's turn"
        );
    }
    disconnected(ch, client, &connection);
    half.state = State::Replaced;
    dial(ch, client, &connection, Some("reset before a byte went through".to_owned()));
    true
}

/// Takes back what [`connected`] did: the client waits for a target again.
fn disconnected(ch: &mut Channel<'_>, client: Token<Half>, connection: &Connection) {
    set_state(ch, client, State::Dialing(None));
    if let Some(mut client) = ch.channel(client) {
        client.pause_reading();
    }
    connection.cancel_lifetime(ch);
    if let Some(mut tap) = connection.tap.take() {
        tap.reset(Side::Target);
    }
}

/// Ends a connection for a reason of our own; any of its halves will do.
pub(crate) fn end(map: &mut SocketMap, half: Token<Half>, reason: CloseReason) {
    map.with(half, |half, ch| {
        half.connection.note_close(reason);
        ch.abort();
    });
}

fn give_up(
    ch: &mut Channel<'_>,
    client: Token<Half>,
    connection: &Connection,
    error: Option<String>,
) {
    let error = error.unwrap_or_else(|| "none is up".to_owned());
    connection.note_close(CloseReason::NoTarget(error));
    // The client sees a reset, which is what a refused connection is when it was accepted first.
    if let Some(mut client) = ch.channel(client) {
        client.abort();
    }
}

#[cfg(test)]
mod tests;
