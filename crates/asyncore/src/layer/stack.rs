//! A transport with layers on it.

use std::any::Any;
use std::io;

use super::{Layer, LayerIo, Verdict};
use crate::connection::InputEnd;
use crate::transport::Transport;

/// Bytes of the handler that a layer is given at a time.
const CHUNK: usize = 16 * 1024;
/// Bytes below the layers at which nothing more is received, since receiving can cause answers.
const MAX_WIRE: usize = 64 * 1024;
/// Maximum number of receives below for one above, so that input which brings nothing to the
/// handler cannot occupy the loop.
const MAX_FILLS: usize = 16;

/// A transport, the layers between it and the channel, and what is on its way through them.
///
/// Without layers it is a transport with unread input, such as one that was taken out of another
/// channel.
pub(crate) struct Layered {
    below: Box<Transport>,
    /// The lowest first.
    layers: Vec<Box<dyn Layer>>,
    /// Number of layers that have started: those above wait for the ones below to be ready.
    started: usize,
    /// Received input that has passed all layers.
    input: Bytes,
    /// How the input ends after that, if it does.
    input_end: Option<InputEnd>,
    /// Output that has passed all layers.
    wire: Bytes,
    finished: bool,
    aborted: bool,
}

/// Bytes that are taken from the front.
#[derive(Default)]
struct Bytes {
    data: Vec<u8>,
    taken: usize,
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        &self.data[self.taken..]
    }

    fn len(&self) -> usize {
        self.data.len() - self.taken
    }

    fn take(&mut self, n: usize) {
        self.taken += n;
        if self.taken == self.data.len() {
            // Nothing is held while nothing is on its way.
            *self = Bytes::default();
        }
    }

    fn push_front(&mut self, mut bytes: Vec<u8>) {
        bytes.extend_from_slice(self.as_slice());
        *self = Bytes { data: bytes, taken: 0 };
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
            wire: Bytes::default(),
            finished: false,
            aborted: false,
        }
    }

    /// Puts a layer on top. `unread` was received and is the layer's input from now on, with what
    /// the channel has not read yet; `queued` was pushed before, and passes below the layer.
    pub(crate) fn insert(
        &mut self,
        layer: Box<dyn Layer>,
        unread: Vec<u8>,
        queued: &[u8],
    ) -> io::Result<()> {
        let level = self.layers.len();
        self.pass_down(level, queued)?;
        self.unread(unread);
        let input = std::mem::take(&mut self.input);
        self.layers.push(layer);
        self.start_layers()?;
        self.pass_up(level, input.as_slice())?;
        self.start_layers()
    }

    /// Takes the top layer off; `queued` was pushed before, and still passes through it.
    pub(crate) fn remove(&mut self, queued: &[u8]) -> io::Result<Option<Box<dyn Layer>>> {
        let Some(top) = self.layers.len().checked_sub(1) else {
            return Ok(None);
        };
        if self.started > top {
            self.pass_down(top + 1, queued)?;
            self.call(top, |layer, io| layer.finish(io))?;
        }
        self.started = self.started.min(top);
        Ok(self.layers.pop())
    }

    /// Puts input back in front of what is still unread.
    pub(crate) fn unread(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.input.push_front(bytes);
        }
    }

    /// The topmost layer of type `L`.
    pub(crate) fn layer<L: Layer>(&self) -> Option<&L> {
        self.layers.iter().rev().find_map(|layer| (&**layer as &dyn Any).downcast_ref())
    }

    pub(crate) fn layer_mut<L: Layer>(&mut self) -> Option<&mut L> {
        self.layers.iter_mut().rev().find_map(|layer| (&mut **layer as &mut dyn Any).downcast_mut())
    }

    pub(crate) fn below(&self) -> &Transport {
        &self.below
    }

    /// The transport alone, if nothing is on it any more.
    pub(crate) fn is_transparent(&self) -> bool {
        self.layers.is_empty()
            && self.input.len() == 0
            && self.wire.len() == 0
            && self.input_end.is_none()
    }

    /// The transport, and layers that have not started.
    pub(crate) fn into_parts(self) -> (Transport, Vec<Box<dyn Layer>>) {
        (*self.below, self.layers)
    }

    pub(crate) fn into_below(self) -> Transport {
        *self.below
    }

    pub(crate) fn has_layers(&self) -> bool {
        !self.layers.is_empty()
    }

    /// Whether all handshakes are done.
    pub(crate) fn is_ready(&self) -> bool {
        self.started == self.layers.len() && self.layers.iter().all(|layer| layer.is_ready())
    }

    /// Whether `recv` answers without asking the transport.
    pub(crate) fn has_input(&self) -> bool {
        self.input.len() > 0 || self.input_end.is_some()
    }

    /// Received input that the handler has not read.
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

    /// Bytes below the layers that wait for the transport.
    pub(crate) fn pending_output(&self) -> usize {
        self.wire.len()
    }

    /// Whether the peer has to take output before more input is received.
    pub(crate) fn is_output_full(&self) -> bool {
        self.wire.len() >= MAX_WIRE
    }

    /// Takes the handshakes on as far as they go now; true when all are done.
    pub(crate) fn shake_hands(&mut self) -> io::Result<bool> {
        self.start_layers()?;
        for _ in 0..MAX_FILLS {
            self.flush()?;
            if self.is_ready() {
                return Ok(true);
            }
            if self.input_end.is_some() {
                let what = "the peer ended the stream during the handshake";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
            }
            match self.fill() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                outcome => outcome?,
            }
        }
        self.flush()?;
        Ok(self.is_ready())
    }

    pub(crate) fn recv(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        for _ in 0..MAX_FILLS {
            if self.input.len() > 0 || buf.is_empty() {
                let n = self.input.len().min(buf.len());
                buf[..n].copy_from_slice(&self.input.as_slice()[..n]);
                self.input.take(n);
                return Ok(n);
            }
            if self.input_end.is_some() {
                return Ok(0);
            }
            if let Err(error) = self.fill() {
                if error.kind() != io::ErrorKind::WouldBlock
                    && !crate::transport::is_disconnected(&error)
                {
                    // A layer that has failed gets no more input.
                    self.input_end = Some(InputEnd::Truncated);
                }
                return Err(error);
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Takes `data` as far as the transport takes what becomes of it.
    pub(crate) fn send(&mut self, data: &[u8]) -> io::Result<usize> {
        let mut taken = 0;
        for chunk in data.chunks(CHUNK) {
            if !self.flush()? {
                break;
            }
            self.pass_down(self.layers.len(), chunk)?;
            taken += chunk.len();
        }
        self.flush()?;
        match taken {
            0 if !data.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
            taken => Ok(taken),
        }
    }

    /// Sends what is below the layers; true when nothing is left.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        while self.wire.len() > 0 {
            match self.below.send(self.wire.as_slice()) {
                Ok(n) => self.wire.take(n),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Lets the layers send their closing messages; true when nothing is left to send.
    pub(crate) fn finish(&mut self) -> io::Result<bool> {
        if !std::mem::replace(&mut self.finished, true) && !self.aborted {
            for level in (0..self.started).rev() {
                if self.layers[level].is_ready() {
                    self.call(level, |layer, io| layer.finish(io))?;
                }
            }
        }
        self.flush()
    }

    pub(crate) fn abort(&mut self) {
        self.aborted = true;
        self.wire = Bytes::default();
        self.below.reset_on_close();
    }

    /// Receives from the transport once.
    fn fill(&mut self) -> io::Result<()> {
        if self.is_output_full() && !self.flush()? && self.is_output_full() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut buf = [0; CHUNK];
        let n = self.below.recv(&mut buf)?;
        if n > 0 {
            self.pass_up(0, &buf[..n])?;
        } else {
            self.end_below()?;
        }
        self.start_layers()
    }

    /// Tells the layers that the stream below has ended, the lowest first.
    fn end_below(&mut self) -> io::Result<()> {
        let mut end = InputEnd::Orderly;
        for level in 0..self.layers.len() {
            match self.call(level, |layer, io| layer.receive_end(io)) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    end = InputEnd::Truncated;
                }
                outcome => outcome?,
            }
        }
        self.input_end.get_or_insert(end);
        Ok(())
    }

    /// Starts each layer once those below it are ready.
    fn start_layers(&mut self) -> io::Result<()> {
        while self.started < self.layers.len()
            && self.layers[..self.started].iter().all(|layer| layer.is_ready())
        {
            self.started += 1;
            self.call(self.started - 1, |layer, io| layer.start(io))?;
        }
        Ok(())
    }

    /// Hands `bytes` to the layer at `level`, or to the channel above the last one.
    fn pass_up(&mut self, level: usize, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() || self.input_end.is_some() {
            return Ok(());
        }
        if level == self.layers.len() {
            self.input.data.extend_from_slice(bytes);
            return Ok(());
        }
        self.call(level, |layer, io| layer.receive(bytes, io))
    }

    /// Hands `bytes` to the layer below `level`, or to the transport's queue.
    fn pass_down(&mut self, level: usize, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        match level.checked_sub(1) {
            Some(below) => self.call(below, |layer, io| layer.send(bytes, io)),
            None => {
                self.wire.data.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Calls the layer at `level`, and passes on what it hands up and down, also when it fails.
    fn call(
        &mut self,
        level: usize,
        call: impl FnOnce(&mut dyn Layer, &mut LayerIo<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let (mut up, mut down, mut verdict) = (Vec::new(), Vec::new(), Verdict::default());
        let mut io = LayerIo { up: &mut up, down: &mut down, verdict: &mut verdict };
        let outcome = call(&mut *self.layers[level], &mut io);
        self.pass_down(level, &down)?;
        if verdict.removed {
            self.layers.remove(level);
            self.started -= 1;
        }
        let above = if verdict.removed { level } else { level + 1 };
        self.pass_up(above, &up)?;
        if verdict.input_ended {
            self.input_end.get_or_insert(InputEnd::Orderly);
        }
        outcome
    }
}
