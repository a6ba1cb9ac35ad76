//! TLS, by rustls.

use std::fmt;
use std::io::{self, BufRead as _, Write as _};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, Connection, HandshakeKind, ProtocolVersion, ServerConfig,
    ServerConnection, SupportedCipherSuite,
};

use crate::layer::{Layer, LayerIo};

/// A [layer](Layer) that encrypts a channel with TLS 1.2 or 1.3, as server or as client.
///
/// The configuration is rustls's own: certificates, client authentication, ALPN, session tickets,
/// roots, key logging. `handle_connect` is called when the handshake is complete, and
/// [`ch.layer::<TlsLayer>()`](crate::Channel::layer) then tells its results. The handshake has the
/// channel's [time limit](crate::Channel::set_handshake_timeout), 10 s by default; a failed one
/// goes to [`handle_error`](crate::Dispatcher::handle_error) only, after the alert for the peer was
/// sent.
///
/// [`close_when_done`](crate::Channel::close_when_done) and
/// [`shutdown_write`](crate::Channel::shutdown_write) send the closing message (`close_notify`).
/// An end of the peer's stream without it is a truncation:
/// [`input_truncated`](crate::Channel::input_truncated) returns true in `handle_eof`.
///
/// The layer buffers at most one incomplete message of the peer: 18 KiB of records, or 64 KiB
/// during the handshake (limits of rustls). It passes plaintext on at once.
///
/// STARTTLS is [`insert_layer`](crate::Channel::insert_layer) in mid-dialogue. Input that the
/// program has read ahead becomes input of the layer, so an attacker's plaintext before the
/// handshake cannot pass for a command that came through it; it makes the handshake fail.
///
/// ```
/// use asyncore::rustls::{ServerConfig, pki_types::PrivateKeyDer};
/// use asyncore::{Channel, Dispatcher, Result, Socket, TlsLayer};
/// use std::{net::SocketAddr, sync::Arc};
///
/// struct Server {
///     config: Arc<ServerConfig>,
/// }
///
/// struct Hello;
///
/// impl Dispatcher for Hello {
///     fn handle_connect(&mut self, ch: &mut Channel<'_>) -> Result {
///         ch.push(b"hello\n");
///         ch.close_when_done();
///         Ok(())
///     }
/// }
///
/// impl Dispatcher for Server {
///     fn handle_accepted(&mut self, ch: &mut Channel<'_>, sock: Socket, _: Option<SocketAddr>) -> Result {
///         let layer = TlsLayer::server(Arc::clone(&self.config))?;
///         ch.add_with(|ch| {
///             ch.set_socket(sock);
///             ch.insert_layer(layer, &[])?;
///             Ok(Hello)
///         })?;
///         Ok(())
///     }
/// }
/// ```
///
/// # Differences from Python
/// `ssl.SSLSocket` under asyncore needed a handshake by hand in `handle_read` and
/// `handle_write`, and left input in its own buffer that select did not see.
pub struct TlsLayer {
    connection: Connection,
    /// The peer's closing message has arrived.
    peer_closed: bool,
}

impl TlsLayer {
    /// Creates the layer of a server.
    ///
    /// # Errors
    /// Fails with [`InvalidInput`](io::ErrorKind::InvalidInput) if rustls rejects the
    /// configuration.
    pub fn server(config: Arc<ServerConfig>) -> io::Result<Self> {
        ServerConnection::new(config).map(|it| TlsLayer::new(it.into())).map_err(rejected)
    }

    /// Creates the layer of a client. The server must prove that it is `name`: a host name, which
    /// is also sent to it (SNI), or an IP address.
    ///
    /// # Errors
    /// Fails with [`InvalidInput`](io::ErrorKind::InvalidInput) if `name` is neither, or if rustls
    /// rejects the configuration.
    pub fn client(config: Arc<ClientConfig>, name: &str) -> io::Result<Self> {
        let server = ServerName::try_from(name.to_owned()).map_err(|_| {
            let what =
                format!("{name:?} is no host name and no IP address, so TLS cannot verify it");
            io::Error::new(io::ErrorKind::InvalidInput, what)
        })?;
        ClientConnection::new(config, server).map(|it| TlsLayer::new(it.into())).map_err(rejected)
    }

