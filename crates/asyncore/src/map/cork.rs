//! The cork: output of a callback, collected until it returns and then sent at once.

use std::borrow::Cow;
use std::io;

use crate::connection::Phase;
use crate::map::sending::accepts_output;
use crate::map::{Flow, SocketMap};
use crate::poller::Interest;
use crate::slot::{Notices, Slot};
use crate::token::Key;

/// The output of one channel during one callback.
///
/// Most callbacks push one answer, which the socket takes whole. Collected here it needs no queue
/// of the channel's own, no notice and no change of interest. Everything less simple goes to the
/// channel's queue.
#[derive(Default)]
pub(crate) struct Cork {
    /// The channel that the bytes belong to, while there are any.
    key: Key,
    bytes: Vec<u8>,
    /// Set while a callback runs after which the cork is pulled.
    is_set: bool,
}

/// Maximum number of corked bytes; larger output goes to the channel's queue.
const MAX_CORKED: usize = 16 * 1024;

impl Cork {
    /// Starts to collect the output of the next callback.
    #[inline]
    pub(crate) fn set(&mut self) {
        self.is_set = true;
    }

    /// Takes `piece`, if no earlier output is queued elsewhere, and returns whether it did.
    #[inline]
    pub(crate) fn take(
        &mut self,
        key: Key,
        slot: &mut Slot,
        flow: &mut Flow,
        piece: &[u8],
    ) -> bool {
        let is_next = match slot.outbox.corked() {
            0 => self.is_set && self.bytes.is_empty() && !slot.outbox.has_queue(),
            _ => true,
        };
        let size = self.bytes.len() + piece.len();
        let fits = size <= MAX_CORKED.min(slot.outbox.limit());
        if !is_next
            || !fits
            || !slot.connection.is(Phase::Connected)
            || slot.connection.is_datagram()
        {
            return false;
        }
        self.key = key;
        self.bytes.extend_from_slice(piece);
        slot.outbox.change(key, flow, |content| content.corked = size as u16);
        true
    }
}

impl SocketMap {
    /// Pushes `piece` to the channel: into the cork if it can take it, otherwise into the queue.
    pub(crate) fn push(&mut self, key: Key, piece: Cow<'_, [u8]>) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        if !accepts_output(slot) {
            return self.refuse_output(key);
        }
        if piece.is_empty() && !slot.connection.is_datagram() {
            return;
        }
        slot.progress = slot.progress | Interest::WRITE;
        if !self.cork.take(key, slot, &mut self.flow, &piece) {
            self.queue(key, piece);
        }
    }

    /// Sends the collected output after the callback of `running` has returned.
    #[inline(always)]
    pub(crate) fn pull_cork(&mut self, running: Key) {
        self.cork.is_set = false;
        if self.cork.bytes.is_empty() {
            return;
        }
        let key = self.cork.key;
        let slot = &mut self.slots[key];
        let size = self.cork.bytes.len();
        let chunk = &self.cork.bytes[..size.min(slot.out_buffer_size())];
        let outcome = match &mut slot.transport {
            Some(transport) => transport.send(chunk),
            None => Ok(0),
        };
        let sent = *outcome.as_ref().unwrap_or(&0);
        slot.traffic.sent(sent, self.now, &mut self.stats);
        if sent < size {
            return self.queue_corked(key, sent, outcome);
        }
        slot.outbox.change(key, &mut self.flow, |content| content.corked = 0);
        self.cork.bytes.clear();
        if slot.connection.awaits_all_sent() {
            self.all_sent(key);
        } else if key != running {
            self.touch_unsettled(key);
        }
    }

    /// Queues the rest after `sent` bytes were sent.
    #[cold]
    fn queue_corked(&mut self, key: Key, sent: usize, outcome: io::Result<usize>) {
        let slot = &mut self.slots[key];
        let is_full = match outcome {
            Ok(sent) => sent < slot.out_buffer_size(),
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        self.cork.bytes.drain(..sent);
        self.uncork(key);
        if is_full {
            // The socket is full, so the queue waits for the poller instead of another attempt now.
            self.slots[key].notices.take(Notices::SEND);
        }
        self.touch(key);
    }

    /// Moves the collected output of the channel, if any, into its queue.
    #[inline]
    pub(crate) fn uncork(&mut self, key: Key) {
        if self.slots.get(key).is_some_and(|slot| slot.outbox.corked() > 0) {
            self.move_corked(key);
        }
    }

    #[cold]
    fn move_corked(&mut self, key: Key) {
        let slot = &mut self.slots[key];
        slot.outbox.change(key, &mut self.flow, |content| {
            content.corked = 0;
            let queue = content.queue.get_or_insert_with(|| self.buffers.take_queue(false));
            queue.push(self.cork.bytes.as_slice().into());
        });
        self.cork.bytes.clear();
        self.note(key, Notices::SEND);
    }

    /// Drops the collected output of the channel.
    #[inline]
    pub(crate) fn discard_corked(&mut self, key: Key) {
        if let Some(slot) = self.slots.get_mut(key).filter(|slot| slot.outbox.corked() > 0) {
            slot.outbox.change(key, &mut self.flow, |content| content.corked = 0);
            self.cork.bytes.clear();
        }
    }
}
