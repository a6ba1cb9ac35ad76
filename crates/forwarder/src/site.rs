//! The built-in site, which the forwarder forwards to without a target: it shows live
//! what goes through.

use std::io::{self, Read as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use asyncore::{Channel, ReaderProducer, SocketMap, Token};
use asyncore_http::{Answer, Refusal, Reply, Request, Response, Server, Service};

use crate::shared::Shared;
use crate::status::{self, Guard, Hub, Listing, Query, assets};

/// The site's listening socket, on a free port of 127.0.0.1: a target like any other.
#[derive(Debug)]
pub struct Site {
    socket: socket2::Socket,
    addr: SocketAddr,
}

impl Site {
    /// Takes a free port; clients wait until the site is served.
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

/// Maximum bytes of one answer, 1 GiB.
const MAX_DATA: u64 = 1 << 30;

/// Which request gets which answer.
struct Routes {
    shared: Arc<Shared>,
    hub: Token<Hub>,
    guard: Guard,
}

impl Service for Routes {
    fn respond(&self, ch: &mut Channel<'_>, request: &Request, reply: Reply) -> Answer {
        self.route(ch, request, reply)
            .unwrap_or_else(|refusal| Answer::Now(Response::from(&refusal)))
    }

    fn max_connections(&self) -> usize {
        status::MAX_CLIENTS
    }

    fn headers(&self) -> &'static str {
        assets::HEADERS
    }

    /// These connections are the forwarder's own, and would keep it from ending.
    fn keeps_connections(&self) -> bool {
        !self.shared.is_draining()
    }
}

impl Routes {
    fn route(
        &self,
        ch: &mut Channel<'_>,
        request: &Request,
        reply: Reply,
    ) -> Result<Answer, Refusal> {
        if !matches!(&*request.method, "GET" | "HEAD") {
            let allow = "GET, HEAD";
            return Err(Refusal::new(405, format!("only {allow} here")).with_header("Allow", allow));
        }
        self.guard.look(request, ch.now())?;
        match &*request.path {
            "/live.json" => {
                let query = Query::Json { listing: Listing::parse(request)?, actions: false };
                Hub::answer(ch, self.hub, query, reply)
            }
            "/data" => data(request).map(Answer::Now),
            path => assets::site(path.trim_start_matches('/'))
                .map(Answer::Now)
                .ok_or_else(|| Refusal::new(404, "there is nothing here: see /")),
        }
    }
}

/// As many bytes as the request names, to measure a rate.
fn data(request: &Request) -> Result<Response, Refusal> {
    let length = request.parameter("bytes").and_then(|bytes| bytes.parse().ok());
    let length: u64 = length.filter(|length| *length <= MAX_DATA).ok_or_else(|| {
        Refusal::new(400, format!("say how many, as in /data?bytes=1000, up to {MAX_DATA}"))
    })?;
    let zeros = ReaderProducer::new(io::repeat(0).take(length));
    Ok(Response::produced("application/octet-stream", length, zeros))
}
