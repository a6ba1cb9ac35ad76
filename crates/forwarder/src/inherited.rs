//! Listening sockets that another process opened: systemd, or the forwarder that ran before.

use anyhow::Context as _;
use listenfd::ListenFd;
use socket2::{Domain, Socket, Type};

use crate::config::Listen;

/// Sockets that are taken for equal addresses, instead of binding those.
#[derive(Debug, Default)]
pub(crate) struct Inherited(Vec<Socket>);

impl Inherited {
    /// The sockets that systemd passed (`LISTEN_FDS`); none, when another started the process.
    ///
    /// Call it once, while the process has one thread: it takes the variables away.
    ///
    /// # Errors
    /// When one of them is no socket for connections or datagrams.
    pub(crate) fn from_systemd() -> anyhow::Result<Self> {
        let mut passed = ListenFd::from_env();
        let mut sockets = Vec::new();
        for index in 0..passed.len() {
            let socket = take(&mut passed, index)
                .with_context(|| format!("systemd passed as socket {index} what is of no use"))?;
            sockets.extend(socket);
        }
        Ok(Inherited(sockets))
    }

    /// Adds sockets.
    pub(crate) fn extend(&mut self, sockets: impl IntoIterator<Item = Socket>) {
        self.0.extend(sockets);
    }

    /// Takes all sockets that listen there.
    pub(crate) fn take(&mut self, listen: &Listen) -> Vec<Socket> {
        let (taken, left) =
            std::mem::take(&mut self.0).into_iter().partition(|socket| listens(socket, listen));
        self.0 = left;
        taken
    }

    /// Closes what nobody took, and says so.
    pub(crate) fn close_rest(self) {
        for socket in self.0 {
            let addr = socket.local_addr().ok();
            let addr = addr.map(|addr| match addr.as_socket() {
                Some(addr) => addr.to_string(),
                None => format!("unix:{}", addr.as_pathname().unwrap_or("".as_ref()).display()),
            });
            tracing::warn!(addr, "a socket that was passed is closed: no rule listens there");
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

fn listens(socket: &Socket, listen: &Listen) -> bool {
    let (Ok(addr), Ok(kind)) = (socket.local_addr(), socket.r#type()) else {
        return false;
    };
    match listen {
        Listen::Tcp(wanted) => kind == Type::STREAM && addr.as_socket() == Some(*wanted),
        Listen::Udp(wanted) => kind == Type::DGRAM && addr.as_socket() == Some(*wanted),
        Listen::Unix(wanted) => {
            addr.domain() == Domain::UNIX
                && kind == Type::STREAM
                && addr.as_pathname() == Some(wanted.as_path())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn a_socket_is_taken_for_its_own_address_and_kind_only() {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let datagrams = UdpSocket::bind(local).unwrap();
        let addr = datagrams.local_addr().unwrap();
        let mut inherited = Inherited::default();
        inherited.extend([Socket::from(datagrams)]);
        assert!(inherited.take(&Listen::Tcp(addr)).is_empty());
        assert_eq!(inherited.take(&Listen::Udp(addr)).len(), 1);
        assert!(inherited.take(&Listen::Udp(addr)).is_empty());
    }

    #[test]
    fn all_sockets_of_a_shared_port_are_taken() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut inherited = Inherited::default();
        let twin = listener.try_clone().unwrap();
        inherited.extend([listener, other, twin].map(Socket::from));
        assert_eq!(inherited.take(&Listen::Tcp(addr)).len(), 2);
        assert_eq!(inherited.0.len(), 1);
    }
}
