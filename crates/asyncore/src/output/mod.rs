//! The pending output of a channel and its limits.

mod outbox;
mod queue;

pub(crate) use self::outbox::Outbox;
pub(crate) use self::queue::{Front, OutputQueue};
