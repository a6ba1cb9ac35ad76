//! From one readiness to the right callbacks in the right order.

use std::io;

use rustix::io::Errno;

use crate::channel::Channel;
use crate::dispatcher::Handler;
use crate::error::{Error, ExitNow, Result};
use crate::log::{self, LogType};
use crate::map::SocketMap;
use crate::panic;
use crate::poller::{Interest, Readiness};
use crate::slot::{Notices, Phase};
use crate::token::Key;
use crate::transport::Transport;

impl SocketMap {
    /// Calls whom a ready socket concerns; a channel that is gone gets nothing.
    ///
    /// Mostly it can be read from, and nothing else. That way is inlined as a whole into the loop,
    /// down to the system calls: returning from a function that has made one costs more than all
    /// its other instructions (ARCHITECTURE.md, "What a message costs").
    #[inline(always)]
    pub(crate) fn dispatch(&mut self, key: Key, ready: Readiness) {
        let Some(slot) = self.slots.get_mut(key) else {
            return self.note_stray(key);
        };
        slot.events += 1;
        let is_plain = slot.phase == Phase::Connected && !slot.closing && slot.reads();
        let size = slot.in_buffer_size as usize;
        if is_plain && size > 0 && ready == Readiness::READABLE {
            self.receive(key, size);
        } else {
            self.dispatch_any(key, ready);
        }
    }

    /// Receives for `handle_data`.
    #[inline(always)]
    fn receive(&mut self, key: Key, size: usize) {
        let mut buffer = self.buffers.take_scratch(size);
        let received = self.channel_mut(key).recv(&mut buffer[..size]);
        match received {
            Ok(n) if n > 0 || self.is_datagram(key) => {
                let data = &buffer[..n];
                self.offer(key, Interest::READ, Interest::READ, |handler, ch| {
                    handler.handle_data(ch, data)
                });
            }
            // The end was noted.
            Ok(_) => self.touch(key),
            Err(error) => {
                self.touch(key);
                self.fail(key, error.into());
            }
        }
        self.buffers.give_scratch(buffer);
    }

    #[cold]
    fn is_datagram(&self, key: Key) -> bool {
        self.slots.get(key).is_some_and(|slot| slot.is_datagram())
    }

    /// Has a handler that receives by itself do so, and others told what was received.
    fn read_ready(&mut self, key: Key) {
        match self.slots.get(key).map_or(0, |slot| slot.in_buffer_size as usize) {
            0 => self
                .offer(key, Interest::READ, Interest::NONE, |handler, ch| handler.handle_read(ch)),
            size => self.receive(key, size),
        }
    }

    #[inline(never)]
    fn dispatch_any(&mut self, key: Key, ready: Readiness) {
        match self.slots[key].phase {
            Phase::Listening => self.accept_ready(key),
            Phase::Connecting => self.connect_ready(key, ready),
            Phase::Lingering => self.discard_input(key),
            Phase::Created | Phase::Connected => self.transfer_ready(key, ready),
            Phase::Closed => {}
        }
    }

    fn accept_ready(&mut self, key: Key) {
        self.offer(key, Interest::READ, Interest::NONE, |handler, ch| handler.handle_accept(ch));
    }

