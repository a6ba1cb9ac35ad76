//! Responses and how they are sent.

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write as _;
use std::time::SystemTime;

use asyncore::{Channel, Producer};

use crate::{Refusal, Request};

/// A response.
pub struct Response {
    status: u16,
    content_type: &'static str,
    headers: Vec<(&'static str, Cow<'static, str>)>,
    body: Body,
}

enum Body {
    Bytes(Cow<'static, [u8]>),
    /// This many bytes, produced while the client takes them.
    Produced(u64, Box<dyn Producer>),
}

impl Response {
    /// A response of these bytes.
    pub fn new(content_type: &'static str, body: impl Into<Cow<'static, [u8]>>) -> Self {
        let body = Body::Bytes(body.into());
        Response { status: 200, content_type, headers: Vec::new(), body }
    }

    /// A response whose body of `length` bytes comes from a producer.
    pub fn produced(
        content_type: &'static str,
        length: u64,
        producer: impl Producer + 'static,
    ) -> Self {
        let body = Body::Produced(length, Box::new(producer));
        Response { status: 200, content_type, headers: Vec::new(), body }
    }

    /// A response of one line of text.
    pub fn text(status: u16, sentence: &str) -> Self {
        let body = format!("{sentence}\n").into_bytes();
        Response { status, ..Response::new("text/plain; charset=utf-8", body) }
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Length of the body in bytes.
    pub fn length(&self) -> u64 {
        self.body.len()
    }

    /// Queues the response, without its body if the request was a HEAD. `more` are header lines.
    pub(crate) fn send(
        self,
        ch: &mut Channel<'_>,
        request: Option<&Request>,
        keep_alive: bool,
        more: &str,
    ) {
        ch.push(self.head(request, keep_alive, more).into_bytes());
        if request.is_some_and(|request| request.method == "HEAD") {
            return;
        }
        match self.body {
            Body::Bytes(bytes) => ch.push(bytes),
            Body::Produced(_, producer) => ch.push_with_producer(producer),
        }
    }

    fn head(&self, request: Option<&Request>, keep_alive: bool, more: &str) -> String {
        let mut head = format!(
            "HTTP/1.1 {} {}\r\nDate: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{more}",
            self.status,
            reason(self.status),
            httpdate::fmt_http_date(SystemTime::now()),
            self.content_type,
            self.body.len(),
        );
        for (name, value) in &self.headers {
            // Writing to a string cannot fail.
            let _ = write!(head, "{name}: {value}\r\n");
        }
        // Only a departure from the default of the HTTP version needs a header.
        match (keep_alive, request.is_some_and(|request| request.is_1_1)) {
            (true, true) => {}
            (true, false) => head.push_str("Connection: keep-alive\r\n"),
            (false, _) => head.push_str("Connection: close\r\n"),
        }
        head.push_str("\r\n");
        head
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({} {} {})", self.status, self.content_type, self.length())
    }
}

impl Body {
    fn len(&self) -> u64 {
        match self {
            Body::Bytes(bytes) => bytes.len() as u64,
            Body::Produced(length, _) => *length,
        }
    }
}

impl From<&Refusal> for Response {
    fn from(refusal: &Refusal) -> Self {
        let headers = refusal.header.clone().into_iter().collect();
        Response { headers, ..Response::text(refusal.status, &refusal.why) }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        301 => "Moved Permanently",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
