//! Responses and how they are sent.

use std::time::SystemTime;

use asyncore::{Channel, FileProducer};

use super::request::{Refusal, Request};

/// The content type of errors and redirects.
const TEXT: &str = "text/plain; charset=utf-8";

pub(crate) struct Response {
    status: u16,
    content_type: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Body,
}

enum Body {
    Bytes(Vec<u8>),
    File(FileProducer),
}

impl Response {
    pub(crate) fn new(content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        let body = Body::Bytes(body.into());
        Response { status: 200, content_type, headers: Vec::new(), body }
    }

    pub(crate) fn file(content_type: &'static str, file: FileProducer) -> Self {
        Response { status: 200, content_type, headers: Vec::new(), body: Body::File(file) }
    }

    /// Returns an error response that gives the reason in one sentence.
    pub(crate) fn error(status: u16, why: &str) -> Self {
        let body = format!("{status} {}: {why}\n", reason(status));
        Response { status, ..Response::new(TEXT, body) }
    }

    pub(crate) fn redirect(location: String) -> Self {
        let body = format!("moved to {location}\n");
        Response { status: 301, ..Response::new(TEXT, body) }.with_header("Location", location)
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Queues the response, without its body if the request was a HEAD.
    pub(crate) fn send(self, ch: &mut Channel<'_>, request: Option<&Request>, keep_alive: bool) {
        ch.push(self.head(request, keep_alive).into_bytes());
        if request.is_some_and(|request| request.method == "HEAD") {
            return;
        }
        match self.body {
            Body::Bytes(bytes) => ch.push(bytes),
            // A producer reads the file in pieces, so its size does not matter.
            Body::File(file) => ch.push_with_producer(file),
        }
    }

    fn head(&self, request: Option<&Request>, keep_alive: bool) -> String {
        let date = httpdate::fmt_http_date(SystemTime::now());
        let mut head = format!(
            "HTTP/1.1 {} {}\r\nDate: {date}\r\nContent-Type: {}\r\nContent-Length: {}\r\n",
            self.status,
            reason(self.status),
            self.content_type,
            self.length(),
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
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

    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// Returns the length of the body in bytes.
    pub(crate) fn length(&self) -> u64 {
        match &self.body {
            Body::Bytes(bytes) => bytes.len() as u64,
            Body::File(file) => file.len(),
        }
    }
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Self {
        Response::error(refusal.status, refusal.why)
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        301 => "Moved Permanently",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
