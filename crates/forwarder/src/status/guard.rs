//! Who may look, and who may act.

use std::net::{IpAddr, SocketAddr};

use crate::http::{Refusal, Request};

/// Guards a page.
///
/// This machine may look, others only with the token or when the page is public, and to act takes
/// the token in any case. A browser that was lured to another name for this address (DNS
/// rebinding) is told by that name in its Host header; other sites cannot read answers because
/// nothing here allows them to, nor act because a token is no cookie.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    token: Option<String>,
    public: bool,
}

impl Guard {
    pub(crate) fn new(token: Option<String>, public: bool) -> Self {
        Guard { token, public }
    }

    /// Whether anybody can act at all.
    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether the numbers may be told.
    pub(crate) fn look(&self, request: &Request) -> Result<(), Refusal> {
        if self.shows_token(request)? {
            return Ok(());
        }
        if !request.host.as_deref().is_none_or(is_unmistakable) {
            return Err(Refusal::new(
                421,
                "open this page by its IP address or as localhost, since a name could be anybody's; \
                 programs can show the token instead",
            ));
        }
        if self.public || is_this_machine(request.client, request.local) {
            return Ok(());
        }
        Err(unauthorized(
            "from another machine this takes the token, as 'Authorization: Bearer TOKEN'",
        ))
    }

    /// Whether something may be changed.
    pub(crate) fn act(&self, request: &Request) -> Result<(), Refusal> {
        if !self.has_token() {
            return Err(Refusal::new(
                403,
                "nobody can change anything here, because the forwarder was given no token: give \
                 it one with --status-token-file",
            ));
        }
        if self.shows_token(request)? {
            return Ok(());
        }
        Err(unauthorized("this takes the token, as 'Authorization: Bearer TOKEN'"))
    }

    /// Whether the right token is shown; a wrong one is refused whatever for.
    fn shows_token(&self, request: &Request) -> Result<bool, Refusal> {
        match (&self.token, &request.bearer) {
            (Some(token), Some(shown)) if shown.is(token) => Ok(true),
            (Some(_), Some(_)) => {
                let client = request.client.map(tracing::field::display);
                tracing::warn!(client, "the status page was shown a wrong token");
                Err(unauthorized("this is not the token"))
            }
            _ => Ok(false),
        }
    }
}

fn unauthorized(why: &str) -> Refusal {
    Refusal::new(401, why).with_header("WWW-Authenticate", "Bearer")
}

/// Whether a Host header names an address, or this machine by the one name that nobody else has.
fn is_unmistakable(host: &str) -> bool {
    if host.starts_with('[') {
        let address = host.split_once(']').map(|(address, _port)| &address[1..]);
        return address.is_some_and(|address| address.parse::<IpAddr>().is_ok());
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

fn is_this_machine(client: Option<SocketAddr>, local: Option<SocketAddr>) -> bool {
    let ip = |addr: Option<SocketAddr>| addr.map(|addr| addr.ip().to_canonical());
    let client = ip(client);
    client.is_some_and(|client| client.is_loopback()) || (client.is_some() && client == ip(local))
}

#[cfg(test)]
mod tests;
