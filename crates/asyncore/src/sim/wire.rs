//! Deliveries in flight between endpoints, and the virtual clock that they advance.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::io::Errno;

use super::trace::{Fingerprint, Traced};

/// A delivery to an endpoint at a certain time. Endpoints are identified by their ids.
pub(super) enum Delivery {
    /// A request of `from` to connect; `attempt` counts from 0.
    Syn { from: usize, to: SocketAddr, attempt: u32 },
    /// The connection of `to` is established; `peer` is its other end.
    Established { to: usize, peer: usize },
    /// The attempt to connect, or the last datagram, of `to` failed.
    Failed { to: usize, error: Errno },
    /// A segment of a stream.
    Data { to: usize, from: usize, bytes: Vec<u8> },
    /// The urgent byte of a stream.
    Urgent { to: usize, from: usize, byte: u8 },
    /// The end of a stream.
    Fin { to: usize },
    /// The abrupt end of a connection.
    Reset { to: usize },
    /// The other end has read `bytes` more, so `to` may send as many.
    Window { to: usize, bytes: usize },
    /// A datagram; `sender` is the endpoint that `source` belonged to.
    Datagram { sender: usize, source: SocketAddr, to: SocketAddr, bytes: Vec<u8> },
}

impl Traced for Delivery {
    fn digest(&self, fingerprint: &mut Fingerprint) {
        match self {
            Delivery::Syn { from, to, attempt } => {
                fingerprint.number(1);
                fingerprint.size(*from);
                fingerprint.addr(*to);
                fingerprint.number(u64::from(*attempt));
            }
            Delivery::Established { to, peer } => {
                fingerprint.number(2);
                fingerprint.size(*to);
                fingerprint.size(*peer);
            }
            Delivery::Failed { to, error } => {
                fingerprint.number(3);
                fingerprint.size(*to);
                fingerprint.number(error.raw_os_error().unsigned_abs().into());
            }
            Delivery::Data { to, from, bytes } => {
                fingerprint.number(4);
                fingerprint.size(*to);
                fingerprint.size(*from);
                fingerprint.bytes(bytes);
            }
            Delivery::Urgent { to, from, byte } => {
                fingerprint.number(5);
                fingerprint.size(*to);
                fingerprint.size(*from);
                fingerprint.number(u64::from(*byte));
            }
            Delivery::Fin { to } => {
                fingerprint.number(6);
                fingerprint.size(*to);
            }
            Delivery::Reset { to } => {
                fingerprint.number(7);
                fingerprint.size(*to);
            }
            Delivery::Window { to, bytes } => {
                fingerprint.number(8);
                fingerprint.size(*to);
                fingerprint.size(*bytes);
            }
            Delivery::Datagram { sender, source, to, bytes } => {
                fingerprint.number(9);
                fingerprint.size(*sender);
                fingerprint.addr(*source);
                fingerprint.addr(*to);
                fingerprint.bytes(bytes);
            }
        }
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Delivery::Syn { from, to, attempt } => {
                write!(f, "{from} connects to {to}, attempt {attempt}")
            }
            Delivery::Established { to, peer } => write!(f, "{to} connected to {peer}"),
            Delivery::Failed { to, error } => write!(f, "{to} failed: {error}"),
            Delivery::Data { to, from, bytes } => {
                write!(f, "{to} from {from}: {} bytes", bytes.len())
            }
            Delivery::Urgent { to, from, .. } => write!(f, "{to} from {from}: urgent byte"),
            Delivery::Fin { to } => write!(f, "{to} end of stream"),
            Delivery::Reset { to } => write!(f, "{to} reset"),
            Delivery::Window { to, bytes } => write!(f, "{to} may send {bytes} more bytes"),
            Delivery::Datagram { source, to, bytes, .. } => {
                write!(f, "{to} from {source}: datagram of {} bytes", bytes.len())
            }
        }
    }
}

/// Deliveries in order of arrival; those with the same arrival time are in the order of sending.
#[derive(Default)]
pub(super) struct Wire {
    now: Duration,
    sent: u64,
    in_flight: BTreeMap<(Duration, u64), Delivery>,
}

impl Wire {
    /// Schedules `delivery` for `at`, or for now if `at` is past.
    pub(super) fn schedule(&mut self, at: Duration, delivery: Delivery) {
        self.in_flight.insert((at.max(self.now), self.sent), delivery);
        self.sent += 1;
    }

    /// Takes the next delivery, and moves the clock to its arrival.
    pub(super) fn pop(&mut self) -> Option<Delivery> {
        let ((at, _), delivery) = self.in_flight.pop_first()?;
        self.now = at;
        Some(delivery)
    }

    /// Moves the clock forward to `to`. No delivery may be due before that.
    pub(super) fn move_clock(&mut self, to: Duration) {
        debug_assert!(self.next_at().is_none_or(|at| at >= to));
        self.now = self.now.max(to);
    }

    pub(super) fn next_at(&self) -> Option<Duration> {
        self.in_flight.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn now(&self) -> Duration {
        self.now
    }
}
