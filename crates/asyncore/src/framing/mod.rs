//! Framing: from bytes to messages on the way in, from producers to bytes on the way out.
//!
//! Everything here is pure. No part depends on a socket, a clock or the loop, so each can be
//! tested byte by byte and used on its own with any source of bytes.
//!
//! - On the way in, a [`Framer`] splits a stream at its current [`Terminator`]; an
//!   [`Accumulator`] collects a message until it is complete.
//! - On the way out, a [`Producer`] supplies its data piece by piece, as the peer takes it; a
//!   [`Fifo`] keeps pending items in order.

mod accumulator;
mod delimiter;
mod failure;
mod fifo;
mod framer;
mod producer;
mod terminator;

pub use accumulator::{Accumulator, TooLong};
pub use fifo::Fifo;
pub use framer::{Framer, Step};
pub use producer::{
    BodyProducer, FileProducer, IterProducer, Producer, ReaderProducer, SimpleProducer,
};
pub use terminator::{Terminator, find_prefix_at_end};
