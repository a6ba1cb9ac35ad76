//! Counters of a map and of its channels.

use std::time::Duration;

/// Counters of a [`SocketMap`](crate::SocketMap), from its creation on.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let map = asyncore::SocketMap::new()?;
/// let stats = map.stats();
/// println!("{} bytes in, {} out", stats.bytes_in, stats.bytes_out);
/// assert_eq!(stats.opened - stats.closed, map.len() as u64);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Passes of the loop, each with one wait for readiness.
    pub passes: u64,
    /// Ready sockets that the waits reported.
    pub events: u64,
    /// Bytes received by all channels.
    pub bytes_in: u64,
    /// Bytes sent by all channels.
    pub bytes_out: u64,
    /// Channels added.
    pub opened: u64,
    /// Channels ended.
    pub closed: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Errors and panics that went to `handle_error`.
    pub errors: u64,
    /// Timers fired.
    pub timers: u64,
}

/// Counters of one channel, from its creation on, and the state of its queue.
///
/// ```
/// use asyncore::SocketMap;
///
/// /// The channel that has sent the most.
/// fn busiest(map: &SocketMap) -> Option<asyncore::Token> {
///     map.tokens().max_by_key(|token| map.channel_stats(*token).map(|stats| stats.bytes_out))
/// }
/// # let _ = busiest;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelStats {
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Times the socket was reported ready.
    pub events: u64,
    /// Bytes queued to be sent.
    pub output_len: usize,
    /// Time without a byte in or out, up to the last wait.
    pub idle: Duration,
}
