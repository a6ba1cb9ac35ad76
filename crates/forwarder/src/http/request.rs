//! What a client asks for.

use std::borrow::Cow;
use std::net::SocketAddr;

use subtle::ConstantTimeEq as _;

/// A longer body is refused with 413; nothing here takes one at all.
const LONGEST_BODY: usize = 64 * 1024;
/// More headers are refused with 431.
const MOST_HEADERS: usize = 64;

/// A request, without its body.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Still encoded.
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) host: Option<String>,
    /// What the client shows to be allowed more.
    pub(crate) bearer: Option<Bearer>,
    /// The client's address, and that of this end.
    pub(crate) client: Option<SocketAddr>,
    pub(crate) local: Option<SocketAddr>,
    /// HTTP/1.1, or else 1.0.
    pub(super) is_1_1: bool,
    pub(super) keep_alive: bool,
    /// How long the body is.
    pub(super) length: usize,
    /// The client sends the body only after it was told to.
    pub(super) expects_continue: bool,
}

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) why: String,
    /// What the status calls for.
    pub(crate) header: Option<(&'static str, Cow<'static, str>)>,
}

impl Refusal {
    pub(crate) fn new(status: u16, why: impl Into<String>) -> Self {
        Refusal { status, why: why.into(), header: None }
    }

    pub(crate) fn with_header(
        self,
        name: &'static str,
        value: impl Into<Cow<'static, str>>,
    ) -> Self {
        Refusal { header: Some((name, value.into())), ..self }
    }
}

/// A token as a client shows it.
pub(crate) struct Bearer(Vec<u8>);

impl Bearer {
    /// Whether it is `token`; how long that takes tells nothing but the length.
    pub(crate) fn is(&self, token: &str) -> bool {
        self.0.ct_eq(token.as_bytes()).into()
    }
}

/// Without the token, which is nothing for a log.
impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bearer(…)")
    }
}

impl Request {
    /// Parses a head, given without the empty line at its end.
    pub(crate) fn parse(head: &[u8]) -> Result<Self, Refusal> {
        let block = [head, b"\r\n\r\n"].concat();
        let mut fields = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut parsed = httparse::Request::new(&mut fields);
        match parsed.parse(&block) {
            // Lone line feeds can make an empty line before the end, and what is after it would
            // be headers to some and a second request to others.
            Ok(httparse::Status::Complete(length)) if length == block.len() => {}
            Ok(_) => return Err(Refusal::new(400, "the headers end before their end")),
            Err(httparse::Error::TooManyHeaders) => {
                return Err(Refusal::new(431, format!("more than {MOST_HEADERS} headers")));
            }
            Err(httparse::Error::Version) => {
                return Err(Refusal::new(505, "only HTTP/1.0 and HTTP/1.1 are spoken here"));
            }
            Err(error) => return Err(Refusal::new(400, format!("no HTTP request: {error}"))),
        }
        let (authority, path, query) = split_target(parsed.path.unwrap_or_default())?;
        let mut request = Request {
            method: parsed.method.unwrap_or_default().to_owned(),
            path: path.to_owned(),
            query: query.map(str::to_owned),
            host: None,
            bearer: None,
            client: None,
            local: None,
            is_1_1: parsed.version == Some(1),
            keep_alive: false,
            length: 0,
            expects_continue: false,
        };
        request.take_headers(parsed.headers)?;
        // RFC 9112: the host of an absolute target replaces that of the header.
        if let Some(authority) = authority {
            request.host = Some(authority.to_owned());
        }
        Ok(request)
    }

    fn take_headers(&mut self, headers: &[httparse::Header<'_>]) -> Result<(), Refusal> {
        let (mut close, mut keep, mut length) = (false, false, None);
        for header in headers {
            let text = String::from_utf8_lossy(header.value);
            let value = text.trim();
            match header.name.to_ascii_lowercase().as_str() {
                "host" if self.host.is_some() => {
                    return Err(Refusal::new(400, "there are two Host headers"));
                }
                "host" => self.host = Some(value.to_owned()),
                "authorization" => self.bearer = bearer(header.value),
                "connection" => {
                    let mut options = value.split(',').map(str::trim);
                    close |= options.clone().any(|it| it.eq_ignore_ascii_case("close"));
                    keep |= options.any(|it| it.eq_ignore_ascii_case("keep-alive"));
                }
                "content-length" => {
                    let this = content_length(value)?;
                    if length.replace(this).is_some_and(|other| other != this) {
                        return Err(Refusal::new(400, "there are two different Content-Lengths"));
                    }
                }
                "transfer-encoding" => {
                    return Err(Refusal::new(411, "a body needs a Content-Length here"));
                }
                "expect" if value.eq_ignore_ascii_case("100-continue") => {
                    self.expects_continue = true;
                }
                "expect" => return Err(Refusal::new(417, "only 100-continue can be expected")),
                _ => {}
            }
        }
        if self.host.is_none() && self.is_1_1 {
            return Err(Refusal::new(400, "there is no Host header"));
        }
        self.keep_alive = !close && (self.is_1_1 || keep);
        self.length = length.unwrap_or(0);
        self.expects_continue &= self.is_1_1 && self.length > 0;
        Ok(())
    }

    /// The value of a parameter of the query, as it was written.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let pairs = self.query.as_deref()?.split('&');
        pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|it| it.1)
    }
}

/// Splits a target into its authority, which a target has that was meant for a proxy, its path and
/// its query.
fn split_target(target: &str) -> Result<(Option<&str>, &str, Option<&str>), Refusal> {
    let (authority, target) = match target.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => {
            let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            (Some(authority), if rest.is_empty() { "/" } else { rest })
        }
        _ => (None, target),
    };
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    if !path.starts_with('/') {
        return Err(Refusal::new(400, "the target of the request is no path"));
    }
    Ok((authority, path, query))
}

fn bearer(value: &[u8]) -> Option<Bearer> {
    let (scheme, token) = value.split_at_checked(b"bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| Bearer(token.trim_ascii().to_vec()))
}

fn content_length(value: &str) -> Result<usize, Refusal> {
    // A sign is a digit to `parse`, but not to HTTP.
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::new(400, "the Content-Length is not a number"));
    }
    match value.parse() {
        Ok(length) if length <= LONGEST_BODY => Ok(length),
        // One that does not fit into a number is too long for sure.
        _ => Err(Refusal::new(413, format!("the body is longer than {LONGEST_BODY} bytes"))),
    }
}
