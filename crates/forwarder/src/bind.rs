//! Listening sockets: all of them are bound before anything is served.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use anyhow::Context as _;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::{Config, Listen, Rule};

/// Bound sockets, one for each worker and listening address.
pub(crate) struct Sockets(HashMap<Listen, Vec<Socket>>);

impl Sockets {
    pub(crate) fn take(&mut self, listen: &Listen) -> Option<Socket> {
        self.0.get_mut(listen)?.pop()
    }
}

/// Binds the addresses of all rules but those that are `bound` already.
///
/// # Errors
/// For the first that cannot be bound; those before it are closed again.
pub(crate) fn all(config: &Config, bound: &[Listen]) -> anyhow::Result<Sockets> {
    let mut sockets = HashMap::new();
    for rule in config.rules.iter().filter(|rule| !bound.contains(&rule.listen)) {
        let of_rule = of_rule(rule, config.workers)
            .with_context(|| format!("rule {:?} cannot listen on {}", rule.name, rule.listen))?;
        sockets.insert(rule.listen.clone(), of_rule);
    }
    Ok(Sockets(sockets))
}

fn of_rule(rule: &Rule, workers: usize) -> anyhow::Result<Vec<Socket>> {
    let share = workers > 1;
    Ok(match &rule.listen {
        Listen::Tcp(addr) => {
            let first = tcp(*addr, rule, share)?;
            // Port 0 means one port for all, whichever the first was given.
            let addr = first.local_addr()?.as_socket().unwrap_or(*addr);
            let mut sockets = vec![first];
            for _ in 1..workers {
                sockets.push(tcp(addr, rule, share)?);
            }
            sockets
        }
        Listen::Udp(addr) => {
            let first = udp(*addr, share)?;
            let addr = first.local_addr()?.as_socket().unwrap_or(*addr);
            let mut sockets = vec![first];
            for _ in 1..workers {
                sockets.push(udp(addr, share)?);
            }
            sockets
        }
        Listen::Unix(path) => {
            let first = unix(path, rule.backlog)?;
            let mut sockets = Vec::new();
            for _ in 1..workers {
                sockets.push(first.try_clone()?);
            }
            sockets.push(first);
            sockets
        }
    })
}

fn tcp(addr: SocketAddr, rule: &Rule, share: bool) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share)?;
    set_stack(&socket, addr)?;
    // Accepted sockets inherit these, which saves a system call for each.
    socket.set_tcp_nodelay(true)?;
    if let Some(after) = rule.keepalive {
        socket.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(after))?;
    }
    socket.bind(&addr.into())?;
    socket.listen(i32::try_from(rule.backlog).unwrap_or(i32::MAX))?;
    Ok(socket)
}

fn udp(addr: SocketAddr, share: bool) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, None)?;
    socket.set_reuse_port(share)?;
    set_stack(&socket, addr)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}

/// All addresses of IPv6 are those of IPv4 as well, whatever the system's default.
fn set_stack(socket: &Socket, addr: SocketAddr) -> std::io::Result<()> {
    if addr.is_ipv6() {
        socket.set_only_v6(!addr.ip().is_unspecified())?;
    }
    Ok(())
}

fn unix(path: &Path, backlog: u32) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let addr = SockAddr::unix(path)?;
    if is_abandoned(path, &addr) {
        std::fs::remove_file(path)?;
    }
    socket.bind(&addr)?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket)
}

/// Whether a socket lies there that nobody listens on any more, as a killed process leaves it.
fn is_abandoned(path: &Path, addr: &SockAddr) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket());
    is_socket
        && Socket::new(Domain::UNIX, Type::STREAM, None)
            .and_then(|probe| probe.connect(addr))
            .is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}
