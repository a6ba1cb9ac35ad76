//! One side of a connection: what it receives goes to the other side.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use asyncore::{Channel, Dispatcher, Error, Result, Token};

use crate::policy::{Refusal, RuleCounts};
use crate::relay::close_reason::CloseReason;
use crate::relay::connection::{Connection, Side};
use crate::relay::{dial, timeouts};

/// Maximum bytes of one read; on loopback this beats 64 KiB, which leaves a tail.
const READ: usize = 32 * 1024;
/// A side is not read while this much waits for the other.
pub(crate) const HIGH_WATER: usize = 256 * 1024;
/// A read of this much is a stream's; a segment of 65,483 bytes, as loopback has them, makes two.
const LARGE: usize = READ / 2;
/// Large reads in a row after which the stream is spliced.
const LARGE_READS: u8 = 4;
/// Maximum bytes that one splice moves.
const SPLICE: usize = 256 * 1024;
/// Maximum number of splices before other channels have their turn.
const SPLICES: usize = 4;

/// The client's or the target's side of a connection.
pub(crate) struct Half {
    pub(crate) side: Side,
    pub(crate) state: State,
    copying: Copying,
    pub(crate) connection: Rc<Connection>,
}

/// What a half is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// A target is being connected to. The client is not read meanwhile, and has no other half while
    /// a target's turn is yet to come.
    Dialing(Option<Token<Half>>),
    /// Both sides are connected: what is received here goes to the other half.
    Relaying(Token<Half>),
    /// The other half has ended; this one sends what is queued, and ends the connection.
    Closing,
    /// A target's half whose connection goes on with another target.
    Replaced,
}

/// How bytes are passed on: small exchanges through a buffer, streams inside the kernel.
enum Copying {
    /// With the number of large reads in a row.
    Buffer(u8),
    Splice,
}

impl Half {
    pub(crate) fn new(side: Side, other: Option<Token<Half>>, connection: Rc<Connection>) -> Self {
        Half { side, state: State::Dialing(other), copying: Copying::Buffer(0), connection }
    }

    /// The other half, as long as there is one.
    pub(crate) fn other(&self) -> Option<Token<Half>> {
        match self.state {
            State::Dialing(other) => other,
            State::Relaying(other) => Some(other),
            State::Closing | State::Replaced => None,
        }
    }

    /// Whether this is the target's half of a connection that counts in the limit which is reached:
    /// that of the rule with `counts`, or that of the process.
    pub(crate) fn is_target_of(&self, reached: Refusal, counts: &Arc<RuleCounts>) -> bool {
        let is_relaying = matches!(self.state, State::Relaying(_));
        let of_rule = Arc::ptr_eq(self.connection.worker_rule.state.counts(), counts);
        self.side == Side::Target && is_relaying && (of_rule || reached == Refusal::GlobalLimit)
    }

    /// Where what is received goes.
    fn sink(&self) -> Result<Token<Half>> {
        match self.state {
            State::Relaying(other) => Ok(other),
            _ => Err(Error::msg("bytes came in while there was nowhere to send them")),
        }
    }

    /// How much may be received now, or how long until some may.
    fn grant(&self, ch: &Channel<'_>, most: usize) -> std::result::Result<usize, Duration> {
        let Some(throttle) = &self.connection.throttle else {
            return Ok(most);
        };
        let granted = throttle.borrow_mut().grant(ch.now(), most as u64)?;
        Ok(usize::try_from(granted).unwrap_or(most))
    }

    fn spend(&self, ch: &Channel<'_>, n: usize) {
        if let Some(throttle) = &self.connection.throttle {
            throttle.borrow_mut().spend(ch.now(), n as u64);
        }
    }

    /// Stops reading until the limit on bytes allows it again.
    fn wait(ch: &mut Channel<'_>, wait: Duration) {
        ch.pause_reading();
        let this = ch.token::<Half>();
        ch.call_later(wait, move |map| {
            map.with(this, |half, ch| {
                // One that has lost its target meanwhile reads when it has another.
                if matches!(half.state, State::Relaying(_)) {
                    ch.resume_reading();
                }
            });
            Ok(())
        });
    }

    /// This half has ended, and so does the other one: cut off if the connection is, and otherwise
    /// when it has sent what is queued.
    fn end_other(&self, ch: &mut Channel<'_>, other: Token<Half>) {
        let Some(half) = ch.get_mut(other) else {
            return self.connection.finish(ch, true);
        };
        half.state = State::Closing;
        self.connection.note_channel(other.untyped());
        let Some(mut other) = ch.channel(other) else {
            return;
        };
        if self.connection.is_cut_off() {
            other.abort();
        } else {
            timeouts::limit_rest(&mut other, &self.connection.worker_rule.rule);
            other.close_when_done();
        }
    }

    fn change(&mut self, ch: &mut Channel<'_>, copying: Copying) {
        self.copying = copying;
        ch.set_in_buffer_size(self.ac_in_buffer_size());
    }

