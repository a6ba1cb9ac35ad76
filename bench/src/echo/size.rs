//! The size of a run: its messages and connections.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;

/// Number of idle connections in a full run.
pub(crate) const IDLE: usize = 10_000;
/// Number of descriptors reserved for busy connections, the epoll and files in /proc.
const SPARE_DESCRIPTORS: u64 = 150;
/// Ratio of messages to connections in the accept rate, since a connection costs about as much as
/// 20 messages.
const MESSAGES_PER_CONNECTION: u64 = 20;
/// Maximum number of connections in one measurement. Keeps its TIME_WAITs well below the number of
/// ephemeral ports.
const CONNECTIONS_LIMIT: u64 = 10_000;
/// Maximum duration of one measurement, reached by slow servers.
const BUDGET: Duration = Duration::from_secs(5);

/// The size of a run.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) messages: u64,
    pub(crate) idle: usize,
    pub(crate) connections: u64,
    /// Time after which a measurement begins no further messages.
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
    /// Returns the size of a run that may have `descriptors` descriptors open.
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
