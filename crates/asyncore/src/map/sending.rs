//! Queueing and sending output.

use std::borrow::Cow;
use std::io;

use crate::connection::Phase;
use crate::error::{Error, context};
use crate::framing::Producer;
use crate::map::SocketMap;
use crate::output::{Front, OutputQueue};
use crate::panic;
use crate::poller::Interest;
use crate::slot::{Notices, Slot};
use crate::token::Key;
use crate::transport::Transport;
use crate::transport::is_disconnected;

/// Maximum number of system calls that send for one channel in a row, so that a fast reader of a
/// long queue cannot starve the other channels.
const MAX_SENDS_IN_A_ROW: usize = 16;

/// Minimum size of a piece that is sent at once, without a copy into an empty queue.
const MIN_SENT_AT_ONCE: usize = 16 * 1024;

/// Maximum number of queued producers; the size of their output is unknown, so the limit on bytes
/// does not bound them.
const MAX_QUEUED_PRODUCERS: usize = 1024;

/// The reason for the end of sending.
enum Stop {
    /// The queue is empty.
    Done,
    /// The socket takes no more, or other channels have their turn.
    Later,
    /// A producer has no output yet.
    NothingYet,
    Disconnected(io::Error),
    Failed(Error),
}

impl SocketMap {
    /// Queues `piece`, which the cork did not take.
    pub(crate) fn queue(&mut self, key: Key, mut piece: Cow<'_, [u8]>) {
        self.uncork(key);
        let slot = &mut self.slots[key];
        let is_datagram = slot.connection.is_datagram();
        let is_free = slot.connection.is(Phase::Connected) && !is_datagram && !slot.has_output();
        if piece.len() >= MIN_SENT_AT_ONCE && is_free {
            if let Cow::Borrowed(bytes) = piece {
                let sent = send_at_once(slot, bytes);
                slot.traffic.sent(sent, self.now, &mut self.stats);
                piece = Cow::Borrowed(&bytes[sent..]);
            }
        }
        let needed = slot.output_len().saturating_add(piece.len());
        let limit = slot.outbox.limit();
        if needed > limit {
            let what = format!(
                "the output queue would hold {needed} bytes, over its limit of {limit}; push less \
                 while output_len() is over the high-water mark, or raise set_output_limit()"
            );
            return self.overflow(key, what);
        }
        slot.outbox.change(key, &mut self.flow, |content| {
            let queue = content.queue.get_or_insert_with(|| self.buffers.take_queue(is_datagram));
            queue.push(piece);
        });
        self.note(key, Notices::SEND);
    }

