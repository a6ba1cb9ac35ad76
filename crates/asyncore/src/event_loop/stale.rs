//! Events for channels that are gone.

use std::io;

use crate::event_loop::EventLoop;
use crate::token::Key;

/// Passes to wait before rebuilding the poller again after a failure.
const RETRY_PASSES: u64 = 1000;

/// Watches for a poller that keeps reporting a channel that is gone.
///
/// Once is normal: it was closed in this very pass. When it comes again, the channel's descriptor
/// lives on as a duplicate, in this process or in another one, and would be reported for ever.
#[derive(Default)]
pub(super) struct StaleEvents {
    /// The channel last reported, and in which pass.
    last: Option<(Key, u64)>,
}

impl EventLoop {
    #[cold]
    pub(super) fn note_stale_event(&mut self, key: Key) {
        let pass = self.map.stats.passes;
        self.stale.last = match self.stale.last {
            Some((last, since)) if last == key && since < pass => self.rebuild_poller(),
            // Only the pass after its own tells whether it comes again.
            Some((last, since)) if since + 1 >= pass => Some((last, since)),
            _ => Some((key, pass)),
        };
    }

    /// Registers what the map has with a new poller; answers when to try again if that fails.
    fn rebuild_poller(&mut self) -> Option<(Key, u64)> {
        let (key, _) = self.stale.last?;
        let error: io::Error = self.map.rebuild_poller().err()?;
        tracing::error!(
            target: "asyncore",
            "a duplicate of a closed descriptor is ready without end, and the poller cannot be rebuilt: {error}"
        );
        Some((key, self.map.stats.passes + RETRY_PASSES))
    }
}
