//! The output queue.

use std::borrow::Cow;

use crate::channel::Channel;
use crate::framing::Producer;
use crate::poller::Interest;
use crate::slot::Notices;
use crate::token::Token;

impl Channel<'_> {
    /// Queues `data` to be sent, in order, after all that was queued before.
    ///
    /// It is sent when the running callback has returned, together with what else was pushed, or
    /// as the socket takes it. A `Vec` that is given away is queued without a copy; of a borrowed
    /// piece of 16 KiB or more, what the socket takes at once is sent without one.
    ///
    /// The queue has two bounds. Over its [high-water mark](Channel::set_high_water) the default
    /// [`readable`](crate::Dispatcher::readable) stops reading, so that a peer which asks without
    /// reading the answers is slowed down. Over its [limit](Channel::set_output_limit) a push is
    /// an error, which goes to `handle_error` and drops the queue, and until that was called also
    /// what is pushed after: nothing is sent across the gap. On a channel that is closing
    /// or whose peer is gone, what is pushed is dropped.
    pub fn push<'d>(&mut self, data: impl Into<Cow<'d, [u8]>>) {
        self.map.push(self.key, data.into());
    }

    /// Queues what `producer` will produce, in order, after all that was queued before.
    ///
    /// It is asked for more as the socket takes it, so that any amount costs no memory. A queue
    /// holds 1,024 of them; one more is an error, as a push over the limit is. One that fails is
    /// told to `handle_error`; one that answers [`WouldBlock`](std::io::ErrorKind::WouldBlock) is
    /// asked again when the channel is [touched](Channel::touch).
    pub fn push_with_producer(&mut self, producer: impl Producer + 'static) {
        self.map.push_producer(self.key, Box::new(producer));
    }

    /// Closes the channel as soon as all that is queued is sent.
    ///
    /// From now on input is thrown away and pushes are dropped. When all is sent, our half is
    /// shut down, and the socket is closed when the peer has closed its half, or after the map's
    /// [`linger`](crate::MapBuilder::linger) time (2 s): closing at once would reset the
    /// connection if input is on its way, and could cost the peer the end of what it was sent. A
    /// peer that takes nothing for the map's [`send_timeout`](crate::MapBuilder::send_timeout)
    /// (30 s) is given up. Python closed at once.
    pub fn close_when_done(&mut self) {
        self.map.close_when_done(self.key);
    }

    /// Holds the channel open through a [drain](crate::SocketMap::drain) until
    /// [`release`](Channel::release), because an answer is still being made.
    ///
    /// ```
    /// use asyncore::{Channel, Dispatcher, Result};
    /// use std::time::Duration;
    ///
    /// struct Slow;
    ///
    /// impl Dispatcher for Slow {
    ///     fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
    ///         ch.recv(&mut [0; 64])?;
    ///         ch.hold_open();
    ///         let this = ch.token::<Self>();
    ///         ch.call_later(Duration::from_millis(50), move |map| {
    ///             if let Some(mut ch) = map.channel(this) {
    ///                 ch.push(b"answer");
    ///                 ch.release();
    ///             }
    ///             Ok(())
    ///         });
    ///         Ok(())
    ///     }
    /// }
    /// ```
    pub fn hold_open(&mut self) {
        if let Some(slot) = self.slot_mut() {
            slot.held_open = true;
        }
    }

    /// Ends [`hold_open`](Channel::hold_open); while a drain is under way the channel then sends
    /// what is queued and closes.
    pub fn release(&mut self) {
        let Some(slot) = self.slot_mut() else { return };
        if std::mem::take(&mut slot.held_open) && self.map.is_draining() {
            self.close_when_done();
        }
    }

    /// Drops what is queued, and the input that is held for a terminator or that the running
    /// callback has been called with only a part of: "emergencies only", as asynchat put it.
    pub fn discard_buffers(&mut self) {
        drop(self.map.take_unparsed(self.key));
        if let Some(layered) = self.slot_mut().and_then(|slot| slot.layered_mut()) {
            layered.take_input();
        }
        self.map.discard_output(self.key);
        if self.slot().is_some_and(|slot| slot.connection.awaits_all_sent()) {
            // The end that waits for the queue is due.
            self.map.note(self.key, Notices::SEND);
        }
        self.touch();
    }

    /// Sets the number of queued bytes at which the channel is full, 64 KiB by
    /// default. 0 counts as 1, and more than 4 GiB as 4 GiB.
    ///
    /// While it is full, the channels whose [sink](Channel::set_sink) it is are not read; without
    /// a sink of its own that includes the channel itself.
    pub fn set_high_water(&mut self, bytes: usize) {
        if let Some(slot) = self.map.slots.get_mut(self.key) {
            slot.outbox.set_high_water(self.key, &mut self.map.flow, bytes);
        }
        self.touch();
    }

    /// Sets the maximum number of queued bytes, 64 MiB by default and 4 GiB at most.
    pub fn set_output_limit(&mut self, bytes: usize) {
        if let Some(slot) = self.slot_mut() {
            slot.outbox.set_limit(bytes);
        }
    }

    /// Returns the number of queued bytes; those of a producer count once it has produced them.
    pub fn output_len(&self) -> usize {
        self.slot().map_or(0, |slot| slot.output_len())
    }

    /// Returns whether anything is queued, producers included.
    pub fn has_output(&self) -> bool {
        self.slot().is_some_and(|slot| slot.has_output())
    }

    /// The default predicate `what`, which is known without asking the handler from now on.
    pub(crate) fn default_predicate(&self, what: Interest) -> bool {
        self.slot().is_some_and(|slot| {
            slot.default_predicates.set(slot.default_predicates.get() | what);
            slot.default_answers().contains(what)
        })
    }

    /// The mark that [`set_high_water`](Channel::set_high_water) sets.
    pub fn high_water(&self) -> usize {
        self.slot().map_or(0, |slot| slot.outbox.high_water())
    }

    /// Returns the number of bytes that another channel has queued, 0 if it is gone.
    ///
    /// A predicate that looks is asked again when that changes: this is the backpressure of a
    /// relay.
    pub fn output_len_of<T: ?Sized>(&self, token: Token<T>) -> usize {
        self.map.work.consult(token.key);
        self.map.slots.get(token.key).map_or(0, |slot| slot.output_len())
    }
}
