//! One question to the status page.

use std::io;
use std::time::Duration;

use asyncore::{Accumulator, AsyncChat, Channel, Error, Result, Token};

use super::Top;
use crate::config::Endpoint;
use crate::status::report::Report;

/// How long the page may take to be connected to, and to go on with its answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// A longer head is none of ours.
const LONGEST_HEAD: usize = 16 * 1024;
/// A longer answer neither.
const LONGEST_BODY: usize = 16 * 1024 * 1024;

const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// Asks, tells [`Top`] the answer, and ends.
pub(super) struct Client {
    top: Token<Top>,
    input: Accumulator,
    /// The status, once the head has come.
    status: Option<u16>,
}

impl Client {
    pub(super) fn ask(
        ch: &mut Channel<'_>,
        top: Token<Top>,
        address: &Endpoint,
        path: &str,
        token: Option<&str>,
    ) -> io::Result<Token<Self>> {
        let Endpoint::Host(host, port) = address else {
            return Err(io::Error::other("a status page has a host and a port"));
        };
        let bearer = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\n{}Connection: close\r\n\r\n",
            bearer.unwrap_or_default()
        );
        ch.add_with(|ch| {
            ch.set_connect_timeout(PATIENCE);
            ch.connect_host(host, *port)?;
            ch.set_timeout(PATIENCE);
            ch.set_terminator(END_OF_HEAD);
            ch.push(request.into_bytes());
            Ok(Client { top, input: Accumulator::with_limit(LONGEST_HEAD), status: None })
        })
    }

    fn found_head(&mut self, ch: &mut Channel<'_>) -> Result {
        let head = [&self.input.take()[..], END_OF_HEAD].concat();
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Response::new(&mut fields);
        if !parsed.parse(&head).is_ok_and(|status| status.is_complete()) {
            return Err(Error::msg("what answers there is no web server"));
        }
        let mut headers = parsed.headers.iter();
        let length = headers.find(|header| header.name.eq_ignore_ascii_case("content-length"));
        let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok());
        let length: usize = length
            .filter(|length| *length <= LONGEST_BODY)
            .ok_or_else(|| Error::msg("what answers there is no forwarder's status page"))?;
        self.status = parsed.code;
        self.input = Accumulator::with_limit(length);
        ch.set_terminator(length);
        Ok(())
    }

    fn found_body(&mut self, ch: &mut Channel<'_>, status: u16) -> Result {
        let body = self.input.take();
        if status == 200 {
            let report = serde_json::from_slice(&body).map_err(|error| {
                Error::msg(format!("what answers there is no forwarder like this one: {error}"))
            });
            return self.tell(ch, Ok(report?));
        }
        let hint =
            if status == 401 { "; FORWARDER_STATUS_TOKEN is where it comes from" } else { "" };
        let why = String::from_utf8_lossy(&body);
        self.tell(ch, Err(format!("{status}: {}{hint}", why.trim_end())))
    }

    fn tell(&self, ch: &mut Channel<'_>, answer: std::result::Result<Report, String>) -> Result {
        ch.close();
        ch.with(self.top, |top, _| top.answered(answer)).unwrap_or(Ok(()))
    }
}

impl AsyncChat for Client {
    fn collect_incoming_data(&mut self, _ch: &mut Channel<'_>, data: &[u8]) -> Result {
        Ok(self.input.collect(data)?)
    }

    fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
        match self.status {
            None => self.found_head(ch),
            Some(status) => self.found_body(ch, status),
        }
    }

    fn handle_eof(&mut self, _ch: &mut Channel<'_>) -> Result {
        Err(Error::msg("the answer was cut off"))
    }

    fn handle_timeout(&mut self, _ch: &mut Channel<'_>) -> Result {
        Err(Error::msg(format!("no answer for {PATIENCE:?}")))
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, error: Error) {
        if let Err(end) = self.tell(ch, Err(error.to_string())) {
            // Only whoever returns it can leave the loop, which an error handler cannot.
            ch.call_later(Duration::ZERO, |_| Err(end));
        }
    }
}
