//! Layers between a channel's transport and its handler, with two of them made for the tests: a
//! toy cipher and a PROXY header.

#![allow(unreachable_pub, reason = "what the modules share is public among them")]

#[path = "../util/mod.rs"]
mod util;

mod bounds;
mod cipher;
mod ending;
mod ends;
mod engine;
mod handover;
mod handshake;
mod insertion;
mod proxy;
mod random;
mod traffic;
