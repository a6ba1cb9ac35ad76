//! The output queue.

use std::borrow::Cow;

use crate::channel::Channel;
use crate::framing::Producer;
use crate::poller::Interest;
use crate::slot::Notices;
use crate::token::Token;

impl Channel<'_> {
    /// Queues `data`, to be sent after all that was queued before.
    ///
    /// The loop sends the queue when the running callback has returned, and continues as the socket
    /// takes more. An owned `Vec` is queued without a copy. From a borrowed slice of 16 KiB or
    /// more, the part that the socket takes at once is sent without a copy.
    ///
    /// The queue has two bounds. Above the [high-water mark](Channel::set_high_water) the default
    /// [`readable`](crate::Dispatcher::readable) stops reading, which slows down a peer that sends
    /// requests without reading the answers. A push above the [limit](Channel::set_output_limit) is
    /// an error: it drops the queue and goes to `handle_error`. Until `handle_error` is called,
    /// later pushes are dropped too, so that no output follows a gap. On a channel that is closing
    /// or whose peer is gone, pushes are dropped.
    pub fn push<'d>(&mut self, data: impl Into<Cow<'d, [u8]>>) {
        self.map.push(self.key, data.into());
    }

    /// Queues the output of `producer`, to be sent after all that was queued before.
    ///
    /// The loop asks the producer for more as the socket takes it, so that output of any size needs
    /// little memory. A queue holds at most 1,024 producers; one more is an error, like a push
    /// above the limit. An error of the producer goes to `handle_error`. A producer that returns
    /// [`WouldBlock`](std::io::ErrorKind::WouldBlock) is asked again when the channel is
    /// [touched](Channel::touch).
    pub fn push_with_producer(&mut self, producer: impl Producer + 'static) {
        self.map.push_producer(self.key, Box::new(producer));
    }

    /// Closes the channel once its queue is sent.
    ///
    /// From now on input is discarded and pushes are dropped. When the queue is sent, the channel
    /// shuts down its half of the stream. The socket is closed when the peer has closed its half,
    /// or after the map's [`linger`](crate::MapBuilder::linger) time (2 s). Closing at once would
    /// reset the connection if input is on its way, and the peer could lose the end of the output.
    /// If the peer takes nothing for the map's [`send_timeout`](crate::MapBuilder::send_timeout)
    /// (30 s), the channel closes with a reset. Python closed at once.
    pub fn close_when_done(&mut self) {
        self.map.close_when_done(self.key);
    }

    /// Keeps the channel open during a [drain](crate::SocketMap::drain) until
    /// [`release`](Channel::release), because an answer is still in preparation.
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

    /// Ends [`hold_open`](Channel::hold_open). During a drain the channel then sends its queue and
    /// closes.
    pub fn release(&mut self) {
        let Some(slot) = self.slot_mut() else { return };
        if std::mem::take(&mut slot.held_open) && self.map.is_draining() {
            self.close_when_done();
        }
    }

    /// Drops the queued output and the input that no callback has seen: input held for a
    /// terminator, and the rest of the input that is being parsed. "Emergencies only", as asynchat
    /// put it.
    pub fn discard_buffers(&mut self) {
        drop(self.map.take_unparsed(self.key));
        if let Some(layered) = self.slot_mut().and_then(|slot| slot.layered_mut()) {
            layered.take_input();
        }
        self.map.discard_output(self.key);
        if self.slot().is_some_and(|slot| slot.connection.awaits_all_sent()) {
            // The queue is empty now, so the close or shutdown that waited for it is due.
            self.map.note(self.key, Notices::SEND);
        }
        self.touch();
    }

    /// Sets the number of queued bytes at which the output counts as full, 64 KiB by default. 0
    /// counts as 1, and more than 4 GiB as 4 GiB.
    ///
    /// While the output is full, the loop does not read the channels that have this one as their
    /// [sink](Channel::set_sink). A channel without a sink is its own sink.
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

    /// Returns the default answer for `what`, and records that the handler does not override this
    /// predicate.
    pub(crate) fn default_predicate(&self, what: Interest) -> bool {
        self.slot().is_some_and(|slot| {
            slot.default_predicates.set(slot.default_predicates.get() | what);
            slot.default_answers().contains(what)
        })
    }

    /// Returns the mark that [`set_high_water`](Channel::set_high_water) sets.
    pub fn high_water(&self) -> usize {
        self.slot().map_or(0, |slot| slot.outbox.high_water())
    }

    /// Returns the number of bytes that another channel has queued, 0 if it is gone.
    ///
    /// A predicate that calls this is evaluated again when the number changes. For the backpressure
    /// of a relay, [`set_sink`](Channel::set_sink) is simpler.
    pub fn output_len_of<T: ?Sized>(&self, token: Token<T>) -> usize {
        self.map.work.consult(token.key);
        self.map.slots.get(token.key).map_or(0, |slot| slot.output_len())
    }
}
