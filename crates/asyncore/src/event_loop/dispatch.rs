//! Dispatching a readiness event to callbacks.

use std::io;
use std::rc::Rc;

use crate::channel::Channel;
use crate::connection::Phase;
use crate::dispatcher::Handler;
use crate::error::Result;
use crate::event_loop::EventLoop;
use crate::panic;
use crate::poller::{Interest, Readiness};
use crate::slot::Slot;
use crate::token::Key;
use crate::transport::Transport;

impl EventLoop {
    /// Dispatches one readiness event, and drops the event of a channel that is gone.
    ///
    /// Most channels are readable and nothing else. That path is inlined into the loop, down to the
    /// system calls: returning from a function that has made a system call costs more than all its
    /// other instructions (ARCHITECTURE.md, "What a message costs").
    #[inline(always)]
    pub(super) fn dispatch(&mut self, key: Key, ready: Readiness) {
        let Some(slot) = self.map.slots.get_mut(key) else {
            return self.note_stale_event(key);
        };
        slot.traffic.events += 1;
        let is_plain = slot.connection.is_plain() && slot.reads();
        let size = slot.in_buffer_size as usize;
        let can_be_held_back = slot.can_be_held_back();
        if is_plain
            && size > 0
            && ready == Readiness::READABLE
            && !(can_be_held_back && self.map.is_held_back(key))
        {
            self.receive(key, size);
        } else {
            self.dispatch_any(key, ready);
        }
    }

    /// Receives and calls `handle_data`.
    #[inline(always)]
    fn receive(&mut self, key: Key, size: usize) {
        let mut buffer = self.map.buffers.take_scratch(size);
        let received = self.map.channel_mut(key).recv(&mut Rc::make_mut(&mut buffer)[..size]);
        match received {
            Ok(n) if n > 0 || self.is_datagram(key) => {
                let data = &buffer[..n];
                let is_dialogue = self.map.slots[key].is_dialogue;
                if is_dialogue {
                    self.map.input.begin(key, &buffer, n);
                }
                self.offer(key, Interest::READ, Interest::READ, |handler, ch| {
                    handler.handle_data(ch, data)
                });
                if is_dialogue {
                    self.map.input.end();
                }
            }
            // `recv` has noted the end of the stream.
            Ok(_) => self.map.touch(key),
            Err(error) => {
                self.map.touch(key);
                self.map.fail(key, error.into());
            }
        }
        self.map.buffers.give_scratch(buffer);
    }

    #[cold]
    fn is_datagram(&self, key: Key) -> bool {
        self.map.slots.get(key).is_some_and(|slot| slot.connection.is_datagram())
    }

    /// Calls `handle_read`, or receives and calls `handle_data`.
    fn read_ready(&mut self, key: Key) {
        match self.map.slots.get(key).map_or(0, |slot| slot.in_buffer_size as usize) {
            0 => self
                .offer(key, Interest::READ, Interest::NONE, |handler, ch| handler.handle_read(ch)),
            size => self.receive(key, size),
        }
    }

    #[inline(never)]
    fn dispatch_any(&mut self, key: Key, ready: Readiness) {
        match self.map.slots[key].connection.phase() {
            Phase::Listening => self.accept_ready(key),
            Phase::Connecting => self.map.connect_ready(key, ready),
            Phase::Handshaking => self.map.shake_hands(key),
            Phase::Lingering => self.discard_input(key),
            Phase::Created | Phase::Connected => self.transfer_ready(key, ready),
            Phase::Closed => {}
        }
    }

    fn accept_ready(&mut self, key: Key) {
        if self.map.is_held_back(key) {
            return self.map.reconsider(key);
        }
        self.offer(key, Interest::READ, Interest::NONE, |handler, ch| handler.handle_accept(ch));
    }

    /// Reads before it writes, so that `recv` reports the end after all input before it.
    fn transfer_ready(&mut self, key: Key, ready: Readiness) {
        let slot = &mut self.map.slots[key];
        let ended = ready.hangup || ready.error;
        if ended && slot.connection.input_ended() {
            // All input was read, and nothing more can be sent.
            let cause = slot.transport.as_ref().and_then(|it| it.take_error().ok().flatten());
            return self.map.close_now(key, cause);
        }
        if slot.connection.is_closing() {
            self.map.reconsider(key);
            let slot = &self.map.slots[key];
            if slot.connection.is_stream() && (ready.readable || ended) {
                self.discard_input(key);
            }
            return self.map.flush(key);
        }
        // A callback of this same pass may have paused it, or filled its sink.
        let (reads, can_be_held_back) = (slot.reads(), slot.can_be_held_back());
        let writes = slot.registered.is_some_and(|it| it.contains(Interest::WRITE));
        let reads = reads && !(can_be_held_back && self.map.is_held_back(key));
        if ready.priority {
            self.offer(key, Interest::PRIORITY, Interest::NONE, |handler, ch| {
                handler.handle_expt(ch)
            });
            self.deliver_due();
        }
        if reads && (ready.readable || ended) {
            self.read_ready(key);
            self.deliver_due();
        }
        if writes && (ready.writable || ended) {
            self.map.reconsider(key);
            self.write_ready(key);
        } else if ended && !reads {
            self.end_unread(key);
        } else if !reads {
            self.map.reconsider(key);
        }
    }

