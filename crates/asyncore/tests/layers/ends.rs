//! Connections with layers, between two channels of one map or with a test's own end.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use asyncore::{Channel, Dispatcher, Domain, Result, Socket, Token, Type};

use crate::cipher::{Cipher, CipherEnd};
use crate::engine::Side;
use crate::proxy::{ReadHeader, SendHeader};
use crate::util::{Remote, World};

/// What lies between a channel and its transport.
#[derive(Clone, Copy, Debug)]
pub struct Stack {
    pub proxy: bool,
    /// The maximum length of the cipher's records, if there is one.
    pub cipher: Option<usize>,
}

pub const STACKS: [Stack; 5] = [
    Stack { proxy: true, cipher: None },
    Stack { proxy: false, cipher: Some(16 * 1024) },
    Stack { proxy: false, cipher: Some(100) },
    Stack { proxy: false, cipher: Some(1) },
    Stack { proxy: true, cipher: Some(1000) },
];

impl Stack {
    /// Puts the layers into a channel; returns where the PROXY header's address will be.
    pub fn insert(self, ch: &mut Channel<'_>, side: Side) -> Arc<OnceLock<String>> {
        let mut source = Arc::default();
        if self.proxy && side == Side::Client {
            ch.insert_layer(SendHeader, &[]).expect("a stream");
        } else if self.proxy {
            let (layer, address) = ReadHeader::new();
            source = address;
            ch.insert_layer(layer, &[]).expect("a stream");
        }
        if let Some(record) = self.cipher {
            ch.insert_layer(Cipher::new(side, record), &[]).expect("a stream");
        }
        source
    }
}

/// A listener that makes a handler for each connection.
pub struct Accept<F>(pub F);

impl<T: Dispatcher, F: FnMut(&mut Channel<'_>) -> T + 'static> Dispatcher for Accept<F> {
    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        _: Option<SocketAddr>,
    ) -> Result {
        let make = &mut self.0;
        ch.add_with(|ch| {
            ch.set_socket(sock);
            Ok(make(ch))
        })?;
        Ok(())
    }
}

/// Adds a channel that connects to `addr`; `make` builds its handler and inserts its layers.
pub fn connect<T: Dispatcher>(
    world: &mut World,
    addr: SocketAddr,
    make: impl FnOnce(&mut Channel<'_>) -> T,
) -> Token<T> {
    let added = world.map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.connect(addr)?;
        Ok(make(ch))
    });
    added.expect("a channel that connects")
}

/// A channel of the map with the cipher, accepted from a client that is the test's own. It is a
/// client itself in truth, which it need not know.
pub fn server_with_cipher<T: Dispatcher>(
    world: &mut World,
    record: usize,
    make: impl FnOnce(&mut Channel<'_>) -> T,
) -> (Token<T>, CipherEnd) {
    let (token, remote) = raw_server(world, record, make);
    (token, CipherEnd::new(remote, Side::Client, record))
}

/// As [`server_with_cipher`], with a client that does not say anything by itself.
pub fn raw_server<T: Dispatcher>(
    world: &mut World,
    record: usize,
    make: impl FnOnce(&mut Channel<'_>) -> T,
) -> (Token<T>, Remote) {
    world.connect_layered(Cipher::new(Side::Server, record), make)
}
