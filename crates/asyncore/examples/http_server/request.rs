//! Requests and their parsing.

use std::fmt;

/// One request. The body is added once it has arrived.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Whether the version is HTTP/1.1; otherwise it is 1.0.
    pub(crate) is_1_1: bool,
    /// The connection stays open after the response.
    pub(crate) keep_alive: bool,
    /// Length of the body in bytes.
    pub(crate) length: usize,
    /// The client waits for `100 Continue` before it sends the body.
    pub(crate) expects_continue: bool,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// The reason for refusing a request, after which the connection closes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) why: &'static str,
}

impl Refusal {
    pub(crate) fn new(status: u16, why: &'static str) -> Self {
        Refusal { status, why }
    }
}

impl Request {
    /// Parses headers, which `headers` contains without the final empty line.
    pub(crate) fn parse(headers: &[u8]) -> Result<Self, Refusal> {
        let block = [headers, b"\r\n\r\n"].concat();
        let mut fields = [httparse::EMPTY_HEADER; 100];
        let mut parsed = httparse::Request::new(&mut fields);
        match parsed.parse(&block) {
            // Bare line feeds can form an empty line before the end. Some servers would read the
            // lines after it as headers, others as a second request.
            Ok(httparse::Status::Complete(length)) if length == block.len() => {}
            Ok(_) => return Err(Refusal::new(400, "the headers contain an empty line")),
            Err(httparse::Error::TooManyHeaders) => {
                return Err(Refusal::new(431, "more than 100 headers"));
            }
            Err(httparse::Error::Version) => {
                return Err(Refusal::new(505, "this server speaks HTTP/1.0 and HTTP/1.1"));
            }
            Err(_) => return Err(Refusal::new(400, "this is not an HTTP request")),
        }
        let mut request = Request {
            method: parsed.method.unwrap_or_default().to_owned(),
            target: parsed.path.unwrap_or_default().to_owned(),
            is_1_1: parsed.version == Some(1),
            keep_alive: false,
            length: 0,
            expects_continue: false,
            content_type: None,
            body: Vec::new(),
        };
        request.take_headers(parsed.headers)?;
        Ok(request)
    }

    /// Returns the path and the query.
    ///
    /// The target can be an absolute URI, as in requests to a proxy.
    pub(crate) fn path_and_query(&self) -> Option<(&str, Option<&str>)> {
        let target = match self.target.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => {
                rest.find(['/', '?']).map_or("/", |start| &rest[start..])
            }
            _ => &self.target,
        };
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        path.starts_with('/').then_some((path, query))
    }

    fn take_headers(&mut self, headers: &[httparse::Header<'_>]) -> Result<(), Refusal> {
        let (mut close, mut keep, mut hosts, mut length) = (false, false, 0, None);
        for header in headers {
            let value = String::from_utf8_lossy(header.value);
            let value = value.trim();
            match header.name.to_ascii_lowercase().as_str() {
                "host" => hosts += 1,
                "connection" => {
                    let mut options = value.split(',').map(str::trim);
                    close |= options.clone().any(|it| it.eq_ignore_ascii_case("close"));
                    keep |= options.any(|it| it.eq_ignore_ascii_case("keep-alive"));
                }
                "content-length" => {
                    let this = content_length(value)?;
                    if length.is_some_and(|other| other != this) {
                        return Err(Refusal::new(400, "conflicting Content-Length headers"));
                    }
                    length = Some(this);
                }
                "transfer-encoding" => {
                    return Err(Refusal::new(
                        411,
                        "Transfer-Encoding is not supported; send a Content-Length",
                    ));
                }
                "expect" if value.eq_ignore_ascii_case("100-continue") => {
                    self.expects_continue = self.is_1_1;
                }
                "expect" => {
                    return Err(Refusal::new(417, "only 100-continue is supported in Expect"));
                }
                "content-type" => self.content_type = Some(value.to_owned()),
                _ => {}
            }
        }
        // This header selects among several hosts on one address, so it must be unambiguous.
        if hosts > 1 || (hosts == 0 && self.is_1_1) {
            return Err(Refusal::new(400, "exactly one Host header is required"));
        }
        self.keep_alive = !close && (self.is_1_1 || keep);
        self.length = length.unwrap_or(0);
        Ok(())
    }
}

/// Formats the request line, as in an access log.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} HTTP/1.{}", self.method, self.target, u8::from(self.is_1_1))
    }
}

fn content_length(value: &str) -> Result<usize, Refusal> {
    // `parse` accepts a sign, HTTP does not.
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::new(400, "the Content-Length is not a number"));
    }
    // A number that overflows exceeds every limit.
    Ok(value.parse().unwrap_or(usize::MAX))
}
