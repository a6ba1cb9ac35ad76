//! A simulated network and clock, for deterministic tests without sockets and without waiting.
//!
//! A test creates a [`Network`] from a seed, runs the channels under test on it, and acts as the
//! other side with a [`Peer`]. Writes are partial, segments arrive in pieces and late, and waits
//! report ready channels in any order. The seed determines all of this, so a failing run can be
//! replayed to the byte. Time is virtual: a timeout of an hour passes at once.
//!
//! # Simulated behaviour
//!
//! Streams have order, flow control, half-close, resets, an urgent byte and a backlog; datagrams
//! have loss, reordering and a queue of 64. Readiness is level-triggered and follows Linux:
//!
//! - data and hang-up can be reported together, with the data still to be read;
//! - a stream socket that was never connected is writable and reports a hang-up;
//! - a stream is reported writable only when a third of its send buffer is free, while `send`
//!   accepts all that fits;
//! - a reader makes room by the segment or by half the window, not byte by byte, and a [`Peer`] with
//!   more to send than fits waits for as much: no silly windows (RFC 1122, sections 4.2.3.3 and
//!   4.2.3.4);
//! - a signal can interrupt a wait, which then reports nothing;
//! - closing with unread input, or receiving data after closing, resets the other side, which then
//!   loses its unread input (Linux keeps that, other systems do not: the simulation tests the harder
//!   case);
//! - a full backlog leaves a connection unanswered; the client retries after 1, 2, 4, … seconds and
//!   fails with `TimedOut` after 127.
//!
//! An urgent byte stays until it is read or replaced by a newer one. Ports are free again at once,
//! without `TIME_WAIT`. A simulated network does not support Unix-domain sockets or descriptors of
//! the operating system.
//!
//! # Time
//!
//! A wait with a ready channel takes one microsecond, and so does one with a shorter timeout than
//! that: even a loop that is never idle reaches its timers and its data. Any other wait moves the
//! clock to the next arrival or to its timeout, whichever comes first. An arrival ends the wait even
//! if it makes no channel ready, as data for a [`Peer`] does, so a test that runs one pass at a time
//! can react to each. An interrupted wait ends at any time before that.
//!
//! A wait without a timeout while no channel is ready and nothing is in flight is an error of kind
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
