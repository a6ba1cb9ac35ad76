//! The output of one channel, with its limits.

use crate::map::Flow;
use crate::output::OutputQueue;
use crate::token::Key;

/// The pending output of one channel: its queue, and its part of the map's cork.
///
/// INVARIANT: every change of the amount goes through [`change`](Outbox::change), which records
/// when the amount crosses the high-water mark. So every way to make room also resumes the
/// channels that are read only while this one has room.
pub(crate) struct Outbox {
    content: Content,
    high_water: u32,
    limit: u32,
    level: Level,
    /// A push exceeded the limit, the queue was dropped, and `handle_error` is due.
    overflowed: bool,
}

/// The level after the last change, tracked if other channels are read only while this one has
/// room.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    /// No channel depends on the level.
    Unwatched,
    Room,
    Full,
}

/// The pending bytes and producers.
#[derive(Default)]
pub(crate) struct Content {
    /// The queue, borrowed from the map while it holds something.
    pub(crate) queue: Option<Box<OutputQueue>>,
    /// Number of bytes of this channel in the map's cork. They precede the queue, which is then
    /// empty.
    pub(crate) corked: u16,
    /// Number of bytes that have passed the channel's layers and wait below them.
    pub(crate) below: u32,
}

impl Outbox {
    /// Default high-water mark, 64 KiB.
    const DEFAULT_HIGH_WATER: u32 = 64 * 1024;
    /// Number of queued producers at which a channel has no room, since the size of their output
    /// is unknown.
    const PRODUCERS_HIGH_WATER: usize = 64;
    /// Default limit, beyond which a push is an error: 64 MiB.
    const DEFAULT_LIMIT: u32 = 64 * 1024 * 1024;

    pub(crate) fn new() -> Self {
        Outbox {
            content: Content::default(),
            high_water: Outbox::DEFAULT_HIGH_WATER,
            limit: Outbox::DEFAULT_LIMIT,
            level: Level::Unwatched,
            overflowed: false,
        }
    }

    /// Changes the content of the outbox of channel `key`.
    #[inline(always)]
    pub(crate) fn change<R>(
        &mut self,
        key: Key,
        flow: &mut Flow,
        change: impl FnOnce(&mut Content) -> R,
    ) -> R {
        let result = change(&mut self.content);
        if self.level != Level::Unwatched {
            self.note_crossing(key, flow);
        }
        result
    }

    #[cold]
    fn note_crossing(&mut self, key: Key, flow: &mut Flow) {
        let level = self.present_level();
        if std::mem::replace(&mut self.level, level) != level {
            flow.note_crossed(key);
        }
    }

    fn present_level(&self) -> Level {
        if self.has_room() { Level::Room } else { Level::Full }
    }

    pub(crate) fn set_high_water(&mut self, key: Key, flow: &mut Flow, bytes: usize) {
        self.high_water = at_most_4_gib(bytes).max(1);
        self.change(key, flow, |_| {});
    }

    pub(crate) fn set_limit(&mut self, bytes: usize) {
        self.limit = at_most_4_gib(bytes);
    }

    /// Starts to track the level, because other channels are read only while this one has room.
    pub(crate) fn note_source(&mut self) {
        self.level = self.present_level();
    }

    pub(crate) fn set_overflowed(&mut self, overflowed: bool) {
        self.overflowed = overflowed;
    }

    pub(crate) fn overflowed(&self) -> bool {
        self.overflowed
    }

    pub(crate) fn high_water(&self) -> usize {
        self.high_water as usize
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit as usize
    }

    pub(crate) fn corked(&self) -> usize {
        usize::from(self.content.corked)
    }

    /// Returns the number of queued bytes, including those in the cork and below the layers.
    pub(crate) fn len(&self) -> usize {
        let queued = self.content.queue.as_ref().map_or(0, |queue| queue.len());
        queued + self.corked() + self.content.below as usize
    }

    pub(crate) fn producers(&self) -> usize {
        self.content.queue.as_ref().map_or(0, |queue| queue.producers())
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.content.corked == 0
            && self.content.below == 0
            && self.content.queue.as_ref().is_none_or(|queue| queue.is_empty())
    }

    /// Returns `true` if only bytes, whose number is known, are queued.
    pub(crate) fn is_bytes_only(&self) -> bool {
        self.content.queue.as_ref().is_none_or(|queue| queue.is_bytes_only())
    }

    /// Returns `true` if the channel has no corked bytes and no borrowed queue.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.content.corked == 0 && self.content.queue.is_none()
    }

    /// Returns `true` if a queue is borrowed, so that a push must follow its content.
    #[inline]
    pub(crate) fn has_queue(&self) -> bool {
        self.content.queue.is_some()
    }

    /// Returns `true` if the amount is below the high-water mark.
    pub(crate) fn has_room(&self) -> bool {
        self.len() < self.high_water() && self.producers() < Outbox::PRODUCERS_HIGH_WATER
    }
}

fn at_most_4_gib(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
