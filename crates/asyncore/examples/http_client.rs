//! The classic HTTP client: GETs one page over HTTP/1.0 and writes its body to standard output.
//!
//! usage: http_client HOST[:PORT] PATH
//!
//! Where the original wrote out all that it received, this one takes the headers off, so it is a
//! chat: headers up to an empty line, then a body of as many bytes as they say.

use std::env;
use std::io::{self, Write as _};
use std::net::Ipv6Addr;
use std::process::ExitCode;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use asyncore::{Accumulator, AsyncChat, Channel, Error, Result, SocketMap, Terminator, Token};

const END_OF_HEADERS: &[u8] = b"\r\n\r\n";
const LONGEST_HEADERS: usize = 64 * 1024;
/// How long the server may be silent.
const PATIENCE: Duration = Duration::from_secs(30);

struct HttpClient {
    headers: Accumulator,
    reading_body: bool,
    /// Tells how it went; the first word counts.
    outcome: Sender<Result>,
}

impl HttpClient {
    fn new(map: &mut SocketMap, page: &Page, outcome: Sender<Result>) -> io::Result<Token<Self>> {
        map.add_with(|ch| {
            ch.connect_host(&page.host, page.port)?;
            ch.set_timeout(PATIENCE);
            ch.set_terminator(END_OF_HEADERS);
            // It is sent as soon as the connection is made.
            let request = format!("GET {} HTTP/1.0\r\nHost: {}\r\n\r\n", page.path, page.authority);
            ch.push(request.into_bytes());
            let headers = Accumulator::with_limit(LONGEST_HEADERS);
            Ok(HttpClient { headers, reading_body: false, outcome })
        })
    }

    /// Reports success and ends.
    fn finish(&mut self, ch: &mut Channel<'_>) -> Result {
        io::stdout().flush()?;
        // Nobody listens any more if an earlier word was enough.
        let _ = self.outcome.send(Ok(()));
        ch.close();
        Ok(())
    }
}

impl AsyncChat for HttpClient {
    fn collect_incoming_data(&mut self, _ch: &mut Channel<'_>, data: &[u8]) -> Result {
        if self.reading_body {
            return Ok(io::stdout().write_all(data)?);
        }
        Ok(self.headers.collect(data)?)
    }

    fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
        if self.reading_body {
            return self.finish(ch);
        }
        let mut headers = self.headers.take();
        headers.extend_from_slice(END_OF_HEADERS);
        ch.set_terminator(match body_length(&headers)? {
            Some(length) => Terminator::Length(length),
            None => Terminator::None,
        });
        self.reading_body = true;
        Ok(())
    }

    fn handle_eof(&mut self, ch: &mut Channel<'_>) -> Result {
        if !self.reading_body {
            // A server that does not speak HTTP says something, but no empty line.
            body_length(self.headers.as_slice())?;
            return Err(Error::msg("the server ended the connection within the headers"));
        }
        match ch.terminator() {
            Terminator::Length(left) => {
                let what = format!("the server ended the connection with {left} bytes to come");
                Err(Error::msg(what))
            }
            _ => self.finish(ch),
        }
    }

    fn handle_timeout(&mut self, _ch: &mut Channel<'_>) -> Result {
        Err(Error::msg(format!("the server sent nothing for {PATIENCE:?}")))
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, error: Error) {
        let _ = self.outcome.send(Err(error));
        ch.close();
    }

    fn handle_close(&mut self, ch: &mut Channel<'_>) {
        let cause = ch.close_cause().map(|cause| format!(": {cause}")).unwrap_or_default();
        let _ = self.outcome.send(Err(Error::msg(format!("the connection was lost{cause}"))));
    }
}

/// How long the headers say that the body is, where `None` is as long as the connection.
fn body_length(headers: &[u8]) -> Result<Option<usize>> {
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let mut response = httparse::Response::new(&mut fields);
    response.parse(headers).map_err(|error| {
        let line = headers.split(|byte| *byte == b'\r' || *byte == b'\n').next().unwrap_or(b"");
        let shown = line[..line.len().min(60)].escape_ascii();
        Error::msg(format!("the server sent malformed headers ({error}): \"{shown}\""))
    })?;
    if matches!(response.code, Some(204 | 304)) {
        return Ok(Some(0));
    }
    let mut length = None;
    for field in response.headers.iter() {
        let value = field.value.escape_ascii();
        if field.name.eq_ignore_ascii_case("transfer-encoding") {
            let what = format!("the server encoded the body as \"{value}\", unknown to HTTP/1.0");
            return Err(Error::msg(what));
        }
        if field.name.eq_ignore_ascii_case("content-length") {
            let parsed = value.to_string().parse().map_err(|_| {
                Error::msg(format!("the server sent a malformed Content-Length: \"{value}\""))
            })?;
            length = Some(parsed);
        }
    }
    Ok(length)
}

/// What to get and from where.
struct Page {
    host: String,
    port: u16,
    /// Host and port as they were given, for the `Host` header.
    authority: String,
    path: String,
}

impl Page {
    /// The page that the arguments name, unless there is something wrong with them.
    fn from_args() -> Option<Self> {
        let mut args = env::args_os().skip(1);
        let authority = args.next()?.into_string().ok()?;
        let path = args.next()?.into_string().ok()?;
        // A space or a line end would make the path something else to the server.
        let speakable = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let good = path.starts_with('/') && speakable(&path) && speakable(&authority);
        if !good || args.next().is_some() {
            return None;
        }
        let (host, port) = split_authority(&authority)?;
        Some(Page { host, port, authority, path })
    }
}

/// Splits `HOST[:PORT]`, where an IPv6 address is in brackets.
fn split_authority(authority: &str) -> Option<(String, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = port.map_or(Some(80), |port| port.parse().ok())?;
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

fn main() -> ExitCode {
    let Some(page) = Page::from_args() else {
        eprintln!("usage: http_client HOST[:PORT] PATH");
        eprintln!("PATH begins with a slash, and an IPv6 address is in brackets: [::1]:8080");
        return ExitCode::from(2);
    };
    let (outcome, outcomes) = mpsc::channel();
    let ran = asyncore::run(|map| {
        HttpClient::new(map, &page, outcome)?;
        Ok(())
    });
    match ran.and_then(|()| outcomes.recv()?) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("http_client: {error}");
            ExitCode::FAILURE
        }
    }
}
