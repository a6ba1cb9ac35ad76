//! The limit on output that stalls: bytes queued for a peer that takes none.
//!
//! The library has such a limit (`Channel::set_send_timeout`), but it closes the socket with a FIN
//! after what the system has buffered, so a peer could take a part for the whole. The limit kept
//! here ends the connection with a reset.

use std::rc::Rc;
use std::time::{Duration, Instant};

use asyncore::{Channel, ChannelStats, Token};

use crate::config::Rule;
use crate::relay::connection::Connection;
use crate::relay::ending::Ending;
use crate::relay::half::Half;

/// Looks at the output within the limit. A stall is found when it has lasted for the limit, or for
/// up to one such part more.
const LOOKS: u32 = 4;

/// Has the connection end when either half's queue stands still for `limit`.
pub(crate) fn watch(
    ch: &mut Channel<'_>,
    connection: &Connection,
    halves: [Token<Half>; 2],
    limit: Duration,
) {
    if connection.stall_watch.get().is_some() {
        return;
    }
    let mut outputs = halves.map(|half| (half, Output::default()));
    let timer = ch.call_every(limit / LOOKS, move |map| {
        for (half, output) in &mut outputs {
            let now = map.now();
            let stats = map.channel_stats(*half);
            if !stats.is_some_and(|stats| output.has_stalled(&stats, now, limit)) {
                continue;
            }
            map.with(*half, |half, ch| {
                half.connection.note_ending(Ending::Stalled(half.side, limit));
                ch.abort();
            });
        }
        Ok(())
    });
    connection.stall_watch.set(Some(timer));
}

/// Limits the sending of the rest to `other`, which closes when all is sent: `this` has ended.
///
/// Silence no longer counts there, and the library's own limit of 30 s would cut off a reader that
/// pauses, with a FIN. Without a limit on stalls, the one on silence is what the operator allows a
/// connection on which nothing moves.
pub(crate) fn watch_rest(
    ch: &mut Channel<'_>,
    connection: &Rc<Connection>,
    this: Token<Half>,
    other: Token<Half>,
) {
    let Some(mut channel) = ch.channel(other).filter(|channel| channel.has_output()) else {
        return;
    };
    channel.set_send_timeout(Duration::MAX);
    let Rule { timeouts, .. } = &*connection.serving.rule;
    if let Some(limit) = timeouts.send.or(timeouts.idle) {
        watch(ch, connection, [this, other], limit);
    }
}

/// A half's output as it was at the last look.
#[derive(Default)]
struct Output {
    sent: u64,
    /// Since when bytes are queued and none has left.
    stands_since: Option<Instant>,
}

impl Output {
    fn has_stalled(&mut self, stats: &ChannelStats, now: Instant, limit: Duration) -> bool {
        if stats.output_len == 0 || stats.bytes_out != self.sent {
            self.sent = stats.bytes_out;
            self.stands_since = (stats.output_len > 0).then_some(now);
            return false;
        }
        let since = *self.stands_since.get_or_insert(now);
        now.saturating_duration_since(since) >= limit
    }
}

#[cfg(test)]
mod tests;
