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
mod id;
mod listing;
mod metrics;
pub(crate) mod report;
mod report_builder;
mod routes;
mod snapshot;
mod totals;
mod wrong_tokens;

use std::rc::Rc;
use std::sync::Arc;

use anyhow::Context as _;
use asyncore::{SocketMap, Token};

pub(crate) use self::guard::Guard;
pub(crate) use self::hub::Hub;
pub(crate) use self::listing::{Listing, Sort};
pub(crate) use self::report_builder::Query;
use self::routes::Routes;
use crate::config::Status;
use crate::http::{self, Server};
use crate::shared::Shared;

/// Serves the status page on the control loop, `map`, on the socket that was `passed` by
/// another process if there is one.
///
/// # Errors
/// When the address cannot be listened on.
pub(crate) fn start(
    map: &mut SocketMap,
    shared: &Arc<Shared>,
    status: &Status,
    passed: Option<socket2::Socket>,
) -> anyhow::Result<Token<Server>> {
    let socket = passed
        .map_or_else(|| http::listen(status.listen), Ok)
        .with_context(|| format!("the status page cannot listen on {}", status.listen))?;
    let hub = Hub::of(map, shared).context("the status page cannot start")?;
    let guard = Rc::new(Guard::new(status.token.clone(), status.public));
    let routes = Routes { shared: Arc::clone(shared), hub, guard };
    let server = Server::start(map, socket, Rc::new(routes))?;
    if let Some(addr) = map.channel(server).and_then(|ch| ch.addr().cloned()) {
        tracing::info!("status page at http://{addr}/");
    }
    Ok(server)
}
