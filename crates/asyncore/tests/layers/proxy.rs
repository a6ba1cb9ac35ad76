//! The PROXY protocol's header, version 1, as a layer of either side.

use std::io;
use std::sync::{Arc, OnceLock};

use asyncore::{Layer, LayerIo};

pub const HEADER: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n";
/// The longest header that the protocol allows.
const MAX_HEADER: usize = 107;

/// Sends the header and is gone.
pub struct SendHeader;

impl Layer for SendHeader {
    fn start(&mut self, io: &mut LayerIo<'_>) -> io::Result<()> {
        io.transmit(HEADER);
        io.remove_layer();
        Ok(())
    }

    fn receive(&mut self, _: &[u8], _: &mut LayerIo<'_>) -> io::Result<()> {
        unreachable!("it has removed itself")
    }

    fn send(&mut self, _: &[u8], _: &mut LayerIo<'_>) -> io::Result<()> {
        unreachable!("it has removed itself")
    }
}

/// Reads the header, tells what it says, and is gone.
pub struct ReadHeader {
    line: Vec<u8>,
    source: Arc<OnceLock<String>>,
}

impl ReadHeader {
    /// A layer, and where it puts the address of the client.
    pub fn new() -> (Self, Arc<OnceLock<String>>) {
        let source = Arc::default();
        (ReadHeader { line: Vec::new(), source: Arc::clone(&source) }, source)
    }
}

impl Layer for ReadHeader {
    fn is_ready(&self) -> bool {
        self.source.get().is_some()
    }

    fn receive(&mut self, input: &[u8], io: &mut LayerIo<'_>) -> io::Result<()> {
        let malformed = || io::Error::new(io::ErrorKind::InvalidData, "a malformed PROXY header");
        for (index, byte) in input.iter().enumerate() {
            self.line.push(*byte);
            if self.line.ends_with(b"\r\n") {
                let line = std::str::from_utf8(&self.line).map_err(|_| malformed())?;
                let words = line.trim_end().split(' ').collect::<Vec<_>>();
                let ["PROXY", "TCP4" | "TCP6", source, _, port, _] = words[..] else {
                    return Err(malformed());
                };
                let _ = self.source.set(format!("{source}:{port}"));
                io.deliver(&input[index + 1..]);
                io.remove_layer();
                return Ok(());
            }
            if self.line.len() == MAX_HEADER
                || !b"PROXY ".starts_with(&self.line[..self.line.len().min(6)])
            {
                return Err(malformed());
            }
        }
        Ok(())
    }

    fn send(&mut self, _: &[u8], _: &mut LayerIo<'_>) -> io::Result<()> {
        unreachable!("it is not ready until it removes itself")
    }
}
