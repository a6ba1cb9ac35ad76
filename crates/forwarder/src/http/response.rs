//! What a client is answered.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::SystemTime;

use asyncore::{Channel, Producer};

use super::{Refusal, Request};

/// Whatever is answered is for this page alone, and of this moment.
const ALWAYS: &str = "Cache-Control: no-store\r\n\
    Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'\r\n\
    Cross-Origin-Resource-Policy: same-origin\r\n\
    Referrer-Policy: no-referrer\r\n\
    X-Content-Type-Options: nosniff\r\n";

pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    body: Body,
    header: Option<(&'static str, Cow<'static, str>)>,
}

enum Body {
    Bytes(Cow<'static, [u8]>),
    /// So many bytes, made as the client takes them.
    Made(u64, Box<dyn Producer>),
}

impl Response {
    pub(crate) fn new(content_type: &'static str, body: impl Into<Cow<'static, [u8]>>) -> Self {
        Response { status: 200, content_type, body: Body::Bytes(body.into()), header: None }
    }

    /// A body of `length` bytes, which `producer` makes.
    pub(crate) fn made(
        content_type: &'static str,
        length: u64,
        producer: impl Producer + 'static,
    ) -> Self {
        let body = Body::Made(length, Box::new(producer));
        Response { status: 200, content_type, body, header: None }
    }

    /// A page, a style or a script that is part of the program.
    pub(crate) fn fixed(content_type: &'static str, text: &'static str) -> Self {
        Response::new(content_type, text.as_bytes())
    }

    /// One sentence.
    pub(crate) fn text(status: u16, sentence: &str) -> Self {
        let body = format!("{sentence}\n").into_bytes();
        Response { status, ..Response::new("text/plain; charset=utf-8", body) }
    }

    /// Queues the answer; without its body if the request was a HEAD.
    pub(super) fn send(self, ch: &mut Channel<'_>, request: Option<&Request>, keep_alive: bool) {
        ch.push(self.head(request, keep_alive).into_bytes());
        if request.is_some_and(|request| request.method == "HEAD") {
            return;
        }
        match self.body {
            Body::Bytes(bytes) => ch.push(bytes),
            Body::Made(_, producer) => ch.push_with_producer(producer),
        }
    }

    fn head(&self, request: Option<&Request>, keep_alive: bool) -> String {
        let mut head = format!(
            "HTTP/1.1 {} {}\r\nDate: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{ALWAYS}",
            self.status,
            reason(self.status),
            httpdate::fmt_http_date(SystemTime::now()),
            self.content_type,
            self.body.len(),
        );
        if let Some((name, value)) = &self.header {
            // Writing to a string cannot fail.
            let _ = write!(head, "{name}: {value}\r\n");
        }
        // What the version takes for granted need not be said.
        match (keep_alive, request.is_some_and(|request| request.is_1_1)) {
            (true, true) => {}
            (true, false) => head.push_str("Connection: keep-alive\r\n"),
            (false, _) => head.push_str("Connection: close\r\n"),
        }
        head.push_str("\r\n");
        head
    }
}

impl Body {
    fn len(&self) -> u64 {
        match self {
            Body::Bytes(bytes) => bytes.len() as u64,
            Body::Made(length, _) => *length,
        }
    }
}

impl From<&Refusal> for Response {
    fn from(refusal: &Refusal) -> Self {
        Response { header: refusal.header.clone(), ..Response::text(refusal.status, &refusal.why) }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