    /// Reads before it writes; the end is told by `recv`, after all that came before it.
    fn transfer_ready(&mut self, key: Key, ready: Readiness) {
        let slot = &mut self.slots[key];
        let ended = ready.hangup || ready.error;
        if slot.closing {
            self.reconsider(key);
            let slot = &self.slots[key];
            if slot.is_stream() && (ready.readable || ended) {
                self.discard_input(key);
            }
            return self.flush(key);
        }
        if ended && slot.eof {
            // All was read, and nothing can be sent any more.
            let cause = slot.transport.as_ref().and_then(|it| it.take_error().ok().flatten());
            return self.close_now(key, cause);
        }
        let reads = slot.reads();
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
            self.reconsider(key);
            self.write_ready(key);
        } else if ended && !reads {
            self.end_unread(key);
        } else if !reads {
            self.reconsider(key);
        }
    }

    /// A connection of which nothing is read now has ended, in some way.
    ///
    /// A reset or another failure closes it: nobody is left to answer, and input that is still
    /// unread is void. After a hang-up in good order that input counts, so the channel stays until
    /// it is read.
    #[cold]
    fn end_unread(&mut self, key: Key) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        match slot.transport.as_ref().map(Transport::take_error) {
            Some(Ok(Some(error)) | Err(error)) => self.close_now(key, Some(error)),
            _ => {
                slot.hung_up = true;
                self.rest(key, Interest::READ | Interest::WRITE | Interest::PRIORITY);
            }
        }
    }

    /// Sends what is queued, and then lets the handler send more if it wants to.
    fn write_ready(&mut self, key: Key) {
        self.flush(key);
        let wants_more = self.slots.get(key).is_some_and(|slot| {
            let idle = slot.can_transfer() && !slot.has_output() && !slot.write_dead;
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
        let Some(slot) = self.slots.get_mut(key).filter(|slot| !slot.is_ending()) else {
            return;
        };
        let Some(mut handler) = slot.handler.take() else {
            return;
        };
        slot.attempted = done;
        self.cork.set();
        let outcome = panic::catch(|| call(&mut *handler, &mut Channel { map: self, key }));
        self.slots[key].handler = Some(handler);
        if let Ok(Err(error)) | Err(error) = outcome {
            self.fail(key, error);
        }
        self.pull_cork(key);
        let Some(slot) = self.slots.get_mut(key).filter(|slot| !slot.is_ending()) else {
            return;
        };
        if slot.attempted.contains(what) {
            // It moved on, so what it left alone before may have a chance now.
            slot.rested = Interest::NONE;
            if !slot.is_settled() {
                self.touch(key);
            }
        } else if slot.write_dead && what == Interest::READ {
            // The connection is gone, and nobody wants what was received before.
            self.close_now(key, None);
        } else {
            self.rest(key, what);
        }
    }

    fn rest(&mut self, key: Key, what: Interest) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.rested = slot.rested | what;
            self.reconsider(key);
        }
    }

    /// Runs one callback; what it fails with is noted for `handle_error`.
    pub(crate) fn callback(
        &mut self,
        key: Key,
        call: impl FnOnce(&mut dyn Handler, &mut Channel<'_>) -> Result,
    ) {
        if let Some(Err(error)) = self.lend(key, call).map(|outcome| outcome.and_then(|it| it)) {
            self.fail(key, error);
        }
    }

    /// Notes a failure for `handle_error`, unless it is none.
    #[cold]
    pub(crate) fn fail(&mut self, key: Key, error: Error) {
        if error.is_would_block() {
            return;
        }
        if error.is::<ExitNow>() {
            self.exit = true;
            return;
        }
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        if slot.failure.is_some() {
            return self.report(key, &error);
        }
        slot.failure = Some(Box::new(error));
        self.note(key, Notices::ERROR);
    }

    /// Logs an error that no handler can be given.
    #[cold]
    pub(crate) fn report(&mut self, key: Key, error: &Error) {
        let channel = self.channel_mut(key);
        log::emit(
            LogType::Error,
            format_args!("uncaptured error in channel {channel:?} ({error})"),
        );
    }

    /// Delivers what is due on one channel, in the order in which it came about.
    pub(crate) fn deliver(&mut self, key: Key) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        // Most often there is an answer to send and nothing else.
        if slot.notices.take_alone(Notices::SEND) {
            return self.flush(key);
        }
        if self.has_notice(key, Notices::CONNECT) {
            self.touch(key);
            self.callback(key, |handler, ch| handler.handle_connect(ch));
        }
        if self.has_notice(key, Notices::SEND) {
            self.flush(key);
        }
        if self.has_notice(key, Notices::ERROR) {
            self.deliver_error(key);
        }
        // After the error: whether input goes on is for `handle_error` to decide.
        if self.has_notice(key, Notices::PARSE) {
            self.touch(key);
            self.callback(key, |handler, ch| handler.handle_pending_input(ch));
        }
        if self.has_notice(key, Notices::EOF) {
            tracing::debug!(target: "asyncore", channel = ?self.channel_mut(key), "end of stream");
            self.touch(key);
            self.callback(key, |handler, ch| handler.handle_eof(ch));
            self.close_if_both_ended(key);
        }
        if self.has_notice(key, Notices::CLOSE) {
            // What the callbacks above have noted comes before the end.
            if self.slots.get(key).is_some_and(|slot| !slot.notices.is_empty()) {
                self.deliver(key);
            }
            self.deliver_close(key);
        }
    }

    #[cold]
    fn deliver_error(&mut self, key: Key) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        slot.outbox.set_overflowed(false);
        let Some(error) = slot.failure.take() else {
            return;
        };
        self.stats.errors += 1;
        self.touch(key);
        let told = error.to_string();
        let outcome = self.lend(key, |handler, ch| handler.handle_error(ch, *error));
        let again = match outcome {
            Some(Err(again)) => {
                self.report(key, &Error::msg(told));
                Some(again)
            }
            // What handle_error itself did is not told to it again, or that might never end.
            _ => self.slots.get_mut(key).and_then(|slot| slot.failure.take()).map(|it| *it),
        };
        if let Some(again) = again {
            self.report(key, &again);
            self.close_now(key, None);
        }
        // What waits for the queue to be sent must not wait on if a failing producer was its end.
        self.note(key, Notices::SEND);
    }

    /// Throws input away on a channel that is closing, until its peer closes too.
    #[cold]
    fn discard_input(&mut self, key: Key) {
        self.touch(key);
        let mut scratch = self.buffers.take_scratch(crate::slot::Slot::BUFFER_SIZE);
        let outcome = match self.slots.get(key).and_then(|slot| slot.transport.as_ref()) {
            Some(transport) => transport.recv(&mut scratch),
            None => Ok(0),
        };
        self.buffers.give_scratch(scratch);
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        match outcome {
            Ok(0) if slot.phase == Phase::Lingering => self.close_now(key, None),
            Ok(0) => slot.eof = true,
            Ok(n) => {
                slot.bytes_in += n as u64;
                self.stats.bytes_in += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // The peer does not wait for what is left, so there is nobody to send it to.
            Err(error) => self.close_now(key, Some(error)),
        }
    }
}

/// Whether an error says that the connection is gone: asyncore's `_DISCONNECTED`.
pub(crate) fn is_disconnected(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::CONNRESET
                | Errno::NOTCONN
                | Errno::SHUTDOWN
                | Errno::CONNABORTED
                | Errno::PIPE
                | Errno::BADF
                | Errno::TIMEDOUT
                | Errno::HOSTUNREACH
                | Errno::NETUNREACH
        )
    )
}
