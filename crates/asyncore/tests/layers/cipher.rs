//! The toy cipher as a layer, and as a test's own end of a connection.

use std::io;

use asyncore::{Layer, LayerIo};

use crate::engine::{Engine, Outcome, Side};
use crate::util::Remote;

pub struct Cipher {
    pub engine: Engine,
    /// The closing message ends the cipher and not the stream, which goes on in plain.
    stops: bool,
}

impl Cipher {
    pub fn new(side: Side, record: usize) -> Self {
        let nonce = if side == Side::Client { 0x1234_5678 } else { 0x9abc_def0 };
        Cipher { engine: Engine::new(side, nonce, record), stops: false }
    }

    pub fn stopping(side: Side, record: usize) -> Self {
        Cipher { stops: true, ..Cipher::new(side, record) }
    }

    fn transmit(io: &mut LayerIo<'_>, make: impl FnOnce(&mut Vec<u8>)) {
        let mut down = Vec::new();
        make(&mut down);
        io.transmit(&down);
    }
}

impl Layer for Cipher {
    fn start(&mut self, io: &mut LayerIo<'_>) -> io::Result<()> {
        Cipher::transmit(io, |down| self.engine.start(down));
        Ok(())
    }

    fn is_ready(&self) -> bool {
        self.engine.is_ready()
    }

    fn receive(&mut self, input: &[u8], io: &mut LayerIo<'_>) -> io::Result<()> {
        let mut outcome = Outcome::default();
        let result = self.engine.receive(input, &mut outcome);
        io.deliver(&outcome.up);
        io.transmit(&outcome.down);
        if self.engine.closed && self.stops {
            io.deliver(&outcome.rest);
            io.remove_layer();
        } else if self.engine.closed {
            io.end_input();
        }
        result
    }

    fn send(&mut self, output: &[u8], io: &mut LayerIo<'_>) -> io::Result<()> {
        assert!(self.engine.is_ready(), "the handler's output came before the handshake was done");
        assert!(!output.is_empty() && output.len() <= 16 * 1024, "{} bytes", output.len());
        Cipher::transmit(io, |down| self.engine.send(output, down));
        Ok(())
    }

    fn finish(&mut self, io: &mut LayerIo<'_>) -> io::Result<()> {
        Cipher::transmit(io, |down| self.engine.close(down));
        Ok(())
    }

    fn receive_end(&mut self, _: &mut LayerIo<'_>) -> io::Result<()> {
        if self.engine.closed { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

/// A test's own end that speaks the cipher.
pub struct CipherEnd {
    pub remote: Remote,
    pub engine: Engine,
    received: Vec<u8>,
    /// What the engine failed with.
    pub failure: Option<String>,
}

impl CipherEnd {
    pub fn new(remote: Remote, side: Side, record: usize) -> Self {
        let mut engine = Engine::new(side, 7, record);
        let mut hello = Vec::new();
        engine.start(&mut hello);
        remote.send(&hello);
        CipherEnd { remote, engine, received: Vec::new(), failure: None }
    }

    /// An end that has begun by itself.
    pub fn silent(remote: Remote, engine: Engine) -> Self {
        CipherEnd { remote, engine, received: Vec::new(), failure: None }
    }

    /// Takes in what the remote end has read, and returns the answer instead of sending it.
    pub fn answer(&mut self) -> Vec<u8> {
        let (input, mut outcome) = (self.remote.received(), Outcome::default());
        self.engine.receive(&input, &mut outcome).expect("well-formed input");
        outcome.down
    }

    /// Takes in what the remote end has read.
    pub fn pump(&mut self) {
        let input = self.remote.received();
        self.feed(&input);
    }

    /// Takes `input` in; after the closing message it is plain.
    pub fn feed(&mut self, input: &[u8]) {
        if self.engine.closed {
            return self.received.extend_from_slice(input);
        }
        let mut outcome = Outcome::default();
        if let Err(error) = self.engine.receive(input, &mut outcome) {
            self.failure.get_or_insert(error.to_string());
        }
        self.received.append(&mut outcome.up);
        self.received.append(&mut outcome.rest);
        self.remote.send(&outcome.down);
    }

    pub fn is_ready(&mut self) -> bool {
        self.pump();
        self.engine.is_ready()
    }

    pub fn send(&mut self, plain: &[u8]) {
        let bytes = self.encrypted(plain);
        self.remote.send(&bytes);
    }

    pub fn encrypted(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut down = Vec::new();
        self.engine.send(plain, &mut down);
        down
    }

    pub fn closing_message(&mut self) -> Vec<u8> {
        let mut down = Vec::new();
        self.engine.close(&mut down);
        down
    }

    /// All plain bytes so far.
    pub fn received(&mut self) -> &[u8] {
        self.pump();
        &self.received
    }

    /// Whether the closing message of the other side has come.
    pub fn was_closed(&mut self) -> bool {
        self.pump();
        self.engine.closed
    }
}
