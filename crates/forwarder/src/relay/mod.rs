//! Passing bytes on between a client and a target: what everything else here is about.
//!
//! A connection is two channels of the library, each a [`Half`], and a [`Connection`] that both
//! share. [`Listener`] accepts the client's, [`dial`] makes the target's, and from then on each
//! half passes on what it receives.

mod connection;
mod dial;
mod half;
mod listener;

pub(crate) use self::connection::{Ending, Side};
pub(crate) use self::dial::end;
pub(crate) use self::half::Half;
pub(crate) use self::listener::Listener;
