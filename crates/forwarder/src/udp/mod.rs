//! Passing datagrams on between clients and targets.
//!
//! UDP has no connections, so the client's address says what belongs together: the
//! [`Listener`] receives all clients' datagrams on one socket, and keeps a [`Session`] for each,
//! with a socket of its own that is connected to the target chosen for it. What the target answers
//! is sent from the listener's address. A session ends when both sides have been silent for the
//! rule's time, when the target refuses, or when the rule would send its client elsewhere: the client's
//! next datagram begins another one.

mod dial;
mod listener;
mod session;

pub(crate) use self::listener::Listener;
pub(crate) use self::session::{Session, end};

/// Room for the longest datagram there is.
const DATAGRAM: usize = 64 * 1024;
/// How many datagrams are received in one go, before other channels have their turn.
const BURST: usize = 64;

#[cfg(test)]
mod tests;
