//! One side of a connection: what it receives goes to the other side.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use asyncore::{Channel, Dispatcher, Error, Result, Token};

use crate::relay::connection::{Connection, Ending, Side};
use crate::relay::dial;

/// How much one read takes at the most; on loopback this beats 64 KiB, which leaves a tail.
const READ: usize = 32 * 1024;
/// A side is not read from while more than this waits for the other.
pub(crate) const HIGH_WATER: usize = 256 * 1024;
/// How many reads in a row have to fill the buffer before the stream is spliced.
const FULL_READS: u8 = 4;
/// How much one splice moves at the most.
const SPLICE: usize = 256 * 1024;

/// The client's or the target's side of a connection.
pub(crate) struct Half {
    pub(crate) other: Option<Token<Half>>,
    pub(crate) side: Side,
    /// Both sides are connected, so that bytes can be passed on.
    pub(crate) open: bool,
    /// The limit on bytes has to allow the next ones first.
    waiting: bool,
    copying: Copying,
    pub(crate) connection: Rc<Connection>,
}

/// How bytes are passed on: small exchanges through a buffer, streams inside the kernel.
enum Copying {
    /// With the number of reads in a row that filled the buffer.
    Buffer(u8),
    Splice,
}

impl Half {
    pub(crate) fn new(side: Side, other: Option<Token<Half>>, connection: Rc<Connection>) -> Self {
        Half { other, side, open: false, waiting: false, copying: Copying::Buffer(0), connection }
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

    /// Leaves off reading until the limit on bytes allows it again.
    fn wait(&mut self, ch: &mut Channel<'_>, wait: Duration) {
        self.waiting = true;
        let this = ch.token::<Half>();
        ch.call_later(wait, move |map| {
            if let Some(half) = map.get_mut(this) {
                half.waiting = false;
            }
            Ok(())
        });
    }

    /// Receives into the buffer that all connections share, and queues that for the other side.
    fn copy(&mut self, ch: &mut Channel<'_>, other: Token<Half>) -> Result {
        let size = match self.grant(ch, READ) {
            Ok(size) => size,
            Err(wait) => {
                self.wait(ch, wait);
                return Ok(());
            }
        };
        let received = ch.with_buffer(size, |ch, buf| {
            let n = ch.recv(buf)?;
            if let Some(tap) = &mut *self.connection.tap.borrow_mut() {
                tap.data(self.side, &buf[..n], ch.now());
            }
            if let Some(mut other) = ch.channel(other) {
                other.push(&buf[..n]);
            }
            io::Result::Ok(n)
        });
        self.spend(ch, *received.as_ref().unwrap_or(&0));
        let full = match self.copying {
            Copying::Buffer(full) if received? == READ => full + 1,
            _ => 0,
        };
        // What is captured has to pass through here.
        let copies = full < FULL_READS || self.connection.tap.borrow().is_some();
        self.copying = if copies { Copying::Buffer(full.min(FULL_READS)) } else { Copying::Splice };
        Ok(())
    }

    /// Moves a stream on without copying it, for as long as it is one.
    fn splice(&mut self, ch: &mut Channel<'_>, other: Token<Half>) -> Result {
        let size = match self.grant(ch, SPLICE) {
            Ok(size) => size,
            Err(wait) => {
                self.wait(ch, wait);
                return Ok(());
            }
        };
        let moved = ch.splice_to(other, size);
        self.spend(ch, *moved.as_ref().unwrap_or(&0));
        match moved {
            Ok(n) if n < READ => self.copying = Copying::Buffer(0),
            Ok(_) => {}
            Err(error) if cannot_splice(&error) => {
                self.copying = Copying::Buffer(0);
                return self.copy(ch, other);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

fn cannot_splice(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput)
}

impl Dispatcher for Half {
    fn readable(&self, ch: &Channel<'_>) -> bool {
        self.open
            && !self.waiting
            && self.other.is_some_and(|other| ch.output_len_of(other) < HIGH_WATER)
    }

    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        let Some(other) = self.other else {
            return Ok(());
        };
        match self.copying {
            Copying::Buffer(_) => self.copy(ch, other),
            Copying::Splice => self.splice(ch, other),
        }
    }

    fn handle_connect(&mut self, ch: &mut Channel<'_>) -> Result {
        dial::connected(self, ch);
        Ok(())
    }

    fn handle_eof(&mut self, ch: &mut Channel<'_>) -> Result {
        self.connection.note_ending(Ending::Done(self.side));
        if let Some(tap) = &mut *self.connection.tap.borrow_mut() {
            tap.end(self.side);
        }
        if let Some(mut other) = self.other.and_then(|other| ch.channel(other)) {
            other.shutdown_write();
        }
        Ok(())
    }

    fn handle_timeout(&mut self, ch: &mut Channel<'_>) -> Result {
        self.connection.note_ending(Ending::Idle);
        ch.abort();
        Ok(())
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, error: Error) {
        if self.open {
            self.connection.note_ending(Ending::Failed(self.side, error.to_string()));
            ch.abort();
        } else {
            dial::failed(self, ch, &error);
        }
    }

    fn handle_close(&mut self, ch: &mut Channel<'_>) {
        self.connection.note_bytes(self.side, ch.stats().bytes_in);
        let reset = ch.close_cause().is_some();
        if reset {
            self.connection.note_ending(Ending::Reset(self.side));
            if let Some(tap) = &mut *self.connection.tap.borrow_mut() {
                tap.reset(self.side);
            }
        }
        let linked = self.side == Side::Client || self.other.is_some();
        match self.other.and_then(|other| ch.channel(other)) {
            // A reset is passed on as one; an end in good order waits for what is queued.
            Some(mut other) if reset || self.connection.is_cut_off() => other.abort(),
            Some(mut other) => other.close_when_done(),
            None if linked => {
                if let Some(timer) = self.connection.lifetime.take() {
                    ch.cancel(timer);
                }
                self.connection.finish(ch.now());
            }
            None => {}
        }
    }

    fn ac_out_buffer_size(&self) -> usize {
        HIGH_WATER
    }
}
