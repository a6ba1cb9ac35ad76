//! A minimal layer: a handshake of one byte, records with disguised content, a closing record.

use std::io;

use asyncore::{Layer, LayerIo};

const HELLO: u8 = 0x55;
const MASK: u8 = 0xa7;

/// Appends `plain` to `wire` as records: a length from 1 to 255, then the content.
fn encode(plain: &[u8], wire: &mut Vec<u8>) {
    for piece in plain.chunks(255) {
        wire.push(piece.len() as u8);
        wire.extend(piece.iter().map(|byte| byte ^ MASK));
    }
}

/// The receiving half of both ends.
#[derive(Default)]
struct Decoder {
    greeted: bool,
    closed: bool,
    /// Bytes of the current record that are still to come.
    left: u8,
}

impl Decoder {
    /// Decodes `wire` and appends what it carries to `plain`.
    fn decode(&mut self, wire: &[u8], plain: &mut Vec<u8>) -> io::Result<()> {
        for &byte in wire {
            if self.closed {
                return Err(invalid("a record after the closing one"));
            } else if !self.greeted {
                if byte != HELLO {
                    return Err(invalid("no handshake"));
                }
                self.greeted = true;
            } else if self.left > 0 {
                self.left -= 1;
                plain.push(byte ^ MASK);
            } else {
                self.left = byte;
                self.closed = byte == 0;
            }
        }
        Ok(())
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The layer of a channel.
#[derive(Default)]
pub struct ToyLayer(Decoder);

impl Layer for ToyLayer {
    fn start(&mut self, io: &mut LayerIo<'_>) -> io::Result<()> {
        io.transmit(&[HELLO]);
        Ok(())
    }

    fn is_ready(&self) -> bool {
        self.0.greeted
    }

    fn receive(&mut self, input: &[u8], io: &mut LayerIo<'_>) -> io::Result<()> {
        let mut plain = Vec::new();
        self.0.decode(input, &mut plain)?;
        io.deliver(&plain);
        if self.0.closed {
            io.end_input();
        }
        Ok(())
    }

    fn send(&mut self, output: &[u8], io: &mut LayerIo<'_>) -> io::Result<()> {
        let mut wire = Vec::new();
        encode(output, &mut wire);
        io.transmit(&wire);
        Ok(())
    }

    fn finish(&mut self, io: &mut LayerIo<'_>) -> io::Result<()> {
        io.transmit(&[0]);
        Ok(())
    }

    fn receive_end(&mut self, _: &mut LayerIo<'_>) -> io::Result<()> {
        match self.0.closed {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// How a peer speaks: plainly, or through a layer of its own.
#[derive(Default)]
pub struct Codec {
    layer: Option<Decoder>,
}

impl Codec {
    pub fn new(layered: bool) -> Codec {
        Codec { layer: layered.then(Decoder::default) }
    }

    /// What the peer sends first.
    pub fn greeting(&self) -> &'static [u8] {
        if self.layer.is_some() { &[HELLO] } else { &[] }
    }

    /// What the peer sends last.
    pub fn farewell(&self) -> &'static [u8] {
        if self.layer.is_some() { &[0] } else { &[] }
    }

    pub fn encode(&self, plain: &[u8]) -> Vec<u8> {
        if self.layer.is_none() {
            return plain.to_vec();
        }
        let mut wire = Vec::new();
        encode(plain, &mut wire);
        wire
    }

    pub fn decode(&mut self, wire: Vec<u8>) -> io::Result<Vec<u8>> {
        let Some(decoder) = &mut self.layer else { return Ok(wire) };
        let mut plain = Vec::new();
        decoder.decode(&wire, &mut plain)?;
        Ok(plain)
    }
}
