//! Channels with layers.

use std::io;
use std::mem::replace;

use crate::connection::Phase;
use crate::error::context;
use crate::layer::Layer;
use crate::map::SocketMap;
use crate::slot::Slot;
use crate::token::Key;
use crate::transport::Transport;

impl SocketMap {
    /// Inserts `layer` above the channel's transport and its queued output, and below all that is
    /// read and pushed from now on. `unread` was received and is the layer's input.
    pub(crate) fn insert_layer(
        &mut self,
        key: Key,
        layer: Box<dyn Layer>,
        mut unread: Vec<u8>,
    ) -> io::Result<()> {
        let waits = |slot: &Slot| slot.transport.is_none() && !slot.connection.is_ending();
        if unread.is_empty() && self.slots.get(key).is_some_and(waits) {
            if let Some(dial) = self.dial(key) {
                dial.layers.push(layer);
            }
            return Ok(());
        }
        self.check_layers(key)?;
        unread.append(&mut self.take_unparsed(key));
        let queued = self.take_output(key);
        self.put_layer(key, layer, unread, &queued)
    }

    fn put_layer(
        &mut self,
        key: Key,
        layer: Box<dyn Layer>,
        unread: Vec<u8>,
        queued: &[u8],
    ) -> io::Result<()> {
        let Some(slot) = self.slots.get_mut(key) else {
            return Ok(());
        };
        let Some(transport) = slot.transport.take() else {
            return Ok(());
        };
        let stands = matches!(slot.connection.phase(), Phase::Connected | Phase::Handshaking);
        let has_handshake = !layer.is_ready();
        slot.traffic.unread(unread.len(), &mut self.stats);
        let mut layered = transport.into_layered();
        let outcome = layered.insert(layer, unread, queued, stands);
        let is_ready = layered.is_ready();
        slot.transport = Some(Transport::Layered(layered));
        if slot.connection.is(Phase::Connected) && (has_handshake || !is_ready) {
            slot.connection.begin_handshake();
            self.limit_phase(key, self.handshake_timeout(key));
            if is_ready && outcome.is_ok() {
                // The input that was already received completed the handshake.
                self.connected(key);
            }
        }
        self.touch(key);
        outcome
    }

    /// Inserts the layers that were waiting for a socket. What is queued passes them: it is not
    /// known what was pushed before, and what is to be encrypted must never go out in plain.
    pub(crate) fn insert_waiting_layers(&mut self, key: Key) {
        let dial = self.slots.get_mut(key).and_then(|slot| slot.dial.as_mut());
        for layer in dial.map(|dial| std::mem::take(&mut dial.layers)).unwrap_or_default() {
            let inserted = self.check_stream(key);
            let inserted = inserted.and_then(|()| self.put_layer(key, layer, Vec::new(), &[]));
            if let Err(error) = inserted {
                self.fail(key, error.into());
            }
        }
    }

    /// Removes the top layer; output that was pushed before still passes through it.
    pub(crate) fn remove_layer(&mut self, key: Key) -> io::Result<Option<Box<dyn Layer>>> {
        self.check_layers(key)?;
        if self.slots.get(key).and_then(|slot| slot.layered()).is_none_or(|it| !it.has_layers()) {
            return Ok(None);
        }
        let queued = self.take_output(key);
        let layered = self.slots.get_mut(key).and_then(|slot| slot.layered_mut());
        let removed = layered.map_or(Ok(None), |layered| layered.remove(&queued));
        let slot = self.slots.get(key).filter(|slot| slot.connection.is(Phase::Handshaking));
        if slot.and_then(|slot| slot.layered()).is_some_and(|layered| layered.is_ready()) {
            self.connected(key);
        }
        self.touch(key);
        removed
    }

