//! The protocol of the toy cipher, without any I/O.
//!
//! Each end sends a hello with a nonce, the client first; then a record by the client says that it
//! has understood. A record is a type, a length, a checksum and the encrypted body.

use std::io;

const MAGIC: &[u8; 4] = b"TOY1";
pub const HELLO: usize = 8;
pub const HEADER: usize = 7;
const MAX_BODY: usize = 16 * 1024;

const FINISHED: u8 = 0;
const DATA: u8 = 1;
const CLOSE: u8 = 2;
const ALERT: u8 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

/// One end of the cipher.
pub struct Engine {
    side: Side,
    nonce: u32,
    /// Maximum length of the body of a record that is sent.
    record: usize,
    keys: Option<Keys>,
    ready: bool,
    pub closed: bool,
    /// An incomplete hello or record.
    held: Vec<u8>,
    /// The most that was ever held.
    pub max_held: usize,
}

struct Keys {
    sending: Stream,
    receiving: Stream,
}

/// A key stream, and the number of the record that it is used for.
struct Stream {
    state: u64,
    records: u32,
}

impl Stream {
    fn new(client: u32, server: u32, of: Side) -> Self {
        let seed = (u64::from(client) << 32 | u64::from(server)) ^ (of as u64).rotate_left(17);
        Stream { state: seed | 1, records: 0 }
    }

    fn apply(&mut self, body: &mut [u8]) {
        for byte in body {
            self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte ^= (self.state >> 56) as u8;
        }
    }

    fn checksum(&mut self, kind: u8, plain: &[u8]) -> [u8; 4] {
        self.records += 1;
        let mut hash = 0x811c_9dc5 ^ self.records;
        for byte in std::iter::once(&kind).chain(plain) {
            hash = (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
        hash.to_be_bytes()
    }
}

/// What an engine does with its input.
#[derive(Default)]
pub struct Outcome {
    pub up: Vec<u8>,
    pub down: Vec<u8>,
    /// Input after the closing message, which is not the engine's.
    pub rest: Vec<u8>,
}

impl Engine {
    pub fn new(side: Side, nonce: u32, record: usize) -> Self {
        let record = record.clamp(1, MAX_BODY);
        let held = Vec::new();
        Engine { side, nonce, record, keys: None, ready: false, closed: false, held, max_held: 0 }
    }

    pub fn is_ready(&self) -> bool {
        self.ready
    }

    pub fn start(&mut self, down: &mut Vec<u8>) {
        if self.side == Side::Client {
            self.hello(down);
        }
    }

    fn hello(&self, down: &mut Vec<u8>) {
        down.extend_from_slice(MAGIC);
        down.extend_from_slice(&self.nonce.to_be_bytes());
    }

    pub fn receive(&mut self, input: &[u8], outcome: &mut Outcome) -> io::Result<()> {
        self.held.extend_from_slice(input);
        let held = std::mem::take(&mut self.held);
        let mut left = &held[..];
        while !self.closed {
            let used = match &self.keys {
                None => self.receive_hello(left, &mut outcome.down)?,
                Some(_) => self.receive_record(left, outcome).inspect_err(|error| {
                    if error.kind() == io::ErrorKind::InvalidData {
                        self.record(ALERT, b"", &mut outcome.down);
                    }
                })?,
            };
            if used == 0 {
                break;
            }
            left = &left[used..];
        }
        self.max_held = self.max_held.max(left.len());
        if self.closed {
            outcome.rest = left.to_vec();
        } else {
            self.held = left.to_vec();
        }
        Ok(())
    }

    /// Receives the hello; returns its length, 0 while it is incomplete.
    fn receive_hello(&mut self, input: &[u8], down: &mut Vec<u8>) -> io::Result<usize> {
        let start = &input[..input.len().min(MAGIC.len())];
        if !MAGIC.starts_with(start) {
            return Err(invalid("a malformed hello"));
        }
        let Some(nonce) = input.get(MAGIC.len()..HELLO) else { return Ok(0) };
        let theirs = u32::from_be_bytes(nonce.try_into().expect("four bytes"));
        let (client, server, peer) = match self.side {
            Side::Client => (self.nonce, theirs, Side::Server),
            Side::Server => (theirs, self.nonce, Side::Client),
        };
        let sending = Stream::new(client, server, self.side);
        let receiving = Stream::new(client, server, peer);
        self.keys = Some(Keys { sending, receiving });
        match self.side {
            Side::Client => {
                self.record(FINISHED, b"", down);
                self.ready = true;
            }
            Side::Server => self.hello(down),
        }
        Ok(HELLO)
    }

    /// Receives one record; returns its length, 0 while it is incomplete.
    fn receive_record(&mut self, input: &[u8], outcome: &mut Outcome) -> io::Result<usize> {
        let Some((&kind, header)) = input.split_first() else { return Ok(0) };
        if kind > ALERT {
            return Err(invalid("a malformed record"));
        }
        let Some(header) = header.get(..HEADER - 1) else { return Ok(0) };
        let len = usize::from(u16::from_be_bytes([header[0], header[1]]));
        if len > MAX_BODY {
            return Err(invalid("a malformed record"));
        }
        let Some(body) = input.get(HEADER..HEADER + len) else { return Ok(0) };
        let mut plain = body.to_vec();
        let keys = self.keys.as_mut().expect("after the hello");
        keys.receiving.apply(&mut plain);
        if keys.receiving.checksum(kind, &plain) != header[2..] {
            return Err(invalid("a record with a wrong checksum"));
        }
        match kind {
            FINISHED => self.ready = true,
            DATA if self.ready => outcome.up.extend_from_slice(&plain),
            CLOSE => self.closed = true,
            ALERT => return Err(io::Error::other("the peer reports a failure")),
            _ => return Err(invalid("a record before the handshake was done")),
        }
        Ok(HEADER + len)
    }

    pub fn send(&mut self, output: &[u8], down: &mut Vec<u8>) {
        for body in output.chunks(self.record) {
            self.record(DATA, body, down);
        }
    }

    pub fn close(&mut self, down: &mut Vec<u8>) {
        self.record(CLOSE, b"", down);
    }

    fn record(&mut self, kind: u8, body: &[u8], down: &mut Vec<u8>) {
        let Some(keys) = &mut self.keys else { return };
        let sum = keys.sending.checksum(kind, body);
        let mut body = body.to_vec();
        keys.sending.apply(&mut body);
        down.push(kind);
        down.extend_from_slice(&u16::try_from(body.len()).expect("16 KiB at most").to_be_bytes());
        down.extend_from_slice(&sum);
        down.extend_from_slice(&body);
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
