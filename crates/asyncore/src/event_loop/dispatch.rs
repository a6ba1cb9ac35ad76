//! From one readiness to the right callbacks in the right order.

use std::io;

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
    /// Calls whom a ready socket concerns; a channel that is gone gets nothing.
    ///
    /// Mostly it can be read from, and nothing else. That way is inlined as a whole into the loop,
    /// down to the system calls: returning from a function that has made one costs more than all
    /// its other instructions (ARCHITECTURE.md, "What a message costs").
    #[inline(always)]
    pub(super) fn dispatch(&mut self, key: Key, ready: Readiness) {
        let Some(slot) = self.map.slots.get_mut(key) else {
            return self.note_stale_event(key);
        };
        slot.traffic.events += 1;
        let is_plain = slot.connection.is_plain() && slot.reads();
        let may_be_held = slot.paused || slot.sink.is_some();
        let size = slot.in_buffer_size as usize;
        // An earlier callback of this very wait may have paused it, or filled its sink.
        let is_held = may_be_held && self.map.is_held_back(key);
        if is_plain && size > 0 && ready == Readiness::READABLE && !is_held {
            self.receive(key, size);
        } else {
            self.dispatch_any(key, ready);
        }
    }

    /// Receives for `handle_data`.
    #[inline(always)]
    fn receive(&mut self, key: Key, size: usize) {
        let mut buffer = self.map.buffers.take_scratch(size);
        let received = self.map.channel_mut(key).recv(&mut buffer[..size]);
        match received {
            Ok(n) if n > 0 || self.is_datagram(key) => {
                let data = &buffer[..n];
                self.offer(key, Interest::READ, Interest::READ, |handler, ch| {
                    handler.handle_data(ch, data)
                });
            }
            // The end was noted.
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

    /// Has a handler that receives by itself do so, and others told what was received.
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
            Phase::Handshaking => {}
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

    /// Reads before it writes; the end is told by `recv`, after all that came before it.
    fn transfer_ready(&mut self, key: Key, ready: Readiness) {
        let is_held = self.map.is_held_back(key);
        let slot = &mut self.map.slots[key];
        let ended = ready.hangup || ready.error;
        if slot.connection.is_closing() {
            self.map.reconsider(key);
            let slot = &self.map.slots[key];
            if slot.connection.is_stream() && (ready.readable || ended) {
                self.discard_input(key);
            }
            return self.map.flush(key);
        }
        if ended && slot.connection.input_ended() {
            // All was read, and nothing can be sent any more.
            let cause = slot.transport.as_ref().and_then(|it| it.take_error().ok().flatten());
            return self.map.close_now(key, cause);
        }
        let reads = slot.reads() && !is_held;
        let writes = slot.registered.is_some_and(|it| it.contains(Interest::WRITE));
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

    /// A connection of which nothing is read now has ended, in some way.
    ///
    /// A reset or another failure closes it: nobody is left to answer, and input that is still
    /// unread is void. After a hang-up in good order that input counts, so the channel stays until
    /// it is read.
    #[cold]
    fn end_unread(&mut self, key: Key) {
        let Some(slot) = self.map.slots.get_mut(key) else { return };
        match slot.transport.as_ref().map(Transport::take_error) {
            Some(Ok(Some(error)) | Err(error)) => self.map.close_now(key, Some(error)),
            _ => {
                slot.connection.note_hang_up();
                self.rest(key, Interest::READ | Interest::WRITE | Interest::PRIORITY);
            }
        }
    }

    /// Sends what is queued, and then lets the handler send more if it wants to.
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

    /// Calls back about something that stays ready until it is used: a callback that leaves it
    /// alone is not offered it again until something touches the channel, or the loop would spin.
    ///
    /// What the loop has used on the callback's behalf is `done`.
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
        slot.attempted = done;
        self.map.cork.set();
        let outcome =
            panic::catch(|| call(&mut *handler, &mut Channel { map: &mut self.map, key }));
        self.map.slots[key].handler = Some(handler);
        if let Ok(Err(error)) | Err(error) = outcome {
            self.map.fail(key, error);
        }
        self.map.pull_cork(key);
        let Some(slot) = self.map.slots.get_mut(key).filter(|slot| !slot.connection.is_ending())
        else {
            return;
        };
        if slot.attempted.contains(what) {
            // It moved on, so what it left alone before may have a chance now.
            slot.rested = Interest::NONE;
            if !slot.is_settled() {
                self.map.touch(key);
            }
        } else if slot.connection.output_failed() && what == Interest::READ {
            // The connection is gone, and nobody wants what was received before.
            self.map.close_now(key, None);
        } else {
            self.rest(key, what);
        }
    }

    fn rest(&mut self, key: Key, what: Interest) {
        if let Some(slot) = self.map.slots.get_mut(key) {
            slot.rested = slot.rested | what;
            self.map.reconsider(key);
        }
    }

    /// Throws input away on a channel that is closing, until its peer closes too.
    #[cold]
    fn discard_input(&mut self, key: Key) {
        self.map.touch(key);
        let mut scratch = self.map.buffers.take_scratch(Slot::BUFFER_SIZE);
        let outcome = match self.map.slots.get(key).and_then(|slot| slot.transport.as_ref()) {
            Some(transport) => transport.recv(&mut scratch),
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
                // Not for the handler, so it does not end its silence.
                let last = slot.traffic.last;
                slot.traffic.received(n, last, &mut self.map.stats);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // The peer does not wait for what is left, so there is nobody to send it to.
            Err(error) => self.map.close_now(key, Some(error)),
        }
    }
}