    fn new(mut connection: Connection) -> Self {
        // Everything that the connection produces leaves at once through `LayerIo`, and the
        // channel's output queue has its own limit.
        connection.set_buffer_limit(None);
        TlsLayer { connection, peer_closed: false }
    }

    /// Returns the version of the protocol; `None` before the handshake has chosen one.
    pub fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.connection.protocol_version()
    }

    /// Returns the cipher suite; `None` before the handshake has chosen one.
    pub fn cipher_suite(&self) -> Option<SupportedCipherSuite> {
        self.connection.negotiated_cipher_suite()
    }

    /// Returns the application protocol that both ends agreed on (ALPN), such as `b"h2"`.
    pub fn alpn_protocol(&self) -> Option<&[u8]> {
        self.connection.alpn_protocol()
    }

    /// Returns the host name that the client asked for (SNI). On a client this is `None`.
    pub fn server_name(&self) -> Option<&str> {
        match &self.connection {
            Connection::Server(connection) => connection.server_name(),
            Connection::Client(_) => None,
        }
    }

    /// Returns the peer's certificates, its own first; none before the handshake, and from a client
    /// that has sent none.
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        self.connection.peer_certificates().unwrap_or(&[])
    }

    /// Returns whether the handshake resumed an earlier session; `None` before it is complete.
    pub fn is_resumed(&self) -> Option<bool> {
        self.connection.handshake_kind().map(|kind| kind == HandshakeKind::Resumed)
    }

    /// Passes `input` through the connection: plaintext up, answers down.
    fn process(&mut self, mut input: &[u8], io: &mut LayerIo<'_>) -> io::Result<()> {
        // `read_tls` takes a part at a time, which is processed before the next.
        while !input.is_empty() && !self.peer_closed {
            self.connection.read_tls(&mut input)?;
            let outcome = self.connection.process_new_packets();
            // Also after a failure: plaintext of the records before, and the alert for the peer.
            self.deliver(io)?;
            transmit(&mut self.connection, io)?;
            let state =
                outcome.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if state.peer_has_closed() {
                self.peer_closed = true;
                io.end_input();
            }
        }
        Ok(())
    }

    /// Passes the decrypted bytes up.
    fn deliver(&mut self, io: &mut LayerIo<'_>) -> io::Result<()> {
        let mut reader = self.connection.reader();
        loop {
            match reader.fill_buf() {
                // The closing message has arrived.
                Ok([]) => return Ok(()),
                Ok(plain) => {
                    io.deliver(plain);
                    let taken = plain.len();
                    reader.consume(taken);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

impl Layer for TlsLayer {
    fn start(&mut self, io: &mut LayerIo<'_>) -> io::Result<()> {
        transmit(&mut self.connection, io)
    }

    fn is_ready(&self) -> bool {
        !self.connection.is_handshaking()
    }

    fn receive(&mut self, input: &[u8], io: &mut LayerIo<'_>) -> io::Result<()> {
        self.process(input, io)
    }

    fn send(&mut self, output: &[u8], io: &mut LayerIo<'_>) -> io::Result<()> {
        self.connection.writer().write_all(output)?;
        transmit(&mut self.connection, io)
    }

    fn finish(&mut self, io: &mut LayerIo<'_>) -> io::Result<()> {
        self.connection.send_close_notify();
        transmit(&mut self.connection, io)
    }

    fn receive_end(&mut self, _io: &mut LayerIo<'_>) -> io::Result<()> {
        match self.peer_closed {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// The state of the connection, without its keys.
impl fmt::Debug for TlsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsLayer")
            .field("version", &self.protocol_version())
            .field("is_ready", &self.is_ready())
            .field("peer_closed", &self.peer_closed)
            .finish_non_exhaustive()
    }
}

/// Passes all that `connection` wants to send down.
fn transmit(connection: &mut Connection, io: &mut LayerIo<'_>) -> io::Result<()> {
    while connection.wants_write() {
        connection.write_tls(&mut io.down)?;
    }
    Ok(())
}

fn rejected(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}
