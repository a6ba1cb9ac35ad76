//! What a channel has still to send, and how full that makes it.

mod outbox;
mod queue;

pub(crate) use self::outbox::Outbox;
pub(crate) use self::queue::{Front, OutputQueue};
