//! Passing bytes from layer to layer.

use std::io;

use super::{CHUNK, Layered, MAX_DELIVERED};
use crate::connection::InputEnd;
use crate::layer::{Layer, LayerIo, Verdict};
use crate::panic;

impl Layered {
    /// Starts each layer once those below it are ready.
    pub(super) fn start_layers(&mut self) -> io::Result<()> {
        while self.started < self.layers.len()
            && self.layers[..self.started].iter().all(|level| level.is_ready() && !level.failed)
        {
            self.started += 1;
            self.run(self.started - 1, |layer, io| layer.start(io))?;
        }
        Ok(())
    }

    /// Hands `bytes` to the layer at `level`, or to the channel above the last one.
    pub(super) fn pass_up(&mut self, level: usize, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        match self.layers.get(level) {
            None if self.input.len() + bytes.len() > MAX_DELIVERED => {
                let what = format!("the layers deliver over {MAX_DELIVERED} bytes at a time");
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            None if self.input_end.is_none() => self.input.data.extend_from_slice(bytes),
            None => {}
            Some(above) if above.removed => return self.pass_up(level + 1, bytes),
            Some(above) if !above.takes_input() => {}
            Some(_) if level >= self.started => {
                let what = "a layer delivered input before it was ready";
                return Err(self.failed(level, io::Error::other(what)));
            }
            Some(_) => return self.run(level, |layer, io| layer.receive(bytes, io)),
        }
        Ok(())
    }

    /// Tells the layer at `level`, or the channel above the last one, that the stream below has
    /// ended.
    pub(super) fn end_up(&mut self, level: usize, end: InputEnd) -> io::Result<()> {
        let Some(above) = self.layers.get_mut(level) else {
            self.input_end.get_or_insert(end);
            return Ok(());
        };
        if above.removed {
            return self.end_up(level + 1, end);
        }
        if !above.takes_input() {
            above.below_end.get_or_insert(end);
            return Ok(());
        }
        above.below_end = Some(end);
        let mut end = end;
        if level < self.started {
            match self.call(level, |layer, io| layer.receive_end(io)) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    end = InputEnd::Truncated;
                }
                Err(error) => return Err(self.failed(level, error)),
                Ok(()) => {}
            }
        }
        // If the layer has ended the stream above by itself, this says nothing new.
        self.end_up(level + 1, end)
    }

    /// Hands `bytes` to the layer below `level`, or to the transport's queue.
    pub(super) fn pass_down(&mut self, level: usize, bytes: &[u8]) -> io::Result<()> {
        for chunk in bytes.chunks(CHUNK) {
            match (0..level).rev().find(|below| !self.layers[*below].removed) {
                Some(below) if self.layers[below].failed => {
                    return Err(io::Error::other("a layer of this channel has failed"));
                }
                Some(below) => self.run(below, |layer, io| layer.send(chunk, io))?,
                None if self.finished => {}
                None => self.wire.data.extend_from_slice(chunk),
            }
        }
        Ok(())
    }

    /// Notes that the layer at `level` has failed, which ends the input.
    pub(super) fn failed(&mut self, level: usize, error: io::Error) -> io::Error {
        self.layers[level].failed = true;
        self.input_end.get_or_insert(InputEnd::Truncated);
        error
    }

    /// Calls the layer at `level`, and notes if it fails.
    pub(super) fn run(
        &mut self,
        level: usize,
        call: impl FnOnce(&mut dyn Layer, &mut LayerIo<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        self.call(level, call).map_err(|error| self.failed(level, error))
    }

    /// Calls the layer at `level`, and passes on what it hands up and down, also when it fails. A
    /// panic is a failure.
    pub(super) fn call(
        &mut self,
        level: usize,
        call: impl FnOnce(&mut dyn Layer, &mut LayerIo<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let (mut up, mut down, mut verdict) = (Vec::new(), Vec::new(), Verdict::default());
        let mut io = LayerIo { up: &mut up, down: &mut down, verdict: &mut verdict };
        let layer = &mut *self.layers[level].layer;
        let outcome = panic::catch(|| call(layer, &mut io))
            .unwrap_or_else(|panicked| Err(io::Error::other(panicked.to_string())));
        self.pass_down(level, &down)?;
        self.layers[level].removed |= verdict.removed;
        let above = self.pass_on(level, &up, &verdict, outcome.is_ok());
        if let Err(failure) = above {
            // Not of this layer.
            self.failure.get_or_insert(failure);
        }
        outcome
    }

    /// Passes on what the layer at `level` hands up.
    pub(super) fn pass_on(
        &mut self,
        level: usize,
        up: &[u8],
        verdict: &Verdict,
        ok: bool,
    ) -> io::Result<()> {
        if ok {
            // The layers above begin before they are given input.
            self.start_layers()?;
        }
        self.pass_up(level + 1, up)?;
        if verdict.input_ended {
            self.layers[level].ended = true;
            self.end_up(level + 1, InputEnd::Orderly)?;
        }
        Ok(())
    }

    /// Takes out the layers that have removed themselves.
    pub(super) fn sweep(&mut self) {
        if self.layers.iter().any(|level| level.removed) {
            let gone = self.layers[..self.started].iter().filter(|level| level.removed).count();
            self.started -= gone;
            self.layers.retain(|level| !level.removed);
        }
    }
}
