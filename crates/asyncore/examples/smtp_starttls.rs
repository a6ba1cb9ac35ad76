//! A mail server and a client that change to TLS in mid-dialogue (STARTTLS).
//!
//! usage: smtp_starttls server ADDR:PORT CERTIFICATE.pem KEY.pem
//!        smtp_starttls client HOST:PORT ROOT.pem FROM TO <MESSAGE
//!
//! A certificate to try it with, and both ends:
//!
//! ```console
//! $ openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 7 -subj /CN=localhost \
//!     -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:localhost \
//!     -keyout key.pem -out cert.pem
//! $ cargo run -p asyncore-rs --features tls --example smtp_starttls -- server 127.0.0.1:2525 cert.pem key.pem
//! $ echo hello | cargo run -p asyncore-rs --features tls --example smtp_starttls -- client localhost:2525 cert.pem a@example.org b@example.org
//! ```
//!
//! The server prints the messages that it gets, and takes none before STARTTLS. The client sends
//! none without it.

use std::cell::Cell;
use std::env;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

use asyncore::rustls::pki_types::pem::PemObject as _;
use asyncore::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use asyncore::rustls::{ClientConfig, RootCertStore, ServerConfig};
use asyncore::{
    Accumulator, AsyncChat, Channel, Dispatcher, Domain, Error, Result, Socket, SocketMap,
    TlsLayer, Token, Type,
};

/// Maximum size of a message, 1 MiB.
const MAX_MESSAGE: usize = 1024 * 1024;
const END_OF_LINE: &[u8] = b"\r\n";
const END_OF_MESSAGE: &[u8] = b"\r\n.\r\n";

struct Server {
    config: Arc<ServerConfig>,
}

impl Server {
    fn new(
        map: &mut SocketMap,
        addr: SocketAddr,
        config: Arc<ServerConfig>,
    ) -> Result<Token<Self>> {
        Ok(map.add_with(|ch| {
            ch.create_socket(Domain::for_address(addr), Type::STREAM)?;
            ch.set_reuse_addr();
            ch.bind(addr)?;
            ch.listen(128)?;
            println!("listening on {}", ch.local_addr()?);
            Ok(Server { config })
        })?)
    }
}

impl Dispatcher for Server {
    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        _peer: Option<SocketAddr>,
    ) -> Result {
        let config = Arc::clone(&self.config);
        ch.add_with(|ch| {
            ch.set_socket(sock);
            ch.set_terminator(END_OF_LINE);
            ch.push(b"220 example.org ESMTP\r\n");
            Ok(Session { config, input: Accumulator::with_limit(MAX_MESSAGE), in_message: false })
        })?;
        Ok(())
    }
}

/// The server's end of one dialogue.
struct Session {
    config: Arc<ServerConfig>,
    input: Accumulator,
    in_message: bool,
}

impl Session {
    fn command(&mut self, ch: &mut Channel<'_>, line: &str) -> Result {
        let is_secure = ch.layer::<TlsLayer>().is_some();
        let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        let answer: &[u8] = match verb.as_str() {
            "EHLO" if is_secure => b"250 example.org\r\n",
            "EHLO" => b"250-example.org\r\n250 STARTTLS\r\n",
            "HELO" => b"250 example.org\r\n",
            "STARTTLS" if !is_secure => {
                // The answer is sent below the layer, and all that follows passes through it.
                ch.push(b"220 go ahead\r\n");
                return Ok(ch.insert_layer(TlsLayer::server(Arc::clone(&self.config))?, &[])?);
            }
            "MAIL" | "RCPT" | "DATA" if !is_secure => b"530 issue STARTTLS first\r\n",
            "DATA" => {
                self.in_message = true;
                ch.set_terminator(END_OF_MESSAGE);
                b"354 end with a line that holds one dot\r\n"
            }
            "MAIL" | "RCPT" | "RSET" | "NOOP" => b"250 ok\r\n",
            "QUIT" => {
                ch.push(b"221 bye\r\n");
                ch.close_when_done();
                return Ok(());
            }
            _ => b"502 unknown command\r\n",
        };
        ch.push(answer);
        Ok(())
    }
}

impl AsyncChat for Session {
    fn collect_incoming_data(&mut self, _ch: &mut Channel<'_>, data: &[u8]) -> Result {
        Ok(self.input.collect(data)?)
    }

    fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
        let text = String::from_utf8_lossy(&self.input.take()).into_owned();
        if !std::mem::take(&mut self.in_message) {
            return self.command(ch, &text);
        }
        println!("{}", text.replace("\r\n..", "\r\n."));
        ch.set_terminator(END_OF_LINE);
        ch.push(b"250 delivered\r\n");
        Ok(())
    }

    fn handle_connect(&mut self, _ch: &mut Channel<'_>) -> Result {
        // The handshake is complete; the client begins again with EHLO.
        Ok(())
    }
}

