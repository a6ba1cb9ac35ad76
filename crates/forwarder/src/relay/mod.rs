//! Passing bytes on between a client and a target: what everything else here is about.
//!
//! A connection is two channels of the library, each a [`Half`], and a [`Connection`] that both
//! share. [`Listener`] accepts the client's, [`dial`] makes the target's, and from then on each
//! half passes on what it receives. A client that comes through a proxy is a [`preamble`] first.

mod close_reason;
mod connection;
mod dial;
mod half;
pub(crate) mod listener;
pub(crate) mod preamble;
pub(crate) mod proxy_header;
mod timeouts;

pub(crate) use self::close_reason::CloseReason;
pub(crate) use self::connection::{Connection, Side};
pub(crate) use self::dial::end;
pub(crate) use self::half::{Half, State};
pub(crate) use self::listener::Listener;

#[cfg(test)]
mod tests;
