//! Listening sockets that another process opened: systemd, or the forwarder that ran before.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use listenfd::ListenFd;
use socket2::{Domain, Socket, Type};

use crate::bind;
use crate::config::Listen;
use crate::unix::SocketFile;

/// Sockets that are taken for equal addresses, instead of binding those.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    by_listen: HashMap<Listen, Vec<Socket>>,
    /// Unix sockets whose files are this process's to remove; those of systemd are not.
    handed_over: Vec<Listen>,
}

impl Inherited {
    /// The sockets that systemd passed (`LISTEN_FDS`); none, when another started the process.
    ///
    /// Call it once, while the process has one thread: it takes the variables away.
    ///
    /// # Errors
    /// When one of them does not listen for connections and does not receive datagrams.
    pub(crate) fn from_systemd() -> anyhow::Result<Self> {
        let mut passed = ListenFd::from_env();
        let mut inherited = Inherited::default();
        for index in 0..passed.len() {
            let socket = take(&mut passed, index).with_context(|| {
                format!("socket {index} that systemd passed is not one to listen on")
            })?;
            if let Some(socket) = socket {
                let is_connection = socket.r#type()? == Type::STREAM
                    && !rustix::net::sockopt::socket_acceptconn(&socket)?;
                ensure!(
                    !is_connection,
                    "systemd passed a connection instead of a listening socket: \
                     remove 'Accept=yes' from the socket unit"
                );
                inherited.insert(socket);
            }
        }
        Ok(inherited)
    }

    /// Adds the sockets of the process that ran before.
    pub(crate) fn extend(&mut self, sockets: impl IntoIterator<Item = Socket>) {
        for socket in sockets {
            let listen = self.insert(socket);
            self.handed_over.extend(listen.filter(|listen| matches!(listen, Listen::Unix(_))));
        }
    }

    fn insert(&mut self, socket: Socket) -> Option<Listen> {
        let listen = listen_of(&socket)?;
        self.by_listen.entry(listen.clone()).or_default().push(socket);
        Some(listen)
    }

    /// Takes all sockets that listen there.
    pub(crate) fn take(&mut self, listen: &Listen) -> Vec<Socket> {
        let listen = match listen {
            Listen::Tcp(addr) => Listen::Tcp(bind::usable(*addr)),
            Listen::Udp(addr) => Listen::Udp(bind::usable(*addr)),
            Listen::Unix(_) => listen.clone(),
        };
        self.by_listen.remove(&listen).unwrap_or_default()
    }

    /// The file of a Unix socket that was handed over; one of systemd's stays systemd's.
    pub(crate) fn file(&self, listen: &Listen) -> Option<SocketFile> {
        match listen {
            Listen::Unix(path) if self.handed_over.contains(listen) => {
                SocketFile::handed_over(path)
            }
            _ => None,
        }
    }

    /// The wildcard address of a socket that includes `addr` and was not taken.
    pub(crate) fn covering(&self, kind: Type, addr: SocketAddr) -> Option<SocketAddr> {
        self.by_listen.keys().find_map(|listen| {
            match listen {
                Listen::Tcp(own) if kind == Type::STREAM => Some(*own),
                Listen::Udp(own) if kind == Type::DGRAM => Some(*own),
                _ => None,
            }
            .filter(|own| own.port() == addr.port() && own.ip().is_unspecified())
        })
    }

    /// Closes what no rule took, and logs it.
    pub(crate) fn close_rest(self) {
        for listen in self.by_listen.keys() {
            tracing::warn!(addr = %listen, "a socket that was passed is closed: no rule listens there");
        }
    }
}

fn take(passed: &mut ListenFd, index: usize) -> std::io::Result<Option<Socket>> {
    if let Ok(socket) = passed.take_tcp_listener(index) {
        return Ok(socket.map(Socket::from));
    }
    if let Ok(socket) = passed.take_unix_listener(index) {
        return Ok(socket.map(Socket::from));
    }
    Ok(passed.take_udp_socket(index)?.map(Socket::from))
}

fn listen_of(socket: &Socket) -> Option<Listen> {
    let addr = socket.local_addr().ok()?;
    let kind = socket.r#type().ok()?;
    match addr.as_socket() {
        Some(addr) if kind == Type::STREAM => Some(Listen::Tcp(addr)),
        Some(addr) if kind == Type::DGRAM => Some(Listen::Udp(addr)),
        None if addr.domain() == Domain::UNIX && kind == Type::STREAM => {
            // One without a name matches no rule.
            let path = addr.as_pathname().map(PathBuf::from);
            Some(Listen::Unix(path.unwrap_or_default()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