    pub(crate) fn push_producer(&mut self, key: Key, producer: Box<dyn Producer>) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        if !accepts_output(slot) {
            return self.refuse_output(key);
        }
        slot.progress = slot.progress | Interest::WRITE;
        if slot.outbox.producers() >= MAX_QUEUED_PRODUCERS {
            let what = format!(
                "the output queue would hold more than {MAX_QUEUED_PRODUCERS} producers; push less \
                 while it has output"
            );
            return self.overflow(key, what);
        }
        self.change_queue(key, |queue| queue.push_producer(producer));
        self.note(key, Notices::SEND);
    }

    /// Drops the queue, because a push exceeds its limit, and notes the failure.
    #[cold]
    fn overflow(&mut self, key: Key, what: String) {
        self.discard_output(key);
        self.slots[key].outbox.set_overflowed(true);
        self.fail(key, Error::msg(what));
    }

    /// Sends as much of the queue as the socket takes now.
    pub(crate) fn flush(&mut self, key: Key) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        if slot.outbox.corked() > 0 {
            return self.uncork(key);
        }
        if !slot.connection.can_transfer() {
            return;
        }
        let slot = if slot.layered().is_some() {
            if !self.flush_layers(key) {
                return;
            }
            &mut self.slots[key]
        } else {
            slot
        };
        if !slot.outbox.has_queue() {
            return self.all_sent(key);
        }
        let (mut sent, size) = (0, slot.out_buffer_size());
        let is_datagram = slot.connection.is_datagram();
        let Some(transport) = &mut slot.transport else {
            return;
        };
        let outcome = slot.outbox.change(key, &mut self.flow, |content| {
            let Some(mut output) = content.queue.take() else {
                return Ok(Stop::Done);
            };
            // Only a producer runs code of the program, which can panic.
            let outcome = match output.producers() {
                0 => Ok(send_queued(transport, is_datagram, size, &mut output, &mut sent)),
                _ => panic::catch(|| {
                    send_queued(transport, is_datagram, size, &mut output, &mut sent)
                }),
            };
            #[cfg(target_os = "linux")]
            while let Some(pipe) = output.take_spent() {
                self.buffers.pipes.give(pipe);
            }
            if output.is_empty() {
                self.buffers.give_queue(output);
            } else {
                content.queue = Some(output);
            }
            outcome
        });
        if sent > 0 {
            slot.traffic.sent(sent, self.now, &mut self.stats);
            if slot.layered().is_some() {
                // Before anything asks whether output is left.
                self.note_output_below(key);
            }
            self.touch(key);
        }
        match outcome {
            Ok(Stop::Done) => return self.all_sent(key),
            Ok(Stop::Later) => self.note_waiting_output(key, sent > 0),
            // The code that feeds the producer touches the channel when there is more.
            Ok(Stop::NothingYet) => {
                let slot = &mut self.slots[key];
                slot.suppressed = slot.suppressed | Interest::WRITE;
                self.reconsider(key);
            }
            Ok(Stop::Disconnected(error)) => self.send_failed(key, error),
            Ok(Stop::Failed(error)) | Err(error) => self.fail(key, error),
        }
        // The rest waits for the socket, so the poller has to watch it.
        if self
            .slots
            .get(key)
            .is_some_and(|it| it.has_output() && !it.touched && !needs_no_watch(it))
        {
            self.touch(key);
        }
    }

    /// Takes the bytes that the channel has queued.
    pub(crate) fn take_output(&mut self, key: Key) -> Vec<u8> {
        self.uncork(key);
        let Some(slot) = self.slots.get_mut(key) else {
            return Vec::new();
        };
        slot.outbox.change(key, &mut self.flow, |content| match content.queue.take() {
            Some(mut queue) => {
                let bytes = queue.take_bytes();
                self.buffers.give_queue(queue);
                bytes
            }
            None => Vec::new(),
        })
    }

    /// Drops the queued output of the channel.
    #[cold]
    pub(crate) fn discard_output(&mut self, key: Key) {
        self.discard_corked(key);
        let Some(slot) = self.slots.get_mut(key) else { return };
        let taken = slot.outbox.change(key, &mut self.flow, |content| content.queue.take());
        let Some(mut output) = taken else { return };
        // The Drop of a producer can panic; each attempt drops at least one item.
        while let Err(error) = panic::catch(|| output.clear()) {
            self.report(key, &error);
        }
        self.buffers.give_queue(output);
    }

    /// Changes the channel's queue, after moving corked output into it.
    pub(crate) fn change_queue(&mut self, key: Key, change: impl FnOnce(&mut OutputQueue)) {
        self.uncork(key);
        let slot = &mut self.slots[key];
        let datagrams = slot.connection.is_datagram();
        slot.outbox.change(key, &mut self.flow, |content| {
            change(content.queue.get_or_insert_with(|| self.buffers.take_queue(datagrams)));
        });
    }

    /// Drops a push that can no longer be sent, and notes the failure once.
    #[cold]
    pub(crate) fn refuse_output(&mut self, key: Key) {
        let slot = &self.slots[key];
        let ended = slot.connection.is(Phase::Connected) && slot.connection.output_is_ending();
        if ended && !slot.connection.is_closing() && slot.failure.is_none() {
            let what =
                "output was pushed after shutdown_write(), which ends the output; push before it";
            self.fail(key, Error::msg(what));
        }
    }
}

/// Returns whether pushed output will be sent: not after the local half has ended, and not after a
/// gap until `handle_error` was called.
pub(crate) fn accepts_output(slot: &Slot) -> bool {
    slot.connection.accepts_output() && !slot.outbox.overflowed()
}

fn needs_no_watch(slot: &Slot) -> bool {
    let registered = slot.registered.is_some_and(|it| it.contains(Interest::WRITE));
    registered || slot.suppressed.contains(Interest::WRITE)
}

/// Sends as much of `bytes` as one system call takes, and returns the number sent.
fn send_at_once(slot: &mut Slot, bytes: &[u8]) -> usize {
    let size = bytes.len().min(slot.out_buffer_size());
    let Some(transport) = &mut slot.transport else {
        return 0;
    };
    // A failure occurs again, and is handled, when the rest is sent.
    transport.send(&bytes[..size]).unwrap_or(0)
}

/// Sends from `output`, up to `size` bytes at a time, and adds the number of sent bytes to `total`.
fn send_queued(
    transport: &mut Transport,
    is_datagram: bool,
    size: usize,
    output: &mut OutputQueue,
    total: &mut usize,
) -> Stop {
    for _ in 0..MAX_SENDS_IN_A_ROW {
        let front = match output.front() {
            Ok(None) => return Stop::Done,
            Ok(Some(front)) => front,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Stop::NothingYet,
            Err(error) => return Stop::Failed(context(error, "a producer failed").into()),
        };
        let (size, outcome) = match front {
            Front::Bytes(piece) => {
                let size = if is_datagram { piece.len() } else { piece.len().min(size) };
                (size, transport.send(&piece[..size]))
            }
            #[cfg(target_os = "linux")]
            Front::Pipe(pipe) => (pipe.len(), transport.send_pipe(pipe)),
        };
        match outcome {
            Ok(sent) => {
                *total += sent;
                output.advance(sent);
                if output.is_empty() {
                    return Stop::Done;
                }
                if sent < size {
                    return Stop::Later;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Stop::Later,
            Err(error) if is_datagram => {
                // The error concerns this datagram only.
                output.advance(size);
                return Stop::Failed(context(error, "cannot send").into());
            }
            Err(error) if is_disconnected(&error) => return Stop::Disconnected(error),
            Err(error) => {
                // The piece would fail again for ever.
                output.clear();
                return Stop::Failed(context(error, "cannot send").into());
            }
        }
    }
    Stop::Later
}
