//! One end of a connection: what was sent into it, and what came out of it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use asyncore::Producer;

use crate::script::Piece;
use crate::stage::Scripted;

#[derive(Default)]
pub struct Line {
    /// The own address and the other end's, once connected.
    pub route: Option<(SocketAddr, SocketAddr)>,
    sent: Vec<Rc<RefCell<Vec<u8>>>>,
    pub received: Vec<u8>,
    /// How many bytes may be held back for a terminator.
    pub held: usize,
    /// Our half is shut: what is pushed goes nowhere.
    pub shut: bool,
    /// Input is thrown away from some point on.
    pub deaf: bool,
    /// Bytes were dropped from the middle of the input.
    pub torn: bool,
    /// How many bytes were sent by the channel that had the socket before.
    pub base: u64,
    /// How many of the channel's bytes were urgent ones, which are apart from the stream.
    pub urgent: u64,
}

impl Line {
    pub fn new(route: Option<(SocketAddr, SocketAddr)>) -> Line {
        Line { route, ..Line::default() }
    }

    pub fn offer(&mut self, bytes: Vec<u8>) {
        self.sent.push(Rc::new(RefCell::new(bytes)));
    }

    /// Something that will offer `bytes`, piece by piece, at this place in the stream.
    pub fn producer(&mut self, pieces: Vec<Piece>, bytes: Vec<u8>) -> impl Producer + use<> {
        let made = Rc::default();
        self.sent.push(Rc::clone(&made));
        Script { pieces: pieces.into(), bytes: bytes.into(), made }
    }

    /// Takes back all that was offered after the first `length` bytes.
    pub fn withdraw_after(&mut self, length: u64) {
        let length = usize::try_from(length).unwrap();
        // Every push asks for this, mostly with nothing to take back: that must not copy all.
        if length >= self.sent_len() {
            return;
        }
        let mut whole = self.sent();
        whole.truncate(length);
        self.sent.clear();
        self.offer(whole);
    }

    /// How many bytes of the stream are sent when the channel has sent `bytes_out` in all.
    pub fn sent_by(&self, bytes_out: u64) -> u64 {
        self.base + bytes_out - self.urgent
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

    /// Checks what came out here against what was sent at the `other` end.
    pub fn check(&self, other: &Line, all: bool) {
        let sent = other.sent();
        assert!(
            self.torn || sent.starts_with(&self.received),
            "{:?} received {:?}, which is not how what was sent begins: {sent:?}",
            self.route,
            self.received,
        );
        assert!(
            !all || self.deaf || self.torn || self.received.len() + self.held >= sent.len(),
            "{:?} received {} of {} bytes, though nothing was broken",
            self.route,
            self.received.len(),
            sent.len(),
        );
    }
}

/// A producer that does as it is told.
struct Script {
    pieces: VecDeque<Piece>,
    bytes: VecDeque<u8>,
    made: Rc<RefCell<Vec<u8>>>,
}

impl Script {
    fn make(&mut self, size: u8, buf: &mut Vec<u8>) {
        let size = usize::from(size).min(self.bytes.len());
        let piece: Vec<u8> = self.bytes.drain(..size).collect();
        buf.extend_from_slice(&piece);
        self.made.borrow_mut().extend(piece);
    }
}

impl Producer for Script {
    fn more(&mut self, buf: &mut Vec<u8>) -> io::Result<()> {
        match self.pieces.pop_front() {
            Some(Piece::Bytes(size)) => self.make(size, buf),
            Some(Piece::NothingYet) => return Err(io::ErrorKind::WouldBlock.into()),
            Some(Piece::Fail) => return Err(io::Error::other("the script says so")),
            Some(Piece::Panic) => std::panic::panic_any(Scripted),
            None => {}
        }
        Ok(())
    }
}