    fn check_stream(&self, key: Key) -> io::Result<()> {
        let Some(slot) = self.slots.get(key).filter(|slot| slot.transport.is_some()) else {
            return Err(crate::channel::no_socket());
        };
        if slot.connection.is_datagram() || slot.connection.is(Phase::Listening) {
            let what = "a layer transforms a stream; this channel is none";
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
        Ok(())
    }

    /// Whether the layers of the channel can be changed now.
    fn check_layers(&self, key: Key) -> io::Result<()> {
        self.check_stream(key)?;
        let unsupported = |what: &str| Err(io::Error::new(io::ErrorKind::Unsupported, what));
        let Some(slot) = self.slots.get(key) else { return Ok(()) };
        if !slot.outbox.is_bytes_only() {
            return unsupported(
                "producers or spliced bytes are queued, of which it is not known how much precedes \
                 the layer; change layers when they are sent",
            );
        }
        if !slot.outbox.is_idle() && slot.layered().is_some_and(|layered| !layered.is_ready()) {
            return unsupported(
                "output waits for the handshake of a layer, which it has to pass; change layers \
                 when the handshake is done, or push later",
            );
        }
        Ok(())
    }

    /// Continues the handshakes of a channel's layers, and calls `connected` after the last.
    pub(crate) fn shake_hands(&mut self, key: Key) {
        self.touch(key);
        let Some(layered) = self.slots.get_mut(key).and_then(|slot| slot.layered_mut()) else {
            // The layers are gone.
            return self.connected(key);
        };
        match layered.shake_hands() {
            Ok(true) => self.connected(key),
            Ok(false) => {}
            Err(error) => {
                // A layer may have transmitted the reason, for which the peer waits.
                let _ = layered.flush();
                self.connect_failed(key, context(error, "the handshake failed"));
            }
        }
    }

    /// Handles the end of the time limit for the handshakes.
    pub(crate) fn handshake_timed_out(&mut self, key: Key) {
        let limit = self.handshake_timeout(key);
        let what = format!("the handshake failed: not done in {limit:?}");
        self.connect_failed(key, io::Error::new(io::ErrorKind::TimedOut, what));
    }

    /// Sends the bytes below the layers. Returns false while some of them wait for the transport.
    pub(crate) fn flush_layers(&mut self, key: Key) -> bool {
        let Some(layered) = self.slots.get_mut(key).and_then(|slot| slot.layered_mut()) else {
            return true;
        };
        let before = layered.pending_output();
        let outcome = layered.flush();
        let moved = layered.pending_output() < before;
        self.note_output_below(key);
        self.touch(key);
        match outcome {
            Ok(true) => true,
            Ok(false) => {
                self.note_waiting_output(key, moved);
                false
            }
            Err(error) => {
                self.send_failed(key, error);
                false
            }
        }
    }

    /// Lets the layers of a channel end their output. Returns false while some of it waits for the
    /// transport.
    pub(crate) fn finish_layers(&mut self, key: Key) -> bool {
        let Some(layered) = self.slots.get_mut(key).and_then(|slot| slot.layered_mut()) else {
            return true;
        };
        match layered.finish() {
            Ok(false) => {
                self.note_waiting_output(key, true);
                self.touch(key);
                false
            }
            Ok(true) => true,
            Err(error) => {
                self.send_failed(key, error);
                false
            }
        }
    }

    /// Updates the state of a channel with layers before the loop waits: bytes below the layers
    /// count as output. If no layer and no bytes are left, the bare transport replaces the layered
    /// one.
    pub(crate) fn settle_layers(&mut self, key: Key) {
        self.note_output_below(key);
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        if slot.layered().is_some_and(|layered| layered.is_transparent()) {
            if let Some(Transport::Layered(layered)) = slot.transport.take() {
                slot.transport = Some(layered.into_below());
            }
        }
    }

    /// Counts the bytes below the layers of a channel as output.
    pub(crate) fn note_output_below(&mut self, key: Key) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let Some(pending) = slot.layered().map(|layered| layered.pending_output()) else {
            return;
        };
        let below = u32::try_from(pending).unwrap_or(u32::MAX);
        let before =
            slot.outbox.change(key, &mut self.flow, |content| replace(&mut content.below, below));
        if below != before {
            // Predicates that consult the length of this output may have seen the old one.
            self.touch_dependents_of(key);
        }
    }

    /// Stops counting the bytes below the layers, which are gone with their transport.
    pub(crate) fn forget_below(&mut self, key: Key) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.outbox.change(key, &mut self.flow, |content| content.below = 0);
        }
    }

    /// Takes the received input that no handler has seen: held by the framer, or not parsed yet by
    /// the running callback.
    pub(crate) fn take_unparsed(&mut self, key: Key) -> Vec<u8> {
        let mut unparsed = match self.slots.get_mut(key).and_then(|slot| slot.framer.as_mut()) {
            Some(framer) => framer.take_unread(),
            None => Vec::new(),
        };
        unparsed.extend_from_slice(self.input.take_rest(key));
        unparsed
    }

    /// Puts input that no handler has seen back in front of the transport's input.
    pub(crate) fn unread(&mut self, key: Key, unread: Vec<u8>) {
        if unread.is_empty() {
            return;
        }
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        slot.traffic.unread(unread.len(), &mut self.stats);
        if let Some(transport) = slot.transport.take() {
            let mut layered = transport.into_layered();
            layered.unread(unread);
            slot.transport = Some(Transport::Layered(layered));
        }
        self.touch(key);
    }
}
