//! A transport with layers on it.

mod bytes;
mod passing;

use std::io;

use rustix::io::Errno;

use self::bytes::Bytes;
use super::Layer;
use crate::connection::InputEnd;
use crate::transport::Transport;

/// Maximum number of bytes of the handler that a layer gets at a time.
const CHUNK: usize = 16 * 1024;
/// Minimum size of a caller's buffer that is also used to receive from the transport.
const SMALL: usize = 4 * 1024;
/// Maximum number of delivered bytes that the handler has not read. A layer gets at most 16 KiB at
/// a time, so more is an expansion by over a thousand: a decompression bomb.
const MAX_DELIVERED: usize = 16 * 1024 * 1024;
/// Number of unsent answer bytes at which the transport is no longer read: a peer that causes
/// answers and does not read them must not fill the memory.
const MAX_ANSWERS: usize = 64 * 1024;
/// Maximum number of receives from the transport for one `recv`, so that input that yields nothing
/// for the handler cannot occupy the loop.
const MAX_FILLS: usize = 16;

/// A transport, the layers between it and the channel, and the bytes that are passing through them.
///
/// Without layers it is a transport with unread input, such as one that was taken out of another
/// channel.
pub(crate) struct Layered {
    below: Box<Transport>,
    /// The lowest first.
    layers: Vec<Level>,
    /// Number of layers that have started: those above wait for the ones below to be ready.
    started: usize,
    /// Received input that has passed all layers.
    input: Bytes,
    /// The end of the input after these bytes, if it has ended.
    input_end: Option<InputEnd>,
    /// The failure of a layer, reported after the input that was received before.
    failure: Option<io::Error>,
    /// Output that has passed all layers.
    wire: Bytes,
    /// Number of bytes in `wire` that answer input. Only these stop the input: if output did, two
    /// ends that both have much to send would wait for each other for ever.
    answers: usize,
    /// The layers have ended the output; bytes that one transmits later are dropped.
    finished: bool,
    aborted: bool,
}

/// One layer of the stack.
///
/// INVARIANT: a layer that has removed itself keeps its place, and is bypassed, until the outermost
/// call returns ([`sweep`](Layered::sweep)), so that levels stay valid during the call.
struct Level {
    layer: Box<dyn Layer>,
    /// The end of the stream below, if it has ended.
    below_end: Option<InputEnd>,
    /// The layer has ended the stream above it.
    ended: bool,
    failed: bool,
    removed: bool,
}

impl Level {
    fn new(layer: Box<dyn Layer>) -> Self {
        Level { layer, below_end: None, ended: false, failed: false, removed: false }
    }

    /// Returns whether bytes can pass: the layer is ready, or has removed itself.
    fn is_ready(&self) -> bool {
        self.removed || self.layer.is_ready()
    }

    fn takes_input(&self) -> bool {
        self.below_end.is_none() && !self.ended && !self.failed
    }
}

impl Layered {
    pub(crate) fn new(below: Transport) -> Self {
        Layered {
            below: Box::new(below),
            layers: Vec::new(),
            started: 0,
            input: Bytes::default(),
            input_end: None,
            failure: None,
            wire: Bytes::default(),
            answers: 0,
            finished: false,
            aborted: false,
        }
    }

    /// Adds a layer on top. Its input is `unread`, which was received before, and the input that
    /// the channel has not read yet. `queued` was pushed before, and passes below the layer.
    ///
    /// If the connection is established (`stands`), the layer starts as soon as those below it are
    /// ready; otherwise it starts with [`shake_hands`](Layered::shake_hands).
    pub(crate) fn insert(
        &mut self,
        layer: Box<dyn Layer>,
        unread: Vec<u8>,
        queued: &[u8],
        stands: bool,
    ) -> io::Result<()> {
        self.sweep();
        let level = self.layers.len();
        self.pass_down(level, queued)?;
        self.unread(unread);
        self.layers.push(Level::new(layer));
        if !stands {
            return Ok(());
        }
        let (input, end) = (std::mem::take(&mut self.input), self.input_end.take());
        self.start_layers()?;
        self.pass_up(level, input.as_slice())?;
        if let Some(end) = end {
            self.end_up(level, end)?;
        }
        self.sweep();
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Removes the top layer; `queued` was pushed before, and still passes through it.
    pub(crate) fn remove(&mut self, queued: &[u8]) -> io::Result<Option<Box<dyn Layer>>> {
        self.sweep();
        let Some(top) = self.layers.len().checked_sub(1) else {
            return Ok(None);
        };
        let level = &self.layers[top];
        if self.started > top && level.is_ready() && !level.failed && !self.finished {
            self.pass_down(top + 1, queued)?;
            if !self.layers[top].removed {
                self.run(top, |layer, io| layer.finish(io))?;
            }
        }
        self.sweep();
        if self.layers.len() == top {
            // The layer has removed itself.
            return Ok(None);
        }
        self.started = self.started.min(top);
        Ok(self.layers.pop().map(|level| {
            // Only the stream above the layer has ended; the stream below it continues.
            self.input_end = level.below_end;
            level.layer
        }))
    }

    /// Puts input back in front of what is still unread.
    pub(crate) fn unread(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.input.push_front(bytes);
        }
    }

    /// Returns the topmost layer of type `L`.
    pub(crate) fn layer<L: Layer>(&self) -> Option<&L> {
        self.layers.iter().rev().find_map(|level| (*level.layer).as_any().downcast_ref())
    }

    pub(crate) fn layer_mut<L: Layer>(&mut self) -> Option<&mut L> {
        let mut levels = self.layers.iter_mut().rev();
        levels.find_map(|level| (*level.layer).as_any_mut().downcast_mut())
    }

