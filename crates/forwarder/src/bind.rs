//! Listening sockets: all of them are bound before anything is served.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use anyhow::Context as _;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::{Config, Listen, Rule};
use crate::inherited::Inherited;

/// Bound sockets, at least one for each worker and listening address.
pub(crate) struct Sockets(HashMap<Listen, Vec<Socket>>);

impl Sockets {
    /// Takes the share of one of `workers` that have not had theirs: one socket, or more when an
    /// earlier process with more workers handed them over.
    pub(crate) fn share(&mut self, listen: &Listen, workers: usize) -> Vec<Socket> {
        let Some(sockets) = self.0.get_mut(listen) else {
            return Vec::new();
        };
        let share = sockets.len().div_ceil(workers.max(1));
        sockets.drain(..share).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Listen, &Socket)> {
        self.0.iter().flat_map(|(listen, sockets)| sockets.iter().map(move |it| (listen, it)))
    }
}

/// Binds the addresses of all rules but those that are `bound` already, and those of sockets that
/// were `inherited`, which are used instead.
///
/// # Errors
/// For the first that cannot be bound; those before it are closed again.
pub(crate) fn all(
    config: &Config,
    workers: usize,
    bound: &[Listen],
    inherited: &mut Inherited,
) -> anyhow::Result<Sockets> {
    let mut sockets = HashMap::new();
    for rule in config.rules.iter().filter(|rule| !bound.contains(&rule.listen)) {
        let taken = inherited.take(&rule.listen);
        let of_rule =
            if taken.is_empty() { of_rule(rule, workers) } else { reuse(rule, workers, taken) };
        let of_rule = of_rule
            .with_context(|| format!("rule {:?} cannot listen on {}", rule.name, rule.listen))?;
        sockets.insert(rule.listen.clone(), of_rule);
    }
    Ok(Sockets(sockets))
}

fn of_rule(rule: &Rule, workers: usize) -> anyhow::Result<Vec<Socket>> {
    let share = workers > 1;
    Ok(match &rule.listen {
        Listen::Tcp(addr) => {
            let first = tcp(*addr, rule.backlog, share)?;
            // Port 0 means one port for all, whichever the first was given.
            let addr = first.local_addr()?.as_socket().unwrap_or(*addr);
            let mut sockets = vec![first];
            for _ in 1..workers {
                sockets.push(tcp(addr, rule.backlog, share)?);
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

/// Makes inherited sockets the rule's own, as many as there are workers or more.
fn reuse(rule: &Rule, workers: usize, mut sockets: Vec<Socket>) -> anyhow::Result<Vec<Socket>> {
    let backlog = i32::try_from(rule.backlog).unwrap_or(i32::MAX);
    for socket in &sockets {
        if let Listen::Tcp(_) = rule.listen {
            socket.set_tcp_nodelay(true)?;
        }
        if !matches!(rule.listen, Listen::Udp(_)) {
            socket.listen(backlog)?;
        }
    }
    for index in sockets.len()..workers {
        sockets.push(sockets[index % sockets.len()].try_clone()?);
    }
    Ok(sockets)
}

fn tcp(addr: SocketAddr, backlog: u32, share: bool) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share)?;
    set_stack(&socket, addr)?;
    // Accepted sockets inherit it, which saves a system call for each.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&addr.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
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
    if is_abandoned(path, &addr, Type::STREAM) {
        std::fs::remove_file(path)?;
    }
    socket.bind(&addr)?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket)
}

/// Whether a socket lies there that nobody listens on any more, as a killed process leaves it.
pub(crate) fn is_abandoned(path: &Path, addr: &SockAddr, kind: Type) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket());
    is_socket
        && Socket::new(Domain::UNIX, kind, None)
            .and_then(|probe| probe.connect(addr))
            .is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}
