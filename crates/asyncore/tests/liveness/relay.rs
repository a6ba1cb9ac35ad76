//! Relays: what one connection receives goes to the other.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use asyncore::{Channel, Dispatcher, Domain, Error, Result, Socket, SocketMap, Timer, Token, Type};

use crate::toy_layer::ToyLayer;

/// How a relay holds its source back while the sink is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backpressure {
    /// `set_sink` declares the relation.
    Sink,
    /// `readable` consults the other queue, as in `examples/port_forward.rs`.
    Predicate,
    /// The handler pauses its source when the other queue is over the mark, and `handle_write` of
    /// the other resumes it: the forwarder before flow control was a relation. It stalls.
    ByHand,
}

/// What a relay forgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// To read again after a discard has ended its pause.
    ResumeAfterDiscard,
    /// To end its output when the other side's input ends.
    HalfClose,
}

#[derive(Clone, Debug)]
pub struct RelayPlan {
    pub backpressure: Backpressure,
    pub flaw: Option<Flaw>,
    /// Receive by `handle_data` instead of by `handle_read`.
    pub by_data: bool,
    /// Bytes of one read.
    pub buffer: usize,
    pub high_water: usize,
    /// Which connections have a layer: the accepted one, the outgoing one.
    pub layers: [bool; 2],
    /// Pause the source for this long after every fourth read: a second reason not to read.
    pub throttle: Option<Duration>,
    /// The script discards queues.
    pub discards: bool,
}

impl RelayPlan {
    /// The mark that the library is to heed; a relay by hand heeds its own instead.
    fn own_high_water(&self) -> usize {
        if self.backpressure == Backpressure::ByHand { usize::MAX } else { self.high_water }
    }
}

/// The channels of one case by the party they serve, for as long as the observer looks.
pub type Channels = Rc<RefCell<Vec<Token>>>;

/// Accepts one kind of connections and relays each to the target.
pub struct Front {
    pub target: SocketAddr,
    pub plan: Rc<RelayPlan>,
    pub channels: Channels,
}

impl Dispatcher for Front {
    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        _: Option<SocketAddr>,
    ) -> Result {
        let tokens = match self.plan.backpressure {
            Backpressure::Predicate => self.connect(ch, sock, Asking)?,
            _ => self.connect(ch, sock, |half: Half| half)?,
        };
        *self.channels.borrow_mut() = tokens.to_vec();
        Ok(())
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, _: Error) {
        ch.close();
    }
}

impl Front {
    fn connect<T: Dispatcher + AsMut<Half>>(
        &self,
        map: &mut SocketMap,
        sock: Socket,
        wrap: impl Fn(Half) -> T,
    ) -> Result<[Token; 2]> {
        let plan = &self.plan;
        let outgoing = map.add_with(|ch| {
            ch.create_socket(Domain::for_address(self.target), Type::STREAM)?;
            ch.connect(self.target)?;
            prepare(ch, plan.own_high_water(), plan.layers[1])?;
            Ok(wrap(Half::new(plan, None)))
        })?;
        let incoming = map.add_with(|ch| {
            ch.set_socket(sock);
            prepare(ch, plan.own_high_water(), plan.layers[0])?;
            if plan.backpressure == Backpressure::Sink {
                ch.set_sink(outgoing);
            }
            Ok(wrap(Half::new(plan, Some(outgoing.untyped()))))
        })?;
        map.with(outgoing, |half, ch| {
            half.as_mut().other = Some(incoming.untyped());
            if plan.backpressure == Backpressure::Sink {
                ch.set_sink(incoming);
            }
        });
        Ok([incoming.untyped(), outgoing.untyped()])
    }
}

pub fn prepare(ch: &mut Channel<'_>, high_water: usize, layered: bool) -> std::io::Result<()> {
    ch.set_high_water(high_water);
    if layered {
        ch.insert_layer(ToyLayer::default(), &[])?;
    }
    Ok(())
}

/// One side of a relayed connection, with the default predicates.
pub struct Half {
    plan: Rc<RelayPlan>,
    other: Option<Token>,
    reads: usize,
    /// Ends the present pause.
    pause: Option<Timer>,
}

impl Half {
    fn new(plan: &Rc<RelayPlan>, other: Option<Token>) -> Half {
        Half { plan: Rc::clone(plan), other, reads: 0, pause: None }
    }

