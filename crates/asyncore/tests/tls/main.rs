//! The TLS layer, against rustls run by the test itself, on every poller and on simulated networks.

#![allow(unreachable_pub, reason = "what the modules share is public among them")]

#[path = "../util/mod.rs"]
mod util;

mod ending;
mod ends;
mod handshake;
mod identities;
mod starttls;
mod traffic;
