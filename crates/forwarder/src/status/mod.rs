//! The status page, the same as JSON and for Prometheus.
//!
//! The [`Hub`] asks the workers by their triggers at most once a second, however many readers there
//! are. Each worker [walks over its connections](snapshot) a slice at a time and sends a snapshot
//! back; what has not come after a second is left out and reported as missing. [`Totals`](totals)
//! makes sums and rates of it, and a [report builder](report_builder) the answers.

mod actions;
pub(crate) mod assets;
mod guard;
mod hub;
mod listing;
mod metrics;
pub(crate) mod report;
mod report_builder;
mod routes;
mod snapshot;
mod totals;
mod wrong_tokens;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use asyncore::{SocketMap, Token};
use asyncore_http::Server;
use socket2::{Domain, Socket, Type};

pub(crate) use self::guard::Guard;
pub(crate) use self::hub::Hub;
pub(crate) use self::listing::{Listing, Sort};
pub(crate) use self::report_builder::Query;
use self::routes::Routes;
use crate::config::Status;
use crate::shared::Shared;

/// Maximum number of clients of a page at once. A further client displaces the quietest one.
pub(crate) const MAX_CLIENTS: usize = 128;
/// More than browsers and monitors open at once.
const BACKLOG: i32 = 128;

/// Opens a socket for a page; port 0 lets the system choose one.
///
/// # Errors
/// When the address is in use, or not this machine's.
pub(crate) fn listen(addr: SocketAddr) -> io::Result<Socket> {
    let addr = crate::bind::usable(addr);
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if addr.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Serves the status page on a socket that listens, on the control loop.
///
/// # Errors
/// When the system has no descriptors left.
pub(crate) fn start(
    map: &mut SocketMap,
    shared: &Arc<Shared>,
    status: &Status,
    socket: Socket,
) -> anyhow::Result<Token<Server>> {
    let hub = Hub::of(map, shared).context("the status page cannot start")?;
    let guard = Guard::new(status.token.clone(), status.public);
    let routes = Routes { shared: Arc::clone(shared), hub, guard };
    let server = Server::start(map, socket, routes)?;
    if let Some(addr) = map.channel(server).and_then(|ch| ch.addr().cloned()) {
        tracing::info!("status page at http://{addr}/");
    }
    Ok(server)
}
