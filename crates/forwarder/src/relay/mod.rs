//! Passing bytes on between a client and a target: what everything else here is about.
//!
//! A connection is two channels of the library, each a [`Half`], and a [`Connection`] that both
//! share. [`Listener`] accepts the client's, [`dial`] makes the target's, and from then on each
//! half passes on what it receives. A client that comes through a proxy is a [`greeting`] first.

mod connection;
mod dial;
mod ending;
pub(crate) mod greeting;
mod half;
pub(crate) mod listener;
mod proxy_header;
mod silence;
mod stall;

pub(crate) use self::connection::{Connection, Side};
pub(crate) use self::dial::{end, report_failure};
pub(crate) use self::ending::Ending;
pub(crate) use self::half::Half;
pub(crate) use self::listener::Listener;

#[cfg(test)]
mod scene;
#[cfg(test)]
mod tests;