    /// Queues what was received for the other side.
    fn pass_on(&mut self, ch: &mut Channel<'_>, other: Token<Half>, data: &[u8]) {
        let is_captured = match &mut *self.connection.tap.borrow_mut() {
            Some(tap) => {
                tap.data(self.side, data, ch.now());
                true
            }
            None => false,
        };
        if let Some(mut other) = ch.channel(other) {
            other.push(data);
        }
        let large = match self.copying {
            Copying::Buffer(large) if data.len() >= LARGE => large.saturating_add(1),
            _ => 0,
        };
        self.copying = Copying::Buffer(large);
        // What is captured has to pass through here.
        if large >= LARGE_READS && !is_captured {
            self.change(ch, Copying::Splice);
        }
    }

    /// Receives what the limit on bytes grants, into the buffer that all connections share.
    fn copy(&mut self, ch: &mut Channel<'_>, other: Token<Half>) -> Result {
        let size = match self.grant(ch, READ) {
            Ok(size) => size,
            Err(wait) => {
                Self::wait(ch, wait);
                return Ok(());
            }
        };
        let received = ch.with_buffer(size, |ch, buf| {
            let n = ch.recv(buf)?;
            self.pass_on(ch, other, &buf[..n]);
            io::Result::Ok(n)
        });
        self.spend(ch, *received.as_ref().unwrap_or(&0));
        received?;
        Ok(())
    }

    /// Moves a stream on without copying it, for as long as it is one.
    ///
    /// Mostly more has come by the time that a part of it is moved, and to find that out by moving
    /// it costs less than to ask the loop.
    fn splice(&mut self, ch: &mut Channel<'_>, other: Token<Half>) -> Result {
        for turn in 0..SPLICES {
            let size = match self.grant(ch, SPLICE) {
                Ok(size) => size,
                Err(wait) => {
                    Self::wait(ch, wait);
                    return Ok(());
                }
            };
            let moved = ch.splice_to(other, size);
            self.spend(ch, *moved.as_ref().unwrap_or(&0));
            match moved {
                Ok(LARGE..) if ch.output_len_of(other) == 0 => {}
                Ok(LARGE..) => break,
                Ok(_) => {
                    if turn == 0 {
                        // The next large read shows whether it is a stream still.
                        self.change(ch, Copying::Buffer(LARGE_READS - 1));
                    }
                    break;
                }
                Err(error) if cannot_splice(&error) => {
                    self.change(ch, Copying::Buffer(0));
                    return self.copy(ch, other);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn cannot_splice(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput)
}

impl Dispatcher for Half {
    fn handle_data(&mut self, ch: &mut Channel<'_>, data: &[u8]) -> Result {
        self.pass_on(ch, self.sink()?, data);
        Ok(())
    }

    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        let other = self.sink()?;
        match self.copying {
            Copying::Buffer(_) => self.copy(ch, other),
            Copying::Splice => self.splice(ch, other),
        }
    }

    fn handle_connect(&mut self, ch: &mut Channel<'_>) -> Result {
        dial::connected(self, ch)
    }

    fn handle_eof(&mut self, ch: &mut Channel<'_>) -> Result {
        self.connection.note_close(CloseReason::Done(self.side));
        if let Some(tap) = &mut *self.connection.tap.borrow_mut() {
            tap.end(self.side);
        }
        if let Some(mut other) = self.other().and_then(|other| ch.channel(other)) {
            other.shutdown_write();
        }
        Ok(())
    }

    fn handle_timeout(&mut self, ch: &mut Channel<'_>) -> Result {
        // Connecting has a time limit of its own.
        if !matches!(self.state, State::Dialing(_)) {
            timeouts::silent(self, ch);
        }
        Ok(())
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, error: Error) {
        if matches!(self.state, State::Dialing(_)) {
            return dial::failed(self, ch, &error);
        }
        self.connection.note_close(CloseReason::Failed(self.side, error.to_string()));
        ch.abort();
    }

    fn handle_close(&mut self, ch: &mut Channel<'_>) {
        self.connection.note_bytes(self.side, ch.stats().bytes_in);
        let rule = &self.connection.worker_rule.rule;
        let cause = ch.close_cause();
        let cause = cause.map(|cause| CloseReason::caused_by(self.side, cause, rule));
        if cause.is_some() && dial::retried(self, ch) {
            return;
        }
        if let Some(reason) = cause {
            self.connection.note_close(reason);
            if let Some(tap) = &mut *self.connection.tap.borrow_mut() {
                tap.reset(self.side);
            }
        }
        match self.state {
            State::Dialing(Some(other)) | State::Relaying(other) => self.end_other(ch, other),
            State::Dialing(None) | State::Closing => self.connection.finish(ch, true),
            State::Replaced => {}
        }
    }

    /// The loop receives what is copied, which is cheaper; it does not know of limits and splicing.
    fn ac_in_buffer_size(&self) -> usize {
        match self.copying {
            Copying::Buffer(_) if self.connection.throttle.is_none() => READ,
            Copying::Buffer(_) | Copying::Splice => 0,
        }
    }

    fn ac_out_buffer_size(&self) -> usize {
        HIGH_WATER
    }
}

#[cfg(test)]
mod tests;