    fn pass_on<T: Dispatcher + AsMut<Half>>(&mut self, ch: &mut Channel<'_>, data: &[u8]) {
        let Some(other) = self.other else { return };
        let by_hand = self.plan.backpressure == Backpressure::ByHand;
        if by_hand && ch.output_len_of(other) >= self.plan.high_water {
            ch.pause_reading();
        }
        if let Some(mut other) = ch.channel(other) {
            other.push(data);
        }
        self.reads += 1;
        if let Some(pause) = self.plan.throttle.filter(|_| self.reads % 4 == 0) {
            self.pause::<T>(ch, pause);
        }
    }

    fn pause<T: Dispatcher + AsMut<Half>>(&mut self, ch: &mut Channel<'_>, pause: Duration) {
        if self.pause.is_some() {
            return;
        }
        ch.pause_reading();
        let this = ch.token::<T>();
        self.pause = Some(ch.call_later(pause, move |map| {
            map.with(this, |half, ch| {
                half.as_mut().pause = None;
                ch.resume_reading();
            });
            Ok(())
        }));
    }

    /// Drops what is queued for the peer, and begins a new period of the throttle.
    fn discard(&mut self, ch: &mut Channel<'_>) {
        ch.discard_buffers();
        if let Some(pause) = self.pause.take() {
            ch.cancel(pause);
            if self.plan.flaw != Some(Flaw::ResumeAfterDiscard) {
                ch.resume_reading();
            }
        }
    }

    fn end_other(&mut self, ch: &mut Channel<'_>) {
        let other = self.other.filter(|_| self.plan.flaw != Some(Flaw::HalfClose));
        if let Some(mut other) = other.and_then(|other| ch.channel(other)) {
            other.shutdown_write();
        }
    }

    fn close_other(&mut self, ch: &mut Channel<'_>) {
        if let Some(mut other) = self.other.and_then(|other| ch.channel(other)) {
            other.close_when_done();
        }
    }
}

impl AsMut<Half> for Half {
    fn as_mut(&mut self) -> &mut Half {
        self
    }
}

/// Drops what the channel has queued, whichever kind of half it is.
pub fn discard(map: &mut SocketMap, token: Token) {
    if map.with(token.cast::<Half>(), Half::discard).is_none() {
        map.with(token.cast::<Asking>(), |half, ch| half.0.discard(ch));
    }
}

/// The same with a predicate of its own instead of a declared relation.
struct Asking(Half);

impl AsMut<Half> for Asking {
    fn as_mut(&mut self) -> &mut Half {
        &mut self.0
    }
}

/// The callbacks, which both kinds have in common.
macro_rules! callbacks {
    () => {
        fn ac_in_buffer_size(&self) -> usize {
            let half = self.half();
            if half.plan.by_data { half.plan.buffer } else { 0 }
        }

        fn handle_data(&mut self, ch: &mut Channel<'_>, data: &[u8]) -> Result {
            self.as_mut().pass_on::<Self>(ch, data);
            Ok(())
        }

        fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
            let size = self.half().plan.buffer;
            ch.with_buffer(size, |ch, buf| {
                let n = ch.recv(buf)?;
                if n > 0 {
                    self.as_mut().pass_on::<Self>(ch, &buf[..n]);
                }
                Ok(())
            })
        }

        fn handle_write(&mut self, ch: &mut Channel<'_>) -> Result {
            if self.half().plan.backpressure == Backpressure::ByHand {
                if let Some(mut other) = self.half().other.and_then(|other| ch.channel(other)) {
                    other.resume_reading();
                }
            }
            Ok(())
        }

        fn handle_eof(&mut self, ch: &mut Channel<'_>) -> Result {
            self.as_mut().end_other(ch);
            Ok(())
        }

        fn handle_close(&mut self, ch: &mut Channel<'_>) {
            self.as_mut().close_other(ch);
        }

        fn handle_error(&mut self, ch: &mut Channel<'_>, _: Error) {
            ch.close();
        }
    };
}

impl Half {
    fn half(&self) -> &Half {
        self
    }
}

impl Asking {
    fn half(&self) -> &Half {
        &self.0
    }
}

impl Dispatcher for Half {
    callbacks!();
}

impl Dispatcher for Asking {
    fn readable(&self, ch: &Channel<'_>) -> bool {
        self.0.other.is_some_and(|other| ch.output_len_of(other) < self.0.plan.high_water)
    }

    callbacks!();
}
