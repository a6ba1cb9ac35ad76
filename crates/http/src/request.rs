//! Requests and their parsing.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;

/// More headers are refused with 431.
const MAX_HEADERS: usize = 64;

/// A request.
pub struct Request {
    /// The method, such as `GET`.
    pub method: String,
    /// The path, still encoded.
    pub path: String,
    /// The part of the target after `?`, still encoded.
    pub query: Option<String>,
    /// The host that the request is for.
    pub host: Option<String>,
    /// The client's address, and the server's.
    pub client: Option<SocketAddr>,
    /// The address of the server's end of the connection.
    pub local: Option<SocketAddr>,
    /// The body, complete.
    pub body: Vec<u8>,
    /// Names in lower case.
    headers: Vec<(String, Vec<u8>)>,
    /// Whether the version is HTTP/1.1; otherwise it is 1.0.
    pub(crate) is_1_1: bool,
    pub(crate) keep_alive: bool,
    /// Length of the body in bytes.
    pub(crate) length: usize,
    /// The client waits for `100 Continue` before it sends the body.
    pub(crate) expects_continue: bool,
}

/// The request line, as in an access log.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        if let Some(query) = &self.query {
            write!(f, "?{query}")?;
        }
        write!(f, " HTTP/1.{}", u8::from(self.is_1_1))
    }
}

/// Without the headers, which may hold secrets.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({self})")
    }
}

/// The reason for refusing a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the response.
    pub status: u16,
    /// The reason in one sentence.
    pub why: String,
    /// A header that the status calls for.
    pub header: Option<(&'static str, Cow<'static, str>)>,
}

impl Refusal {
    /// A refusal without a header.
    pub fn new(status: u16, why: impl Into<String>) -> Self {
        Refusal { status, why: why.into(), header: None }
    }

    /// Adds a header.
    pub fn with_header(self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        Refusal { header: Some((name, value.into())), ..self }
    }
}

impl Request {
    /// Parses the headers of a request, given without the empty line at their end.
    ///
    /// # Errors
    /// What is no HTTP/1 request, or has more headers than the server accepts.
    pub fn parse(head: &[u8]) -> Result<Self, Refusal> {
        let block = [head, b"\r\n\r\n"].concat();
        let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut fields);
        match parsed.parse(&block) {
            // Bare line feeds can form an empty line before the end. Some servers would read the
            // lines after it as headers, others as a second request.
            Ok(httparse::Status::Complete(length)) if length == block.len() => {}
            Ok(_) => return Err(Refusal::new(400, "the headers contain an empty line")),
            Err(httparse::Error::TooManyHeaders) => {
                return Err(Refusal::new(431, format!("more than {MAX_HEADERS} headers")));
            }
            Err(httparse::Error::Version) => {
                return Err(Refusal::new(505, "this server speaks HTTP/1.0 and HTTP/1.1"));
            }
            Err(error) => return Err(Refusal::new(400, format!("not an HTTP request: {error}"))),
        }
        let (authority, path, query) = split_target(parsed.path.unwrap_or_default())?;
        let mut request = Request {
            method: parsed.method.unwrap_or_default().to_owned(),
            path: path.to_owned(),
            query: query.map(str::to_owned),
            host: None,
            client: None,
            local: None,
            body: Vec::new(),
            headers: Vec::new(),
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
            let name = header.name.to_ascii_lowercase();
            match name.as_str() {
                "host" if self.host.is_some() => {
                    return Err(Refusal::new(400, "there are two Host headers"));
                }
                "host" => self.host = Some(value.to_owned()),
                "connection" => {
                    let mut options = value.split(',').map(str::trim);
                    close |= options.clone().any(|it| it.eq_ignore_ascii_case("close"));
                    keep |= options.any(|it| it.eq_ignore_ascii_case("keep-alive"));
                }
                "content-length" => {
                    let this = content_length(value)?;
                    if length.replace(this).is_some_and(|other| other != this) {
                        return Err(Refusal::new(400, "conflicting Content-Length headers"));
                    }
                }
                "transfer-encoding" => {
                    return Err(Refusal::new(
                        411,
                        "Transfer-Encoding is not supported; send a Content-Length",
                    ));
                }
                "expect" if value.eq_ignore_ascii_case("100-continue") => {
                    self.expects_continue = true;
                }
                "expect" => {
                    return Err(Refusal::new(417, "only 100-continue is supported in Expect"));
                }
                _ => {}
            }
            self.headers.push((name, header.value.to_vec()));
        }
        if self.host.is_none() && self.is_1_1 {
            return Err(Refusal::new(400, "a Host header is required"));
        }
        self.keep_alive = !close && (self.is_1_1 || keep);
        self.length = length.unwrap_or(0);
        self.expects_continue &= self.is_1_1 && self.length > 0;
        Ok(())
    }

    /// Returns the value of a header, whose name is in lower case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }

    /// Returns the value of a parameter of the query, still encoded.
    pub fn parameter(&self, name: &str) -> Option<&str> {
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
        return Err(Refusal::new(400, "the request target is not a path"));
    }
    Ok((authority, path, query))
}

fn content_length(value: &str) -> Result<usize, Refusal> {
    // `parse` accepts a sign, HTTP does not.
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::new(400, "the Content-Length is not a number"));
    }
    // A number that overflows exceeds every limit.
    Ok(value.parse().unwrap_or(usize::MAX))
}
