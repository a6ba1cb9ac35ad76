//! Which request gets which answer.

use std::borrow::Cow;
use std::sync::Arc;

use asyncore::{Channel, Token};
use asyncore_http::{Answer, Refusal, Reply, Request, Response, Service};
use percent_encoding::percent_decode_str;

use super::actions::ConnectionId;
use super::assets;
use super::guard::Guard;
use super::hub::Hub;
use super::listing::Listing;
use super::report_builder::Query;
use crate::shared::Shared;

/// The status page and its kin.
pub(super) struct Routes {
    pub(super) shared: Arc<Shared>,
    pub(super) hub: Token<Hub>,
    pub(super) guard: Guard,
}

impl Service for Routes {
    fn respond(&self, ch: &mut Channel<'_>, request: &Request, reply: Reply) -> Answer {
        let path: Result<Vec<_>, _> = request
            .path
            .split('/')
            .skip(1)
            .map(|segment| percent_decode_str(segment).decode_utf8())
            .collect();
        let answer = match path {
            Ok(path) => self.route(ch, request, &path, reply),
            Err(_) => Err(missing()),
        };
        answer.unwrap_or_else(|refusal| Answer::Now(Response::from(&refusal)))
    }

    fn max_connections(&self) -> usize {
        super::MAX_CLIENTS
    }

    fn headers(&self) -> &'static str {
        assets::HEADERS
    }
}

impl Routes {
    fn route(
        &self,
        ch: &mut Channel<'_>,
        request: &Request,
        path: &[Cow<'_, str>],
        reply: Reply,
    ) -> Result<Answer, Refusal> {
        let path: Vec<&str> = path.iter().map(|segment| &**segment).collect();
        match path.as_slice() {
            ["connections", id, "end"] => {
                only(request, &["POST"], "POST")?;
                self.guard.act(request, ch.now())?;
                self.end(ch, id, reply)
            }
            ["rules", rule, "targets", index, verb @ ("drain" | "undrain")] => {
                only(request, &["POST"], "POST")?;
                self.guard.act(request, ch.now())?;
                self.set_drained(rule, index, *verb == "drain").map(Answer::Now)
            }
            path => {
                only(request, &["GET", "HEAD"], "GET, HEAD")?;
                self.show(ch, request, path, reply)
            }
        }
    }

    fn show(
        &self,
        ch: &mut Channel<'_>,
        request: &Request,
        path: &[&str],
        reply: Reply,
    ) -> Result<Answer, Refusal> {
        match path {
            ["healthz"] => Ok(Answer::Now(Response::text(200, "alive"))),
            ["readyz"] if self.shared.is_draining() => {
                Ok(Answer::Now(Response::text(503, "draining: what is open goes on to its end")))
            }
            ["readyz"] => Ok(Answer::Now(Response::text(200, "ready"))),
            ["status.json"] => {
                self.guard.look(request, ch.now())?;
                let listing = Listing::parse(request)?;
                let query = Query::Json { listing, actions: self.guard.has_token() };
                Hub::answer(ch, self.hub, query, reply)
            }
            ["metrics"] => {
                self.guard.look(request, ch.now())?;
                let query = Query::Metrics { wrong_tokens: self.guard.wrong_tokens() };
                Hub::answer(ch, self.hub, query, reply)
            }
            [name] => assets::status(name).map(Answer::Now).ok_or_else(missing),
            _ => Err(missing()),
        }
    }

    fn end(&self, ch: &mut Channel<'_>, id: &str, reply: Reply) -> Result<Answer, Refusal> {
        let id: ConnectionId = id.parse().map_err(|()| {
            Refusal::new(404, "this is no connection's id: take one from /status.json")
        })?;
        ch.with(self.hub, |hub, ch| hub.end(ch, id, reply)).unwrap_or_else(|| Err(missing()))?;
        Ok(Answer::Later)
    }

    fn set_drained(&self, name: &str, index: &str, drained: bool) -> Result<Response, Refusal> {
        let no_rule = || Refusal::new(404, format!("there is no rule called '{name}'"));
        let no_target = || Refusal::new(404, format!("rule '{name}' has no target {index}"));
        let rules = self.shared.rules();
        let (_, state) = rules.iter().find(|(rule, _)| rule.name == name).ok_or_else(no_rule)?;
        let index: usize = index.parse().map_err(|_| no_target())?;
        let target = state.targets().get(index).ok_or_else(no_target)?;
        target.set_drained(drained);
        let target = target.endpoint();
        let what = if drained { "drained" } else { "taken back" };
        tracing::info!(rule = name, %target, "the target was {what} on the status page");
        Ok(Response::text(200, &format!("{target} of rule '{name}' is {what}")))
    }
}

fn only(request: &Request, methods: &[&str], allow: &'static str) -> Result<(), Refusal> {
    if methods.contains(&&*request.method) {
        return Ok(());
    }
    Err(Refusal::new(405, format!("only {allow} here")).with_header("Allow", allow))
}

fn missing() -> Refusal {
    Refusal::new(404, "there is nothing here: see /, /status.json, /metrics, /healthz and /readyz")
}
