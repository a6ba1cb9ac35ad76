//! Listening sockets: all of them are bound before anything is served.
//!
//! Workers share a port by `SO_REUSEPORT`, which would also let a second process share it unseen. So
//! the first socket of an address is bound without that option, and fails if another process has the
//! address or one that covers it. It gets the option before the sockets of the other workers are
//! bound.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::Instant;

use socket2::{Domain, Socket, Type};

use crate::config::{Config, Listen, Rule};
use crate::exhaustion;
use crate::inherited::Inherited;
use crate::unix::{self, Permissions, SocketFile};

/// Bound sockets, at least one for each worker and listening address, and the files of those that
/// have a path.
#[derive(Default)]
pub(crate) struct Sockets {
    by_listen: HashMap<Listen, Vec<Socket>>,
    pub(crate) files: Vec<(Listen, SocketFile)>,
}

impl Sockets {
    /// Takes the share of one of `workers` that have not had theirs: one socket, or more when an
    /// earlier process with more workers handed them over.
    pub(crate) fn share(&mut self, listen: &Listen, workers: usize) -> Vec<Socket> {
        let Some(sockets) = self.by_listen.get_mut(listen) else {
            return Vec::new();
        };
        let share = sockets.len().div_ceil(workers.max(1));
        sockets.drain(..share).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Listen, &Socket)> {
        self.by_listen
            .iter()
            .flat_map(|(listen, sockets)| sockets.iter().map(move |it| (listen, it)))
    }
}

/// The addresses that are bound already when a configuration is reloaded.
#[derive(Default)]
pub(crate) struct Bound<'r> {
    /// Addresses of rules that stay.
    kept: HashSet<&'r Listen>,
    /// Ports of rules that go; a rule may move to another address of the same port.
    leaving: HashSet<Port>,
    /// Ports of rules that went before, and may still be listened on.
    left: HashSet<Port>,
}

impl<'r> Bound<'r> {
    /// Returns the addresses that the rules listening at `before` have bound when `config` is applied.
    pub(crate) fn new(
        before: impl Iterator<Item = &'r Listen>,
        left: &HashMap<Port, Instant>,
        config: &Config,
    ) -> Self {
        let next: HashSet<_> = config.rules.iter().map(|rule| &rule.listen).collect();
        let (kept, leaving) = before.partition::<HashSet<_>, _>(|listen| next.contains(listen));
        let leaving = leaving.into_iter().filter_map(Port::of).collect();
        Bound { kept, leaving, left: left.keys().copied().collect() }
    }

    pub(crate) fn leaving(&self) -> impl Iterator<Item = Port> {
        self.leaving.iter().copied()
    }

    /// Returns whether this process itself may occupy an address.
    fn has(&self, listen: &Listen) -> bool {
        Port::of(listen).is_some_and(|it| self.leaving.contains(&it) || self.left.contains(&it))
    }
}

/// A port, of TCP or UDP: what a rule keeps when it moves to another address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Port {
    Tcp(u16),
    Udp(u16),
}

impl Port {
    /// The port that is listened on there.
    pub(crate) fn of(listen: &Listen) -> Option<Self> {
        match listen {
            Listen::Tcp(addr) => Some(Port::Tcp(addr.port())),
            Listen::Udp(addr) => Some(Port::Udp(addr.port())),
            Listen::Unix(_) => None,
        }
    }
}

/// Binds the addresses of all rules for the `workers`, but those that are `bound` already, and
/// those of sockets that were `inherited`, which are used instead.
///
/// # Errors
/// For the first that cannot be bound; those before it are closed again.
pub(crate) fn all(
    config: &Config,
    workers: usize,
    bound: &Bound<'_>,
    inherited: &mut Inherited,
) -> anyhow::Result<Sockets> {
    let mut sockets = Sockets::default();
    for rule in config.rules.iter().filter(|rule| !bound.kept.contains(&rule.listen)) {
        bind(rule, workers, bound, inherited, &mut sockets).map_err(|error| {
            let hint = Hint::new(&error, rule, config, inherited);
            error.context(format!("rule {:?} cannot listen on {}{hint}", rule.name, rule.listen))
        })?;
    }
    Ok(sockets)
}

fn bind(
    rule: &Rule,
    workers: usize,
    bound: &Bound<'_>,
    inherited: &mut Inherited,
    all: &mut Sockets,
) -> anyhow::Result<()> {
    let backlog = rule.backlog;
    let mut sockets = inherited.take(&rule.listen);
    if !sockets.is_empty() {
        reuse(rule, &sockets)?;
        if let Some(file) = inherited.file(&rule.listen) {
            all.files.push((rule.listen.clone(), file));
        }
    } else if let Listen::Unix(path) = &rule.listen {
        let permissions = Permissions::of(rule)?;
        let (socket, file) = unix::listen(path, Type::STREAM, backlog, permissions, |_| false)?;
        all.files.push((rule.listen.clone(), file));
        sockets.push(socket);
    } else if let Some((kind, addr)) = inet(&rule.listen) {
        let first = match listen(kind, addr, backlog, false) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && bound.has(&rule.listen) => {
                listen(kind, addr, backlog, true)?
            }
            first => first?,
        };
        first.set_reuse_port(true)?;
        // Port 0 means one port for all, the one that the first got.
        let addr = first.local_addr()?.as_socket().unwrap_or(addr);
        sockets.push(first);
        for _ in 1..workers {
            sockets.push(listen(kind, addr, backlog, true)?);
        }
    }
    for index in sockets.len()..workers {
        sockets.push(sockets[index % sockets.len()].try_clone()?);
    }
    all.by_listen.insert(rule.listen.clone(), sockets);
    Ok(())
}

