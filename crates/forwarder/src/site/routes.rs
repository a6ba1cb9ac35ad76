//! Which request gets which answer.

use std::io::{self, Read as _};
use std::sync::Arc;

use asyncore::{Channel, ReaderProducer, Token};
use asyncore_http::{Answer, Refusal, Reply, Request, Response, Service};

use crate::shared::Shared;
use crate::status::{self, Guard, Hub, Listing, Query, assets};

/// The most bytes that one request sends through, 1 GiB.
const MOST: u64 = 1 << 30;

pub(super) struct Routes {
    pub(super) shared: Arc<Shared>,
    pub(super) hub: Token<Hub>,
    pub(super) guard: Guard,
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

/// As many bytes as are asked for, to see how fast they come.
fn data(request: &Request) -> Result<Response, Refusal> {
    let length = request.parameter("bytes").and_then(|bytes| bytes.parse().ok());
    let length: u64 = length.filter(|length| *length <= MOST).ok_or_else(|| {
        Refusal::new(400, format!("say how many, as in /data?bytes=1000, up to {MOST}"))
    })?;
    let zeros = ReaderProducer::new(io::repeat(0).take(length));
    Ok(Response::produced("application/octet-stream", length, zeros))
}
