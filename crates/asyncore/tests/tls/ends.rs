//! Channels with TLS, and ends of the test's own.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use asyncore::rustls::pki_types::ServerName;
use asyncore::rustls::{
    ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection,
};
use asyncore::{Channel, Dispatcher, TlsLayer, Token};

use crate::identities::{self, BOTH_VERSIONS, NAME};
use crate::util::{Recorder, Remote, Seen, World};

/// Which end the channel is; the test is the other.
#[derive(Clone)]
pub enum Role {
    Server(Arc<ServerConfig>),
    Client(Arc<ClientConfig>),
}

impl Role {
    pub fn layer(&self) -> TlsLayer {
        match self {
            Role::Server(config) => TlsLayer::server(Arc::clone(config)).expect("a layer"),
            Role::Client(config) => TlsLayer::client(Arc::clone(config), NAME).expect("a layer"),
        }
    }
}

/// An end of the test's own that speaks TLS.
pub struct TlsEnd {
    pub remote: Remote,
    pub tls: Connection,
    received: Vec<u8>,
    /// The peer's closing message has arrived.
    pub closed: bool,
    pub failure: Option<String>,
}

impl TlsEnd {
    pub fn server(remote: Remote, config: Arc<ServerConfig>) -> Self {
        TlsEnd::new(remote, ServerConnection::new(config).expect("a configuration").into())
    }

    pub fn client(remote: Remote, config: Arc<ClientConfig>) -> Self {
        let name = ServerName::try_from(NAME).expect("a name");
        TlsEnd::new(remote, ClientConnection::new(config, name).expect("a configuration").into())
    }

    fn new(remote: Remote, tls: Connection) -> Self {
        TlsEnd { remote, tls, received: Vec::new(), closed: false, failure: None }
    }

    /// Takes in what has arrived, and sends the answers.
    pub fn pump(&mut self) {
        let input = self.remote.received();
        let output = self.turn(&input);
        self.remote.send(&output);
    }

    /// Takes `input` in; returns the answers instead of sending them.
    pub fn turn(&mut self, mut input: &[u8]) -> Vec<u8> {
        while !input.is_empty() && !self.closed && self.failure.is_none() {
            self.tls.read_tls(&mut input).expect("room for input");
            match self.tls.process_new_packets() {
                Ok(state) => {
                    let mut plain = vec![0; state.plaintext_bytes_to_read()];
                    self.tls.reader().read_exact(&mut plain).expect("as announced");
                    self.received.append(&mut plain);
                    self.closed = state.peer_has_closed();
                }
                Err(error) => self.failure = Some(error.to_string()),
            }
        }
        self.output()
    }

    pub fn output(&mut self) -> Vec<u8> {
        let mut output = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut output).expect("a vector");
        }
        output
    }

    pub fn send(&mut self, plain: &[u8]) {
        self.tls.set_buffer_limit(None);
        self.tls.writer().write_all(plain).expect("no limit");
        self.pump();
    }

    pub fn close(&mut self) {
        self.tls.send_close_notify();
        self.pump();
    }

    pub fn is_ready(&mut self) -> bool {
        self.pump();
        !self.tls.is_handshaking()
    }

    pub fn received(&mut self) -> &[u8] {
        self.pump();
        &self.received
    }

    pub fn was_closed(&mut self) -> bool {
        self.pump();
        self.closed
    }
}

/// A connected channel with the layer, and the bare other end.
pub fn channel<T: Dispatcher>(
    world: &mut World,
    role: &Role,
    make: impl FnOnce(&mut Channel<'_>) -> T,
) -> (Token<T>, Remote) {
    world.connect_layered(role.layer(), make)
}

/// A server with `handler`, which records in `seen`, and its client, after the handshake.
pub fn connected(world: &mut World, seen: &Seen, handler: Recorder) -> (Token<Recorder>, TlsEnd) {
    let role = Role::Server(Arc::new(identities::server(&BOTH_VERSIONS, false)));
    let (token, remote) = channel(world, &role, |_| handler);
    let mut client = TlsEnd::client(remote, Arc::new(identities::client(false)));
    world.run_until(|_| client.is_ready() && seen.count("handle_connect") == 1);
    (token, client)
}
