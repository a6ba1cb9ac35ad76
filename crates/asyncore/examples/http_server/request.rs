//! What a client asks for.

use std::fmt;

/// One request, of which the body comes later.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    /// HTTP/1.1, or else 1.0.
    pub(crate) is_1_1: bool,
    /// Whether the connection stays open after the answer.
    pub(crate) keep_alive: bool,
    /// How long the body is.
    pub(crate) length: usize,
    /// Whether the client sends the body only after it was told to.
    pub(crate) expects_continue: bool,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// Why a request cannot be answered, and its connection not be used any more.
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
    /// Parses headers, given without the empty line at their end.
    pub(crate) fn parse(headers: &[u8]) -> Result<Self, Refusal> {
        let block = [headers, b"\r\n\r\n"].concat();
        let mut fields = [httparse::EMPTY_HEADER; 100];
        let mut parsed = httparse::Request::new(&mut fields);
        match parsed.parse(&block) {
            // Lone line feeds can make an empty line before the end. What is after it would be
            // headers to some and a second request to others.
            Ok(httparse::Status::Complete(length)) if length == block.len() => {}
            Ok(_) => return Err(Refusal::new(400, "the headers end before their end")),
            Err(httparse::Error::TooManyHeaders) => {
                return Err(Refusal::new(431, "there are more than 100 headers"));
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

    /// The path and what follows its question mark.
    ///
    /// The target can be a whole address, as proxies are sent it.
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
                        return Err(Refusal::new(400, "there are two different Content-Lengths"));
                    }
                    length = Some(this);
                }
                "transfer-encoding" => {
                    return Err(Refusal::new(411, "send the body with a Content-Length instead"));
                }
                "expect" if value.eq_ignore_ascii_case("100-continue") => {
                    self.expects_continue = self.is_1_1;
                }
                "expect" => return Err(Refusal::new(417, "only 100-continue can be expected")),
                "content-type" => self.content_type = Some(value.to_owned()),
                _ => {}
            }
        }
        // Several names on one address are told apart by this header, so it must be clear.
        if hosts > 1 || (hosts == 0 && self.is_1_1) {
            return Err(Refusal::new(400, "there must be one Host header"));
        }
        self.keep_alive = !close && (self.is_1_1 || keep);
        self.length = length.unwrap_or(0);
        Ok(())
    }
}

/// As in an access log.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} HTTP/1.{}", self.method, self.target, u8::from(self.is_1_1))
    }
}

fn content_length(value: &str) -> Result<usize, Refusal> {
    // A sign is a digit to `parse`, but not to HTTP.
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::new(400, "the Content-Length is not a number"));
    }
    // One that does not fit into a number is too long for sure.
    Ok(value.parse().unwrap_or(usize::MAX))
}
