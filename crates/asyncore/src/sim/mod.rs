//! A simulated network and clock, for tests without sockets, without waiting and without chance.
//!
//! A test makes a [`Network`] from a seed, lets the channels under test live on it, and plays the
//! other side with a [`Peer`]. Writes are partial, segments arrive in pieces and late, ready
//! channels come in any order: all drawn from the seed, so that a failure found once can be run
//! again, to the byte. Time is virtual: a timeout of an hour passes at once.
//!
//! # What is simulated
//!
//! Streams have order, flow control, half-close, resets, an urgent byte and a backlog; datagrams
//! have loss, reordering and a queue of 64. Readiness is level-triggered and follows Linux:
//!
//! - data and hang-up can be reported together, with the data still to be read;
//! - a stream socket that was never connected is writable and hung up;
//! - a stream is reported writable only when a third of its send buffer is free, while `send` takes
//!   whatever fits;
//! - a reader makes room by the segment or by half the window, not byte by byte, and a [`Peer`] with
//!   more to send than fits waits for as much: no silly windows (RFC 1122, sections 4.2.3.3 and
//!   4.2.3.4);
//! - a signal can interrupt a wait, which then reports nothing;
//! - closing with unread input, or being sent data after closing, resets the other side, which then
//!   loses what it has not read (Linux keeps that, other systems do not: the harder case is tested);
//! - a full backlog leaves a connection unanswered; it is tried again after 1, 2, 4, … seconds and
//!   fails with `TimedOut` after 127.
//!
//! An urgent byte stays until it is read or replaced by a newer one, and ports are free again at
//! once: there is no `TIME_WAIT`. Unix-domain sockets, and descriptors of the operating system, have
//! no place on a simulated network.
//!
//! # Time
//!
//! A wait in which something is ready takes one microsecond, and so does one whose timeout is
//! shorter than that: even a loop that never rests reaches its timers and its data. Any other wait
//! moves the clock to the next arrival or to its timeout, whichever comes first. The arrival ends
//! the wait also when it makes no channel ready, as data for a [`Peer`] does: a test that makes one
//! pass at a time can react to each. An interrupted wait ends anywhere on the way.
//!
//! A wait without a timeout while nothing is ready or in flight is an error of kind
//! [`Deadlock`](std::io::ErrorKind::Deadlock), where a real test would hang.

mod check;
mod datagram;
mod deliver;
mod endpoint;
mod faults;
mod network;
mod peer;
mod poller;
mod ports;
mod rng;
mod socket;
mod stream;
mod trace;
mod wire;
mod world;

pub use check::check;
pub use faults::Faults;
pub use network::Network;
pub use peer::{Peer, PeerListener};

pub(crate) use socket::SimSocket;

#[cfg(test)]
mod tests;
