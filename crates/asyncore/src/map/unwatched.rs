//! Detecting ends of connections that the poller cannot report.

use std::time::Duration;

use slotmap::SparseSecondaryMap;

use crate::map::{SocketMap, Task};
use crate::poller::Interest;
use crate::timer::TimerKey;
use crate::token::Key;
use crate::transport::Transport;

/// Interval between two checks of connections that are not read and whose end the poller cannot
/// report.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Connections that are not read, on a poller that reports no ends (select, kqueue).
#[derive(Default)]
pub(crate) struct Unwatched {
    keys: SparseSecondaryMap<Key, ()>,
    timer: Option<TimerKey>,
}

impl SocketMap {
    #[cold]
    pub(super) fn check_end_later(&mut self, key: Key) {
        self.unwatched.keys.insert(key, ());
        if self.unwatched.timer.is_none() {
            let at = self.deadline(CHECK_INTERVAL);
            self.unwatched.timer = Some(self.timers.insert(at, Task::CheckEnds));
        }
    }

    /// Closes the connections that have failed, and schedules the next check if others remain.
    pub(crate) fn check_ends(&mut self) {
        self.unwatched.timer = None;
        for (key, ()) in std::mem::take(&mut self.unwatched.keys) {
            let Some(slot) = self.slots.get(key) else { continue };
            if slot.registered != Some(Interest::NONE) {
                continue;
            }
            match slot.transport.as_ref().map(Transport::take_error) {
                Some(Ok(Some(error)) | Err(error)) => self.close_now(key, Some(error)),
                _ => self.check_end_later(key),
            }
        }
    }
}
