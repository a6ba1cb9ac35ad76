//! Making a client's connection to a target, and to the next one if that fails.

use std::net::SocketAddr;
use std::rc::Rc;

use asyncore::{Channel, Domain, Error, Socket, SocketMap, Token, Type};
use socket2::SockRef;

use crate::config::Endpoint;
use crate::policy::Permit;
use crate::relay::connection::{Connection, Ending, Side};
use crate::relay::half::Half;
use crate::serving::Serving;

/// Begins a connection for a client that was let in.
pub(crate) fn begin(
    ch: &mut Channel<'_>,
    serving: &Rc<Serving>,
    sock: Socket,
    client: Option<SocketAddr>,
    permit: Permit,
) {
    let connection = Connection::new(Rc::clone(serving), client, permit, ch.now());
    let half = Half::new(Side::Client, None, Rc::clone(&connection));
    let client = ch.add(half, sock);
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
    loop {
        let ip = connection.client.map(|client| client.ip());
        let chosen = serving.state.choose(ch.now(), ip, &connection.tried.borrow());
        let Some(index) = chosen else {
            return give_up(ch, client, connection, last_error);
        };
        connection.tried.borrow_mut().push(index);
        let assignment = serving.state.targets()[index].assign(ch.now());
        match connect(ch, client, connection, index) {
            Ok(target) => {
                connection.assignment.replace(Some(assignment));
                if let Some(client) = ch.get_mut(client) {
                    client.other = Some(target);
                }
                return;
            }
            Err(error) => {
                report_failure(connection, &assignment, ch.now(), &error);
                last_error = Some(error.to_string());
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
        ch.set_connect_timeout(serving.rule.timeouts.connect);
        match &serving.rule.targets[index].endpoint {
            Endpoint::Unix(path) => {
                ch.create_socket(Domain::UNIX, Type::STREAM)?;
                ch.connect(path.as_path())?;
            }
            Endpoint::Host(host, port) => {
                let known = serving.addresses[index].borrow();
                if known.is_empty() {
                    ch.connect_host(host, *port)?;
                } else {
                    ch.connect_any(&format!("{host}:{port}"), known.clone())?;
                }
            }
        }
        Ok(Half::new(Side::Target, Some(client), Rc::clone(connection)))
    })
}

/// The target has answered: from now on both halves pass on what they receive.
pub(crate) fn connected(half: &mut Half, ch: &mut Channel<'_>) {
    let connection = Rc::clone(&half.connection);
    if let Some(assignment) = &*connection.assignment.borrow() {
        if assignment.succeeded() {
            tracing::info!(target = %assignment.target().endpoint(), "the target is well again");
        }
    }
    set_options(ch, &connection);
    half.open = true;
    let Some(client) = half.other else {
        return;
    };
    if let Some(client) = ch.get_mut(client) {
        client.open = true;
    }
    let timeouts = &connection.serving.rule.timeouts;
    // All bytes pass the client's side, one way or the other, so its silence is the connection's.
    if let Some(mut client) = ch.channel(client) {
        client.set_timeout(timeouts.idle);
    }
    if let Some(lifetime) = timeouts.lifetime {
        let timer = ch.call_later(lifetime, move |map| {
            end(map, client, Ending::Lifetime);
            Ok(())
        });
        connection.lifetime.set(Some(timer));
    }
}

/// The target could not be connected to: goes on to the next one at once.
pub(crate) fn failed(half: &mut Half, ch: &mut Channel<'_>, error: &Error) {
    let connection = Rc::clone(&half.connection);
    if half.side == Side::Client {
        connection.note_ending(Ending::Failed(Side::Client, error.to_string()));
        return ch.abort();
    }
    if let Some(assignment) = connection.assignment.take() {
        report_failure(&connection, &assignment, ch.now(), error);
    }
    ch.close();
    // From here on this half is nobody's; the client goes on with the next one.
    let Some(client) = half.other.filter(|client| ch.contains(*client)) else {
        return;
    };
    half.other = None;
    dial(ch, client, &connection, Some(error.to_string()));
}

/// Ends a connection for a reason of our own.
pub(crate) fn end(map: &mut SocketMap, client: Token<Half>, ending: Ending) {
    map.with(client, |half, ch| {
        half.connection.note_ending(ending);
        ch.abort();
    });
}

fn report_failure(
    connection: &Connection,
    assignment: &crate::policy::Assignment,
    now: std::time::Instant,
    error: &dyn std::fmt::Display,
) {
    let rests = assignment.failed(now, error);
    tracing::warn!(
        rule = %connection.serving.rule.name,
        target = %assignment.target().endpoint(),
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

/// The client's socket has these from its listener.
fn set_options(ch: &Channel<'_>, connection: &Connection) {
    let Some(fd) = ch.as_fd() else {
        return;
    };
    let socket = SockRef::from(&fd);
    // Neither is of use on a Unix socket, which refuses them.
    let _ = socket.set_tcp_nodelay(true);
    if let Some(after) = connection.serving.rule.keepalive {
        let _ = socket.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(after));
    }
}
