//! The map's record of one channel.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::address::Address;
use crate::connection::{Connection, Phase};
use crate::dispatcher::Handler;
use crate::error::Error;
use crate::framing::Framer;
use crate::layer::Layered;
use crate::map::{Deadlines, Links};
use crate::net::Dial;
use crate::output::Outbox;
use crate::poller::{self, Interest};
use crate::timer::TimerKey;
use crate::token::Key;
use crate::traffic::Traffic;
use crate::transport::Transport;

/// One channel: its handler, its socket, and its state.
///
/// State that few channels have is boxed, so that an idle channel costs little.
pub(crate) struct Slot {
    /// `None` while a callback runs with it.
    pub(crate) handler: Option<Box<dyn Handler>>,
    /// A successor replaces the handler when its running callback has returned.
    pub(crate) is_replaced: bool,
    /// The name of the handler's type.
    pub(crate) name: fn() -> &'static str,
    pub(crate) transport: Option<Transport>,
    pub(crate) addr: Option<Address>,
    pub(crate) connection: Connection,
    pub(crate) traffic: Traffic,

    /// Notices due on the channel, delivered when no callback runs.
    pub(crate) notices: Notices,
    pub(crate) is_due: bool,
    /// A failure to pass to `handle_error`.
    pub(crate) failure: Option<Box<Error>>,

    /// The predicates have to be evaluated again.
    pub(crate) touched: bool,
    /// Predicates known to be the default ones, which need not be called.
    pub(crate) default_predicates: Cell<Interest>,
    /// The interest that the predicates returned.
    pub(crate) wanted: Interest,
    /// The interest registered with the poller; an empty one watches for the end only.
    pub(crate) registered: Option<Interest>,
    /// Readiness that a callback has not used; not offered again until the channel is touched.
    pub(crate) suppressed: Interest,
    /// Readiness that the running callback has tried to use.
    pub(crate) progress: Interest,
    pub(crate) wants_priority: bool,
    /// `pause_reading` was called.
    pub(crate) paused: bool,
    /// Work is in progress for which a drain waits.
    pub(crate) held_open: bool,
    /// The channel whose output must have room before this one is read.
    pub(crate) sink: Option<Key>,
    /// The poller refuses the descriptor because it never blocks, such as that of a regular file.
    pub(crate) always_ready: bool,
    /// The channel is in the map's list of channels that are ready without the poller.
    pub(crate) self_ready: bool,
    /// Channels consulted by predicates, in both directions.
    pub(crate) links: Option<Box<Links>>,

    pub(crate) outbox: Outbox,
    /// Maximum number of bytes that one system call sends.
    pub(crate) out_buffer_size: u32,
    /// Maximum number of bytes that the loop receives at a time for `handle_data`; 0 if the handler
    /// receives.
    pub(crate) in_buffer_size: u32,
    /// The handler is a dialogue; it has a framer once it has parsed input.
    pub(crate) is_dialogue: bool,
    pub(crate) framer: Option<Box<Framer>>,

    pub(crate) deadlines: Option<Box<Deadlines>>,
    /// Settings and attempts that are needed until the channel is connected.
    pub(crate) dial: Option<Box<Dial>>,
    pub(crate) listener: Option<Box<Listener>>,
}

/// The accepting state of a listener.
#[derive(Default)]
pub(crate) struct Listener {
    /// Set while the listener does not accept.
    pub(crate) paused: bool,
    /// The current pause between two attempts while the system has no descriptors left.
    pub(crate) backoff: Option<Duration>,
    pub(crate) retry: Option<TimerKey>,
    /// The time at which such a pause was last logged.
    pub(crate) last_logged: Option<Instant>,
    /// Set if the end of the current pause is to be logged.
    pub(crate) log_recovery: bool,
}

/// Notices due on a channel, in the order of delivery.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Notices(u8);

impl Notices {
    pub(crate) const CONNECT: Notices = Notices(1);
    pub(crate) const SEND: Notices = Notices(2);
    pub(crate) const PARSE: Notices = Notices(4);
    pub(crate) const ERROR: Notices = Notices(8);
    pub(crate) const EOF: Notices = Notices(16);
    pub(crate) const CLOSE: Notices = Notices(32);
    pub(crate) const TIMEOUT: Notices = Notices(64);
    pub(crate) const DRAIN: Notices = Notices(128);

    pub(crate) fn insert(&mut self, other: Notices) {
        self.0 |= other.0;
    }

    /// Removes `other` and returns whether it was set.
    pub(crate) fn take(&mut self, other: Notices) -> bool {
        let found = self.0 & other.0 != 0;
        self.0 &= !other.0;
        found
    }

