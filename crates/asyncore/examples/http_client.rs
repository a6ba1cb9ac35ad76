//! The classic HTTP client: GETs one page over HTTP/1.0 and writes its body to standard output.
//!
//! usage: http_client HOST[:PORT] PATH
//!        http_client https://HOST[:PORT]/PATH
//!
//! The second form needs the feature `tls`. TLS is a layer of the channel, so the client itself
//! does not change:
//!
//! ```console
//! $ cargo run -p asyncore-rs --features tls --example http_client https://www.rust-lang.org/
//! ```
//!
//! The original wrote out everything that it received. This client strips the headers, so it is an
//! `AsyncChat`: it reads headers up to an empty line, then a body of the length that they declare.

use std::env;
use std::io::{self, Write as _};
use std::net::Ipv6Addr;
use std::process::ExitCode;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use asyncore::{Accumulator, AsyncChat, Channel, Error, Result, SocketMap, Terminator, Token};

const END_OF_HEADERS: &[u8] = b"\r\n\r\n";
const MAX_HEADERS_LENGTH: usize = 64 * 1024;
/// Maximum time to wait for data from the server.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

struct HttpClient {
    headers: Accumulator,
    reading_body: bool,
    /// Reports the result of the request. Only the first report counts.
    outcome: Sender<Result>,
}

impl HttpClient {
    fn new(map: &mut SocketMap, page: &Page, outcome: Sender<Result>) -> io::Result<Token<Self>> {
        map.add_with(|ch| {
            ch.connect_host(&page.host, page.port)?;
            if page.is_secure {
                secure(ch, &page.host)?;
            }
            ch.set_timeout(READ_TIMEOUT);
            ch.set_terminator(END_OF_HEADERS);
            // The queue is sent once the connection is established.
            let request = format!("GET {} HTTP/1.0\r\nHost: {}\r\n\r\n", page.path, page.authority);
            ch.push(request.into_bytes());
            let headers = Accumulator::with_limit(MAX_HEADERS_LENGTH);
            Ok(HttpClient { headers, reading_body: false, outcome })
        })
    }

    /// Reports success and ends.
    fn finish(&mut self, ch: &mut Channel<'_>) -> Result {
        io::stdout().flush()?;
        // The receiver is gone if it already has an outcome.
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
            // A server that does not speak HTTP may send data without an empty line. Parsing that
            // gives the better error.
            body_length(self.headers.as_slice())?;
            return Err(Error::msg("the server ended the connection within the headers"));
        }
        match ch.terminator() {
            Terminator::Length(left) => {
                let what = format!(
                    "the server ended the connection {left} bytes before the end of the body"
                );
                Err(Error::msg(what))
            }
            _ if ch.input_truncated() => {
                Err(Error::msg("the connection was cut: the body may be incomplete"))
            }
            _ => self.finish(ch),
        }
    }

    fn handle_timeout(&mut self, _ch: &mut Channel<'_>) -> Result {
        Err(Error::msg(format!("the server sent nothing for {READ_TIMEOUT:?}")))
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

/// Inserts TLS, with the root certificates of the system.
#[cfg(feature = "tls")]
fn secure(ch: &mut Channel<'_>, host: &str) -> io::Result<()> {
    use asyncore::TlsLayer;
    use asyncore::rustls::{ClientConfig, RootCertStore};

    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let what = format!("the system has no root certificates: {:?}", found.errors);
        return Err(io::Error::new(io::ErrorKind::NotFound, what));
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    ch.insert_layer(TlsLayer::client(config.into(), host)?, &[])
}

#[cfg(not(feature = "tls"))]
fn secure(_ch: &mut Channel<'_>, _host: &str) -> io::Result<()> {
    let what = "this program was built without TLS: add --features tls";
    Err(io::Error::new(io::ErrorKind::Unsupported, what))
}

/// Returns the length of the body, or `None` if it ends with the connection.
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

/// The page to get, and its server.
struct Page {
    host: String,
    port: u16,
    /// Host and port as given on the command line, for the `Host` header.
    authority: String,
    path: String,
    is_secure: bool,
}

impl Page {
    /// Parses the command line.
    fn from_args() -> Option<Self> {
        let mut args = env::args_os().skip(1);
        let mut authority = args.next()?.into_string().ok()?;
        let url = authority.strip_prefix("https://").map(str::to_owned);
        let is_secure = url.is_some();
        let path = match url {
            Some(url) => {
                let (host, path) = url.split_once('/').unwrap_or((&url, ""));
                authority = host.to_owned();
                format!("/{path}")
            }
            None => args.next()?.into_string().ok()?,
        };
        // A space or a line break would change the meaning of the request line.
        let is_printable = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let is_valid = path.starts_with('/') && is_printable(&path) && is_printable(&authority);
        if !is_valid || args.next().is_some() {
            return None;
        }
        let default_port = if is_secure { 443 } else { 80 };
        let (host, port) = split_authority(&authority, default_port)?;
        Some(Page { host, port, authority, path, is_secure })
    }
}

/// Splits `HOST[:PORT]`; an IPv6 address is in brackets.
fn split_authority(authority: &str, default_port: u16) -> Option<(String, u16)> {
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
    let port = port.map_or(Some(default_port), |port| port.parse().ok())?;
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

fn main() -> ExitCode {
    let Some(page) = Page::from_args() else {
        eprintln!("usage: http_client HOST[:PORT] PATH");
        eprintln!("       http_client https://HOST[:PORT]/PATH");
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
