//! What a map and its channels have done so far.

/// Counters of a [`SocketMap`](crate::SocketMap), from its creation on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Passes of the loop: waits for readiness.
    pub passes: u64,
    /// Ready sockets that the waits reported.
    pub events: u64,
    /// Bytes received by all channels.
    pub bytes_in: u64,
    /// Bytes sent by all channels.
    pub bytes_out: u64,
    /// Channels that were added.
    pub opened: u64,
    /// Channels that have ended.
    pub closed: u64,
    /// Connections that were accepted.
    pub accepted: u64,
    /// Errors and panics that went to `handle_error`.
    pub errors: u64,
    /// Timers that have fired.
    pub timers: u64,
}

/// Counters of one channel, from its creation on, and the state of its queue.
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
}
