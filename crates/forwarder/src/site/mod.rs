//! The built-in site, which the forwarder forwards to when it is told of no target: it shows live
//! what goes through.

mod routes;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use asyncore::SocketMap;
use asyncore_http::Server;

use self::routes::Routes;
use crate::shared::Shared;
use crate::status::{self, Guard, Hub};

/// The site's listening socket, on a free port of 127.0.0.1: a target like any other.
#[derive(Debug)]
pub struct Site {
    socket: socket2::Socket,
    addr: SocketAddr,
}

impl Site {
    /// Takes a free port; who connects waits until the site is served.
    ///
    /// # Errors
    /// When the system has no port or no descriptor left.
    pub fn listen() -> io::Result<Self> {
        let socket = status::listen((Ipv4Addr::LOCALHOST, 0).into())?;
        let unnamed = || io::Error::other("the site's socket has no address");
        let addr = socket.local_addr()?.as_socket().ok_or_else(unnamed)?;
        Ok(Site { socket, addr })
    }

    /// Serves the site on the control loop, `map`.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub(crate) fn start(self, map: &mut SocketMap, shared: &Arc<Shared>) -> io::Result<()> {
        let hub = Hub::of(map, shared)?;
        let routes = Routes { shared: Arc::clone(shared), hub, guard: Guard::new(None, false) };
        Server::start(map, self.socket, routes)?;
        Ok(())
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}