    pub(crate) fn below(&self) -> &Transport {
        &self.below
    }

    /// Returns whether no layer and no bytes are left, so that the transport alone suffices.
    pub(crate) fn is_transparent(&self) -> bool {
        self.layers.is_empty() && !self.has_input() && self.wire.len() == 0
    }

    /// Returns the transport, and the layers, which have not started.
    pub(crate) fn into_parts(self) -> (Transport, Vec<Box<dyn Layer>>) {
        (*self.below, self.layers.into_iter().map(|level| level.layer).collect())
    }

    pub(crate) fn into_below(self) -> Transport {
        *self.below
    }

    pub(crate) fn has_layers(&self) -> bool {
        !self.layers.is_empty()
    }

    /// Returns whether all handshakes are complete.
    pub(crate) fn is_ready(&self) -> bool {
        self.started == self.layers.len() && self.layers.iter().all(Level::is_ready)
    }

    /// Returns whether `recv` returns without reading from the transport.
    pub(crate) fn has_input(&self) -> bool {
        self.input.len() > 0 || self.input_end.is_some() || self.failure.is_some()
    }

    /// Returns the received input that the handler has not read.
    pub(crate) fn input(&self) -> &[u8] {
        self.input.as_slice()
    }

    pub(crate) fn take_input(&mut self) -> Vec<u8> {
        let mut input = std::mem::take(&mut self.input);
        input.data.split_off(input.taken)
    }

    pub(crate) fn input_end(&self) -> Option<InputEnd> {
        self.input_end
    }

    /// Returns the number of bytes below the layers that wait for the transport.
    pub(crate) fn pending_output(&self) -> usize {
        self.wire.len()
    }

    /// Returns whether the peer has to take output before more input is received.
    pub(crate) fn is_output_full(&self) -> bool {
        self.answers >= MAX_ANSWERS
    }

    /// Continues the handshakes as far as possible now. Returns true when all are complete.
    pub(crate) fn shake_hands(&mut self) -> io::Result<bool> {
        self.start_layers()?;
        for _ in 0..MAX_FILLS {
            self.flush()?;
            if self.handshake_is_done()? {
                return Ok(true);
            }
            match self.fill(&mut [0; CHUNK]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                outcome => outcome?,
            }
        }
        self.flush()?;
        self.handshake_is_done()
    }

    fn handshake_is_done(&mut self) -> io::Result<bool> {
        if self.is_ready() {
            return Ok(true);
        }
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if self.input_end.is_some() {
            let what = "the peer ended the stream during the handshake";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
        }
        Ok(false)
    }

    pub(crate) fn recv(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        for _ in 0..MAX_FILLS {
            if self.input.len() > 0 || buf.is_empty() {
                let n = self.input.len().min(buf.len());
                buf[..n].copy_from_slice(&self.input.as_slice()[..n]);
                self.input.take(n);
                return Ok(n);
            }
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            if self.input_end.is_some() {
                return Ok(0);
            }
            match buf.len() {
                // The caller's buffer also takes the input from below, before its transformation.
                SMALL.. => self.fill(buf)?,
                _ => self.fill(&mut [0; CHUNK])?,
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Sends as much of `data` as the transport takes after its transformation.
    pub(crate) fn send(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.finished {
            return Err(Errno::PIPE.into());
        }
        let mut taken = 0;
        for chunk in data.chunks(CHUNK) {
            if !self.flush()? {
                break;
            }
            self.pass_down(self.layers.len(), chunk)?;
            taken += chunk.len();
        }
        self.sweep();
        self.flush()?;
        match taken {
            0 if !data.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
            taken => Ok(taken),
        }
    }

    /// Sends the bytes below the layers. Returns true when none are left. Bytes that can no longer
    /// be sent are dropped; otherwise the loop would retry them for ever.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        while self.wire.len() > 0 {
            match self.below.send(self.wire.as_slice()) {
                Ok(n) => self.take_wire(n),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => {
                    self.take_wire(self.wire.len());
                    return Err(error);
                }
            }
        }
        Ok(true)
    }

    fn take_wire(&mut self, n: usize) {
        self.wire.take(n);
        self.answers = self.answers.min(self.wire.len());
    }

    /// Lets the layers send their closing messages. Returns true when nothing is left to send.
    pub(crate) fn finish(&mut self) -> io::Result<bool> {
        if !self.finished && !self.aborted {
            let outcome = self.finish_layers();
            self.finished = true;
            self.sweep();
            outcome?;
        }
        self.flush()
    }

    /// Ends the output of the layers. Output above a failed layer can no longer be sent.
    fn finish_layers(&mut self) -> io::Result<()> {
        let sound = self.layers.iter().position(|level| level.failed).unwrap_or(self.started);
        for level in (0..sound.min(self.started)).rev() {
            if !self.layers[level].removed && self.layers[level].is_ready() {
                self.run(level, |layer, io| layer.finish(io))?;
            }
        }
        Ok(())
    }

    pub(crate) fn abort(&mut self) {
        self.aborted = true;
        self.take_wire(self.wire.len());
        self.below.reset_on_close();
    }

    /// Receives from the transport once. An error of a layer is kept until all input that it
    /// delivered before is read.
    fn fill(&mut self, buf: &mut [u8]) -> io::Result<()> {
        if self.is_output_full() {
            self.flush()?;
            if self.is_output_full() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
        let n = self.below.recv(buf)?;
        let before = self.wire.len();
        let outcome = match n {
            0 => self.end_up(0, InputEnd::Orderly),
            n => self.pass_up(0, &buf[..n]),
        };
        self.answers += self.wire.len() - before;
        if let Err(failure) = outcome {
            self.failure.get_or_insert(failure);
        }
        self.sweep();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
