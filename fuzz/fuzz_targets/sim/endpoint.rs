//! The model of one end of a connection: the bytes that it sent and the bytes that it received.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use asyncore::Producer;

use crate::harness::ScriptedPanic;
use crate::script::Piece;

#[derive(Default)]
pub struct Endpoint {
    /// The local address and the peer's, once connected.
    pub route: Option<(SocketAddr, SocketAddr)>,
    sent: Vec<Rc<RefCell<Vec<u8>>>>,
    pub received: Vec<u8>,
    /// Maximum number of bytes that the channel holds back for a terminator.
    pub max_held: usize,
    /// The sending half is shut down, so that further pushes send nothing.
    pub write_shut: bool,
    /// The channel drops its input from some point on.
    pub discards_input: bool,
    /// The channel dropped bytes from the middle of its input.
    pub has_gaps: bool,
    /// The channel has had a layer. Bytes below a layer count both as sent and as output.
    pub layered: bool,
    /// Bytes sent by the previous owners of the socket.
    pub sent_before: u64,
    /// Urgent bytes sent by the channel; they are not part of the stream.
    pub urgent_sent: u64,
}

impl Endpoint {
    pub fn new(route: Option<(SocketAddr, SocketAddr)>) -> Endpoint {
        Endpoint { route, ..Endpoint::default() }
    }

    pub fn record_sent(&mut self, bytes: Vec<u8>) {
        self.sent.push(Rc::new(RefCell::new(bytes)));
    }

    /// Returns a producer of `bytes` that follows `pieces`; the model records its output at this
    /// position of the stream.
    pub fn producer(&mut self, pieces: Vec<Piece>, bytes: Vec<u8>) -> impl Producer + use<> {
        let produced = Rc::default();
        self.sent.push(Rc::clone(&produced));
        ScriptedProducer { pieces: pieces.into(), bytes: bytes.into(), produced }
    }

    /// Removes everything after the first `length` bytes from the sent stream.
    pub fn truncate_sent(&mut self, length: u64) {
        let length = usize::try_from(length).unwrap();
        // Every push calls this, mostly with nothing to remove; copying the stream each time would
        // make long runs quadratic.
        if length >= self.sent_len() {
            return;
        }
        let mut whole = self.sent();
        whole.truncate(length);
        self.sent.clear();
        self.record_sent(whole);
    }

    /// Converts the channel's `bytes_out` into a position in the stream.
    pub fn stream_position(&self, bytes_out: u64) -> u64 {
        self.sent_before + bytes_out - self.urgent_sent
    }

    pub fn sent(&self) -> Vec<u8> {
        let mut sent = Vec::with_capacity(self.sent_len());
        for piece in &self.sent {
            sent.extend_from_slice(&piece.borrow());
        }
        sent
    }

    pub fn sent_len(&self) -> usize {
        self.sent.iter().map(|piece| piece.borrow().len()).sum()
    }

    /// Checks that this end received a prefix of what `other` sent; with `all`, everything.
    pub fn check(&self, other: &Endpoint, all: bool) {
        let sent = other.sent();
        assert!(
            self.has_gaps || sent.starts_with(&self.received),
            "{:?} received {:?}, which is not a prefix of the bytes sent: {sent:?}",
            self.route,
            self.received,
        );
        assert!(
            !all || self.discards_input
                || self.has_gaps
                || self.received.len() + self.max_held >= sent.len(),
            "{:?} received {} of {} bytes on a lossless connection",
            self.route,
            self.received.len(),
            sent.len(),
        );
    }
}

/// A producer that returns the pieces of a script in order.
struct ScriptedProducer {
    pieces: VecDeque<Piece>,
    bytes: VecDeque<u8>,
    produced: Rc<RefCell<Vec<u8>>>,
}

impl ScriptedProducer {
    fn produce(&mut self, size: u8, buf: &mut Vec<u8>) {
        let size = usize::from(size).min(self.bytes.len());
        let piece: Vec<u8> = self.bytes.drain(..size).collect();
        buf.extend_from_slice(&piece);
        self.produced.borrow_mut().extend(piece);
    }
}

impl Producer for ScriptedProducer {
    fn more(&mut self, buf: &mut Vec<u8>) -> io::Result<()> {
        match self.pieces.pop_front() {
            Some(Piece::Bytes(size)) => self.produce(size, buf),
            Some(Piece::NothingYet) => return Err(io::ErrorKind::WouldBlock.into()),
            Some(Piece::Fail) => return Err(io::Error::other("scripted failure")),
            Some(Piece::Panic) => std::panic::panic_any(ScriptedPanic),
            None => {}
        }
        Ok(())
    }
}