    /// Handles the end or failure of a connection that is not read now.
    ///
    /// A reset or another failure closes the channel: the peer is gone, and unread input is void.
    /// After an orderly hang-up that input counts, so the channel stays until it is read.
    #[cold]
    fn end_unread(&mut self, key: Key) {
        let Some(slot) = self.map.slots.get_mut(key) else { return };
        match slot.transport.as_ref().map(Transport::take_error) {
            Some(Ok(Some(error)) | Err(error)) if slot.connection.is_datagram() => {
                self.map.fail(key, error.into());
            }
            Some(Ok(Some(error)) | Err(error)) => self.map.close_now(key, Some(error)),
            _ => {
                slot.connection.note_hang_up();
                // With no interest left, the channel leaves the poller, which would report the
                // hang-up without end. Reading is not suppressed: it continues once the channel is
                // read again.
                self.suppress(key, Interest::PRIORITY);
            }
        }
    }

    /// Sends the queue, and then lets the handler send more.
    fn write_ready(&mut self, key: Key) {
        self.map.flush(key);
        let wants_more = self.map.slots.get(key).is_some_and(|slot| {
            let idle = slot.connection.can_transfer()
                && !slot.has_output()
                && !slot.connection.output_failed();
            idle && slot.wanted.contains(Interest::WRITE)
        });
        if wants_more {
            self.offer(key, Interest::WRITE, Interest::NONE, |handler, ch| {
                handler.handle_write(ch)
            });
        }
    }

    /// Calls a callback for level-triggered readiness. If the callback makes no progress, the
    /// readiness is suppressed until the channel is touched; otherwise the loop would spin.
    ///
    /// `done` is the progress that the loop has made on behalf of the callback.
    #[inline(always)]
    fn offer(
        &mut self,
        key: Key,
        what: Interest,
        done: Interest,
        call: impl FnOnce(&mut dyn Handler, &mut Channel<'_>) -> Result,
    ) {
        let Some(slot) = self.map.slots.get_mut(key).filter(|slot| !slot.connection.is_ending())
        else {
            return;
        };
        let Some(mut handler) = slot.handler.take() else {
            return;
        };
        slot.progress = done;
        self.map.cork.set();
        let outcome =
            panic::catch(|| call(&mut *handler, &mut Channel { map: &mut self.map, key }));
        let slot = &mut self.map.slots[key];
        slot.handler = Some(handler);
        if slot.is_replaced {
            self.map.install_successor(key);
        }
        if let Ok(Err(error)) | Err(error) = outcome {
            self.map.fail(key, error);
        }
        self.map.pull_cork(key);
        let Some(slot) = self.map.slots.get_mut(key).filter(|slot| !slot.connection.is_ending())
        else {
            return;
        };
        if slot.progress.contains(what) {
            // After progress, readiness that was not used before is offered again.
            slot.suppressed = Interest::NONE;
            if !slot.is_settled() {
                self.map.touch(key);
            }
        } else if slot.connection.output_failed() && what == Interest::READ {
            // The connection is gone, and the handler does not read the input received before.
            self.map.close_now(key, None);
        } else if slot.is_still_ready(what) {
            self.suppress(key, what);
        } else {
            // The input was read by other means than the channel.
            self.map.touch(key);
        }
    }

    fn suppress(&mut self, key: Key, what: Interest) {
        if let Some(slot) = self.map.slots.get_mut(key) {
            slot.suppressed = slot.suppressed | what;
            self.map.reconsider(key);
        }
    }

    /// Discards input on a channel that is closing, until the peer closes too.
    #[cold]
    fn discard_input(&mut self, key: Key) {
        self.map.touch(key);
        let mut scratch = self.map.buffers.take_scratch(Slot::BUFFER_SIZE);
        let buf = &mut Rc::make_mut(&mut scratch)[..];
        let outcome = match self.map.slots.get_mut(key).and_then(|slot| slot.transport.as_mut()) {
            Some(transport) => transport.recv(buf),
            None => Ok(0),
        };
        self.map.buffers.give_scratch(scratch);
        let Some(slot) = self.map.slots.get_mut(key) else {
            return;
        };
        match outcome {
            Ok(0) => {
                let act = slot.connection.end_discarded_input();
                self.map.perform(key, act);
            }
            Ok(n) => {
                // Discarded input does not count as activity for the handler's timeout.
                let last = slot.traffic.last;
                slot.traffic.received(n, last, &mut self.map.stats);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // The peer does not wait for the rest of the output.
            Err(error) => self.map.close_now(key, Some(error)),
        }
    }
}
