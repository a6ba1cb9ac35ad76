//! Stale events: events of channels that are gone.

use std::io;

use crate::event_loop::EventLoop;
use crate::token::Key;

/// Passes to wait before rebuilding the poller again after a failure.
const RETRY_PASSES: u64 = 1000;

/// The record of the last event of a channel that is gone.
///
/// One such event is normal: the channel was closed in this very pass. If the event comes again, a
/// duplicate of the channel's descriptor is open, in this process or in another one, and the poller
/// would report it for ever.
#[derive(Default)]
pub(super) struct StaleEvents {
    /// The channel last reported, and the pass in which it was.
    last: Option<(Key, u64)>,
}

impl EventLoop {
    #[cold]
    pub(super) fn note_stale_event(&mut self, key: Key) {
        let pass = self.map.stats.passes;
        self.stale.last = match self.stale.last {
            Some((last, since)) if last == key && since < pass => self.rebuild_poller(),
            // Only the next pass shows whether the event comes again.
            Some((last, since)) if since + 1 >= pass => Some((last, since)),
            _ => Some((key, pass)),
        };
    }

    /// Rebuilds the poller with the channels of the map. If that fails, returns the pass after
    /// which to try again.
    fn rebuild_poller(&mut self) -> Option<(Key, u64)> {
        let (key, _) = self.stale.last?;
        let error: io::Error = self.map.rebuild_poller().err()?;
        tracing::error!(
            target: "asyncore",
            "a duplicate of a closed descriptor stays ready, and rebuilding the poller failed: {error}; trying again"
        );
        Some((key, self.map.stats.passes + RETRY_PASSES))
    }
}
