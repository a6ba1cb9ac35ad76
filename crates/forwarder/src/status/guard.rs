//! Access control: who may look, and who may act.

use std::cell::RefCell;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use asyncore_http::{Refusal, Request};
use subtle::ConstantTimeEq as _;

use super::wrong_tokens::WrongTokens;

/// Guards a page.
///
/// Clients on this machine may look; others need the token, or the page has to be public. Actions
/// always need the token. After a DNS rebinding a browser sends the attacker's name in its Host
/// header, so names other than localhost are refused. Other sites cannot read answers because no
/// answer allows it, and cannot act because a token is not a cookie.
#[derive(Debug)]
pub(crate) struct Guard {
    token: Option<String>,
    public: bool,
    wrong_tokens: RefCell<WrongTokens>,
}

impl Guard {
    pub(crate) fn new(token: Option<String>, public: bool) -> Self {
        Guard { token, public, wrong_tokens: RefCell::default() }
    }

    /// Whether there is a token, without which no action is possible.
    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Checks that the client may read the report.
    pub(crate) fn look(&self, request: &Request, now: Instant) -> Result<(), Refusal> {
        if self.shows_token(request, now)? {
            return Ok(());
        }
        if !request.host.as_deref().is_none_or(is_address_or_localhost) {
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
            "from another machine this needs the token, as 'Authorization: Bearer TOKEN'",
        ))
    }

    /// Checks that the client may change something.
    pub(crate) fn act(&self, request: &Request, now: Instant) -> Result<(), Refusal> {
        if !self.has_token() {
            return Err(Refusal::new(
                403,
                "actions need a token, and the forwarder has none: set one with \
                 --status-token-file",
            ));
        }
        if self.shows_token(request, now)? {
            return Ok(());
        }
        Err(unauthorized("this needs the token, as 'Authorization: Bearer TOKEN'"))
    }

    /// Wrong tokens that clients have shown.
    pub(crate) fn wrong_tokens(&self) -> u64 {
        self.wrong_tokens.borrow().total()
    }

    /// Returns whether the request shows the token. A wrong token is refused even where none is
    /// needed, and so is any token from an address that has shown too many wrong ones.
    fn shows_token(&self, request: &Request, now: Instant) -> Result<bool, Refusal> {
        let shown = request.header("authorization").and_then(bearer);
        let (Some(token), Some(shown)) = (&self.token, shown) else {
            return Ok(false);
        };
        let client = request.client.map(|client| client.ip());
        let mut wrong_tokens = self.wrong_tokens.borrow_mut();
        if let Some(wait) = wrong_tokens.locked_out(client, now) {
            let seconds = wait.as_secs() + 1;
            let why = format!("too many wrong tokens from this address: retry in {seconds} s");
            return Err(Refusal::new(429, why).with_header("Retry-After", seconds.to_string()));
        }
        // In constant time, so that the time tells nothing but the length.
        if shown.ct_eq(token.as_bytes()).into() {
            return Ok(true);
        }
        wrong_tokens.note(client, now);
        Err(unauthorized("this is not the token"))
    }
}

/// Returns the token of an Authorization header.
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.trim_ascii().split_at_checked(b"bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

fn unauthorized(why: &str) -> Refusal {
    Refusal::new(401, why).with_header("WWW-Authenticate", "Bearer")
}

/// Whether a Host header is an IP address or localhost, with or without a port, and nothing else.
///
/// The port may differ from ours: a tunnel or a container has its own.
fn is_address_or_localhost(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !host.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse().is_ok_and(|port: u16| port > 0)
    };
    let is_ip = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(ip) => ip.parse::<Ipv6Addr>().is_ok(),
        None => name.parse::<Ipv4Addr>().is_ok(),
    };
    port.is_none_or(is_port) && (is_ip || name.eq_ignore_ascii_case("localhost"))
}

fn is_this_machine(client: Option<SocketAddr>, local: Option<SocketAddr>) -> bool {
    let ip = |addr: Option<SocketAddr>| addr.map(|addr| addr.ip().to_canonical());
    let client = ip(client);
    client.is_some_and(|client| client.is_loopback()) || (client.is_some() && client == ip(local))
}

#[cfg(test)]
mod tests;