    /// Removes `other` if nothing else is set, and returns whether it did.
    pub(crate) fn take_alone(&mut self, other: Notices) -> bool {
        let alone = self.0 == other.0;
        if alone {
            self.0 = 0;
        }
        alone
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl Slot {
    pub(crate) fn new(now: Instant) -> Self {
        Slot {
            handler: None,
            is_replaced: false,
            name: || "channel",
            transport: None,
            addr: None,
            connection: Connection::new(),
            traffic: Traffic::new(now),
            notices: Notices::default(),
            is_due: false,
            failure: None,
            touched: false,
            default_predicates: Cell::new(Interest::NONE),
            wanted: Interest::NONE,
            registered: None,
            suppressed: Interest::NONE,
            progress: Interest::NONE,
            wants_priority: false,
            paused: false,
            held_open: false,
            sink: None,
            always_ready: false,
            self_ready: false,
            links: None,
            outbox: Outbox::new(),
            out_buffer_size: Slot::BUFFER_SIZE as u32,
            in_buffer_size: 0,
            is_dialogue: false,
            framer: None,
            deadlines: None,
            dial: None,
            listener: None,
        }
    }

    /// asynchat's `ac_in_buffer_size` and `ac_out_buffer_size`, 64 KiB.
    pub(crate) const BUFFER_SIZE: usize = 64 * 1024;
    /// Maximum number of bytes that one event receives, 16 MiB.
    pub(crate) const IN_BUFFER_LIMIT: usize = 16 * 1024 * 1024;

    /// Copies the handler's own settings into the slot, once.
    pub(crate) fn adapt_to(&mut self, handler: &dyn Handler) {
        self.name = handler.type_name();
        self.is_dialogue = handler.is_dialogue();
        self.default_predicates.set(Interest::NONE);
        self.set_in_buffer_size(handler.ac_in_buffer_size());
        self.set_out_buffer_size(handler.ac_out_buffer_size());
    }

    fn set_out_buffer_size(&mut self, bytes: usize) {
        self.out_buffer_size = u32::try_from(bytes).unwrap_or(u32::MAX).max(1);
    }

    pub(crate) fn out_buffer_size(&self) -> usize {
        self.out_buffer_size as usize
    }

    pub(crate) fn set_in_buffer_size(&mut self, bytes: usize) {
        self.in_buffer_size = bytes.min(Slot::IN_BUFFER_LIMIT) as u32;
    }

    pub(crate) fn output_len(&self) -> usize {
        self.outbox.len()
    }

    pub(crate) fn has_output(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Returns what the default predicates return. With a sink, the sink's room counts instead of
    /// the channel's own.
    pub(crate) fn default_answers(&self) -> Interest {
        let reads = self.sink.is_some() || self.outbox.has_room();
        let read = if reads { Interest::READ } else { Interest::NONE };
        let write = if self.has_output() { Interest::WRITE } else { Interest::NONE };
        read | write
    }

    /// Returns whether the descriptor is still ready for `what` after a callback that made no
    /// progress. False if the input was read by other means than the channel.
    pub(crate) fn is_still_ready(&self, what: Interest) -> bool {
        if what != Interest::READ || self.always_ready || self.connection.is(Phase::Listening) {
            return true;
        }
        let fd =
            self.transport.as_ref().filter(|it| it.layered().is_none()).and_then(Transport::fd);
        fd.is_none_or(poller::is_readable)
    }

    /// Returns the interest to register when the predicates return `wanted`. A connection is
    /// registered with at least an empty interest, to learn of its end, until a hang-up was
    /// reported.
    pub(crate) fn registration(&self, wanted: Interest) -> Option<Interest> {
        let interest = self.interest(wanted);
        (!interest.is_empty() || self.connection.watches_end()).then_some(interest)
    }

    fn interest(&self, wanted: Interest) -> Interest {
        let mut interest = wanted;
        if self.connection.can_transfer() {
            if self.has_output() {
                interest = interest | Interest::WRITE;
            }
            if self.wants_priority && !self.connection.is_closing() {
                interest = interest | Interest::PRIORITY;
            }
        }
        if self.connection.input_ended() {
            interest = interest.without(Interest::READ);
        }
        interest = interest.without(self.suppressed);
        if let Some(layered) = self.layered() {
            if layered.is_output_full() {
                interest = interest.without(Interest::READ);
            }
            // These bytes are watched also while a producer behind them has nothing yet and writing
            // is suppressed.
            let stands = matches!(self.connection.phase(), Phase::Connected | Phase::Handshaking);
            if stands && layered.pending_output() > 0 {
                interest = interest | Interest::WRITE;
            }
        }
        interest
    }

    /// Returns whether the interest is known to be reading only, without evaluating predicates.
    /// Most channels are settled most of the time.
    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        self.registered == Some(Interest::READ)
            && self.default_predicates.get() == Interest::READ | Interest::WRITE
            && self.connection.is_plain()
            && self.outbox.is_idle()
            && self.links.is_none()
            && self.suppressed.is_empty()
            && !matches!(self.transport, Some(Transport::Layered(_)))
            && !(self.wants_priority | self.paused)
    }

    /// Returns whether the slot is a connection attempt on behalf of another channel, and not a
    /// channel of the program.
    pub(crate) fn is_attempt(&self) -> bool {
        self.dial.as_ref().is_some_and(|dial| dial.is_attempt)
    }

    /// Returns whether a pause or a full sink can keep the channel from being read.
    #[inline]
    pub(crate) fn can_be_held_back(&self) -> bool {
        self.paused || self.sink.is_some()
    }

    /// Returns whether the loop passes input to the handler now.
    pub(crate) fn reads(&self) -> bool {
        !self.connection.input_ended()
            && self.wanted.without(self.suppressed).contains(Interest::READ)
    }

    /// Returns the transport, if bytes can pass through it.
    pub(crate) fn open_transport(&mut self) -> Option<&mut Transport> {
        self.transport.as_mut().filter(|_| self.connection.can_transfer())
    }

    /// Returns the layered transport, if the channel has or had layers.
    pub(crate) fn layered(&self) -> Option<&Layered> {
        self.transport.as_ref()?.layered()
    }

    pub(crate) fn layered_mut(&mut self) -> Option<&mut Layered> {
        self.transport.as_mut()?.layered_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::Slot;

    #[test]
    fn an_idle_channel_is_one_small_slot() {
        assert!(size_of::<Slot>() <= 248, "{} bytes", size_of::<Slot>());
    }
}