/// Makes inherited sockets the rule's own.
fn reuse(rule: &Rule, sockets: &[Socket]) -> io::Result<()> {
    for socket in sockets {
        if let Some((kind, _)) = inet(&rule.listen) {
            socket.set_reuse_port(true)?;
            if kind == Type::STREAM {
                socket.set_tcp_nodelay(true)?;
            }
        }
        if !matches!(rule.listen, Listen::Udp(_)) {
            socket.listen(backlog(rule.backlog))?;
        }
    }
    Ok(())
}

fn listen(kind: Type, addr: SocketAddr, length: u32, share: bool) -> io::Result<Socket> {
    let addr = usable(addr);
    let socket = Socket::new(Domain::for_address(addr), kind, None)?;
    socket.set_reuse_port(share)?;
    if addr.is_ipv6() {
        // All addresses of IPv6 are those of IPv4 as well, whatever the system's default.
        socket.set_only_v6(!addr.ip().is_unspecified())?;
    }
    if kind == Type::DGRAM {
        socket.bind(&addr.into())?;
        return Ok(socket);
    }
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit it, which saves a system call for each.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&addr.into())?;
    socket.listen(backlog(length))?;
    Ok(socket)
}

fn backlog(length: u32) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

fn inet(listen: &Listen) -> Option<(Type, SocketAddr)> {
    match listen {
        Listen::Tcp(addr) => Some((Type::STREAM, *addr)),
        Listen::Udp(addr) => Some((Type::DGRAM, *addr)),
        Listen::Unix(_) => None,
    }
}

/// The address that stands for `addr` on this system: every address is every IPv4 address where the
/// kernel has no IPv6.
pub(crate) fn usable(addr: SocketAddr) -> SocketAddr {
    static HAS_IPV6: OnceLock<bool> = OnceLock::new();
    let has_ipv6 = || {
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, None);
        // Descriptors may have run out, which says nothing about IPv6.
        !socket.is_err_and(|error| {
            rustix::io::Errno::from_io_error(&error) == Some(rustix::io::Errno::AFNOSUPPORT)
        })
    };
    if addr.is_ipv6() && addr.ip().is_unspecified() && !HAS_IPV6.get_or_init(has_ipv6) {
        return (Ipv4Addr::UNSPECIFIED, addr.port()).into();
    }
    addr
}

/// A remedy for an address that cannot be bound, where the error alone does not give it.
enum Hint {
    None,
    Descriptors { needed: usize },
    Passed(SocketAddr),
    Privileged,
}

impl Hint {
    fn new(error: &anyhow::Error, rule: &Rule, config: &Config, inherited: &Inherited) -> Self {
        let Some(error) = error.downcast_ref::<io::Error>() else {
            return Hint::None;
        };
        if exhaustion::exhaustion_in(error) == Some(exhaustion::Exhaustion::General) {
            // Twice, so that clients find room as well.
            let listeners = config.rules.len() * config.workers;
            let copies = if config.handover.is_some() { 2 } else { 1 };
            return Hint::Descriptors {
                needed: (2 * listeners * copies + 1024).next_power_of_two(),
            };
        }
        match (error.kind(), inet(&rule.listen)) {
            (ErrorKind::AddrInUse, Some((kind, addr))) => {
                inherited.covering(kind, addr).map_or(Hint::None, Hint::Passed)
            }
            (ErrorKind::PermissionDenied, Some((_, addr))) if addr.port() < 1024 => {
                Hint::Privileged
            }
            _ => Hint::None,
        }
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hint::None => Ok(()),
            Hint::Descriptors { needed } => write!(
                f,
                ": set the limit on open files to {needed} (LimitNOFILE={needed}, ulimit -n {needed}) \
                 or configure fewer workers"
            ),
            Hint::Passed(addr) => {
                write!(
                    f,
                    ", which the passed socket {addr} includes: write that address as 'listen'"
                )
            }
            Hint::Privileged => f.write_str(
                ": ports below 1024 need root, which a process with 'user' is at the start only, or \
                 CAP_NET_BIND_SERVICE (AmbientCapabilities=CAP_NET_BIND_SERVICE)",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(kind: Type, share: bool) -> io::Result<Socket> {
        listen(kind, (Ipv4Addr::LOCALHOST, 0).into(), 1, share)
    }

    #[test]
    fn the_first_socket_of_an_address_is_exclusive_and_the_others_share_it() {
        for kind in [Type::STREAM, Type::DGRAM] {
            let first = local(kind, false).unwrap();
            let port = first.local_addr().unwrap().as_socket().unwrap().port();
            first.set_reuse_port(true).unwrap();
            for ip in ["127.0.0.1", "0.0.0.0", "[::]"] {
                let addr = format!("{ip}:{port}").parse().unwrap();
                let error = listen(kind, addr, 1, false).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::AddrInUse, "{kind:?} {addr}");
                listen(kind, addr, 1, true).unwrap();
            }
        }
    }
}
