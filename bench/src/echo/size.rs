//! How much a run sends, and how many connections it opens.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;

/// Idle connections of a run that is not made smaller.
pub(crate) const IDLE: usize = 10_000;
/// Descriptors kept for what are not idle connections: the busy ones, the epoll, files of /proc.
const SPARE_DESCRIPTORS: u64 = 150;
/// Messages to a connection of the accept rate, which costs about as much more.
const MESSAGES_PER_CONNECTION: u64 = 20;
/// Bounds the TIME_WAITs of one measurement well below the number of ephemeral ports.
const CONNECTIONS_LIMIT: u64 = 10_000;
/// Bounds the measurements of a slow server.
const BUDGET: Duration = Duration::from_secs(5);

/// How much of everything.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) messages: u64,
    pub(crate) idle: usize,
    pub(crate) connections: u64,
    /// After this long a measurement begins no more messages.
    pub(crate) budget: Duration,
}

/// The argument that sets the size.
#[derive(Args)]
pub(crate) struct Amount {
    /// Round trips in one measurement; a 20th of that is the number of connections for the accept
    /// rate [default: 100000, or 5000 with --quick]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1000..=10_000_000))]
    messages: Option<u64>,
}

impl Amount {
    /// The size of a run that may hold `descriptors` descriptors open.
    pub(crate) fn size(&self, quick: bool, descriptors: u64) -> Result<Size> {
        let messages = self.messages.unwrap_or(if quick { 5_000 } else { 100_000 });
        let wanted = if quick { IDLE / 10 } else { IDLE };
        let idle = wanted.min(usize::try_from(descriptors.saturating_sub(SPARE_DESCRIPTORS))?);
        ensure!(
            idle > 0,
            "the hard descriptor limit is {descriptors}, and the busy connections alone need {SPARE_DESCRIPTORS}: \
             raise it (ulimit -Hn)"
        );
        Ok(Size {
            messages,
            idle,
            connections: (messages / MESSAGES_PER_CONNECTION).min(CONNECTIONS_LIMIT),
            budget: BUDGET,
        })
    }
}
