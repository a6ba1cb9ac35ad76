//! Pausing listeners when the map is at capacity or system resources are exhausted.

use std::io;
use std::time::Duration;

use crate::log::LogType;
use crate::map::{SocketMap, Task};
use crate::token::Key;

/// First pause of a listener when the system has no descriptors left; each further failure doubles
/// it.
const FIRST_BACKOFF: Duration = Duration::from_millis(10);
const MAX_BACKOFF: Duration = Duration::from_secs(1);
/// Minimum time between two log lines of one listener about pauses.
const MIN_LOG_INTERVAL: Duration = Duration::from_secs(60);

impl SocketMap {
    pub(crate) fn pause_listener(&mut self, key: Key) {
        let Some(listener) = self.slots.get_mut(key).and_then(|it| it.listener.as_mut()) else {
            return;
        };
        if !listener.paused {
            listener.paused = true;
            self.paused.push(key);
        }
        self.touch(key);
    }

    /// Pauses a listener for which the system has no descriptors left.
    pub(crate) fn back_off(&mut self, key: Key, error: &io::Error) {
        self.pause_listener(key);
        let Some(listener) = self.slots.get_mut(key).and_then(|it| it.listener.as_mut()) else {
            return;
        };
        let pause = listener.backoff.map_or(FIRST_BACKOFF, |it| (it * 2).min(MAX_BACKOFF));
        listener.backoff = Some(pause);
        if let Some(retry) = listener.retry.take() {
            self.timers.cancel(retry);
        }
        let at = self.deadline(pause);
        let retry = self.timers.insert(at, Task::Accept(key));
        let now = self.now;
        let Some(listener) = self.slots.get_mut(key).and_then(|it| it.listener.as_mut()) else {
            return;
        };
        listener.retry = Some(retry);
        let should_log = listener
            .last_logged
            .is_none_or(|before| now.saturating_duration_since(before) >= MIN_LOG_INTERVAL);
        if should_log {
            listener.last_logged = Some(now);
            listener.log_recovery = true;
            let channel = self.channel_mut(key);
            let line = format!("{channel:?} cannot accept connections: {error}; trying again");
            self.emit(LogType::Error, line);
        }
    }

    pub(crate) fn listener_recovered(&mut self, key: Key) {
        let Some(listener) = self.slots.get_mut(key).and_then(|it| it.listener.as_mut()) else {
            return;
        };
        listener.backoff = None;
        if std::mem::take(&mut listener.log_recovery) {
            let line = format!("{:?} accepts connections again", self.channel_mut(key));
            self.emit(LogType::Info, line);
        }
    }

    /// Resumes one paused listener.
    pub(crate) fn resume_listener(&mut self, key: Key) {
        self.paused.retain(|other| *other != key);
        if let Some(listener) = self.slots.get_mut(key).and_then(|it| it.listener.as_mut()) {
            listener.paused = false;
            if let Some(retry) = listener.retry.take() {
                self.timers.cancel(retry);
            }
            self.touch(key);
        }
    }

    /// Resumes all paused listeners, because a channel has ended.
    pub(crate) fn resume_listeners(&mut self) {
        while let Some(key) = self.paused.last().copied() {
            self.resume_listener(key);
        }
    }
}