/// The client's end: it answers each reply with the next command.
struct Client {
    config: Arc<ClientConfig>,
    host: String,
    from: String,
    to: String,
    message: Vec<u8>,
    line: Accumulator,
    next: Step,
    is_sent: Rc<Cell<bool>>,
}

/// The command that a good reply allows.
#[derive(Clone, Copy)]
enum Step {
    Ehlo,
    StartTls,
    Handshake,
    Mail,
    Rcpt,
    Data,
    Message,
    Quit,
    End,
}

impl Client {
    fn advance(&mut self, ch: &mut Channel<'_>) -> Result {
        let (command, next) = match self.next {
            Step::Ehlo => ("EHLO localhost\r\n".to_owned(), Step::StartTls),
            Step::StartTls => ("STARTTLS\r\n".to_owned(), Step::Handshake),
            Step::Handshake => {
                let layer = TlsLayer::client(Arc::clone(&self.config), &self.host)?;
                ch.insert_layer(layer, &[])?;
                return Ok(());
            }
            Step::Mail => (format!("MAIL FROM:<{}>\r\n", self.from), Step::Rcpt),
            Step::Rcpt => (format!("RCPT TO:<{}>\r\n", self.to), Step::Data),
            Step::Data => ("DATA\r\n".to_owned(), Step::Message),
            Step::Message => {
                ch.push(std::mem::take(&mut self.message));
                ch.push(END_OF_MESSAGE);
                self.next = Step::Quit;
                return Ok(());
            }
            Step::Quit => ("QUIT\r\n".to_owned(), Step::End),
            Step::End => {
                self.is_sent.set(true);
                ch.close_when_done();
                return Ok(());
            }
        };
        self.next = next;
        ch.push(command.into_bytes());
        Ok(())
    }
}

impl AsyncChat for Client {
    fn collect_incoming_data(&mut self, _ch: &mut Channel<'_>, data: &[u8]) -> Result {
        Ok(self.line.collect(data)?)
    }

    fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
        let line = String::from_utf8_lossy(&self.line.take()).into_owned();
        if !line.starts_with(['2', '3']) {
            return Err(Error::msg(format!("the server refused: {line}")));
        }
        // A hyphen says that more lines of this reply follow.
        if line.as_bytes().get(3) == Some(&b'-') { Ok(()) } else { self.advance(ch) }
    }

    fn handle_connect(&mut self, ch: &mut Channel<'_>) -> Result {
        if matches!(self.next, Step::Handshake) {
            // The TLS handshake is complete.
            self.next = Step::Mail;
            ch.push(b"EHLO localhost\r\n");
        }
        Ok(())
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, error: Error) {
        eprintln!("smtp_starttls: {error}");
        ch.close();
    }
}

fn serve(addr: &str, certificate: &Path, key: &Path) -> Result {
    let addr = addr.parse()?;
    let certificates =
        CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key)?;
    asyncore::run(|map| {
        Server::new(map, addr, Arc::new(config))?;
        Ok(())
    })
}

fn send(server: &str, root: &Path, from: &str, to: &str) -> Result {
    let (host, port) =
        server.rsplit_once(':').ok_or_else(|| Error::msg("the server is HOST:PORT"))?;
    let port = port.parse()?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(root)? {
        roots.add(certificate?)?;
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let mut message = String::new();
    io::stdin().take(MAX_MESSAGE as u64).read_to_string(&mut message)?;
    // Each line ends as SMTP wants it, and a dot at its start is doubled.
    let lines = message.lines().map(|line| match line.strip_prefix('.') {
        Some(rest) => format!("..{rest}"),
        None => line.to_owned(),
    });
    let message = lines.collect::<Vec<_>>().join("\r\n").into_bytes();
    let is_sent = Rc::new(Cell::new(false));
    let client = Client {
        config: Arc::new(config),
        host: host.to_owned(),
        from: from.to_owned(),
        to: to.to_owned(),
        message,
        line: Accumulator::new(),
        next: Step::Ehlo,
        is_sent: Rc::clone(&is_sent),
    };
    asyncore::run(|map| {
        map.add_with(|ch| {
            ch.connect_host(host, port)?;
            ch.set_terminator(END_OF_LINE);
            Ok(client)
        })?;
        Ok(())
    })?;
    if is_sent.get() { Ok(()) } else { Err(Error::msg("the message was not sent")) }
}

fn main() -> ExitCode {
    let args = env::args().skip(1).collect::<Vec<_>>();
    let args = args.iter().map(String::as_str).collect::<Vec<_>>();
    let outcome = match args[..] {
        ["server", addr, certificate, key] => serve(addr, certificate.as_ref(), key.as_ref()),
        ["client", server, root, from, to] => send(server, root.as_ref(), from, to),
        _ => {
            eprintln!("usage: smtp_starttls server ADDR:PORT CERTIFICATE.pem KEY.pem");
            eprintln!("       smtp_starttls client HOST:PORT ROOT.pem FROM TO <MESSAGE");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("smtp_starttls: {error}");
            ExitCode::FAILURE
        }
    }
}
