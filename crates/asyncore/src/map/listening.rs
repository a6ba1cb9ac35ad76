//! Listeners that pause, because the map is full or the system is short of something.

use std::io;
use std::time::Duration;

use crate::log::LogType;
use crate::map::{SocketMap, Task};
use crate::token::Key;

/// How long a listener waits at first when the system has no descriptors left; each time in vain
/// doubles it.
const FIRST_BACKOFF: Duration = Duration::from_millis(10);
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);
/// A listener that runs out again and again complains no more often.
const COMPLAINTS_APART: Duration = Duration::from_secs(60);

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
        let pause = listener.backoff.map_or(FIRST_BACKOFF, |it| (it * 2).min(LONGEST_BACKOFF));
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
        let is_news = listener
            .complained
            .is_none_or(|before| now.saturating_duration_since(before) >= COMPLAINTS_APART);
        if is_news {
            listener.complained = Some(now);
            listener.end_is_news = true;
            let channel = self.channel_mut(key);
            let line = format!("{channel:?} cannot accept for now: {error}; trying again");
            self.emit(LogType::Error, line);
        }
    }

    pub(crate) fn listener_recovered(&mut self, key: Key) {
        let Some(listener) = self.slots.get_mut(key).and_then(|it| it.listener.as_mut()) else {
            return;
        };
        listener.backoff = None;
        if std::mem::take(&mut listener.end_is_news) {
            let line = format!("{:?} accepts again", self.channel_mut(key));
            self.emit(LogType::Info, line);
        }
    }

    /// Lets one paused listener try again.
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

    /// Lets all paused listeners try again, now that there is room.
    pub(crate) fn resume_listeners(&mut self) {
        while let Some(key) = self.paused.last().copied() {
            self.resume_listener(key);
        }
    }
}
