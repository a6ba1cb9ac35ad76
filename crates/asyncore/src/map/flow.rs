//! Flow control between channels: a channel is read only while its sink has room.

use slotmap::SecondaryMap;

use crate::connection::Phase;
use crate::map::SocketMap;
use crate::token::Key;

/// The channels that feed a *sink*, by that sink.
///
/// Kept outside the slots, so that a channel without a sink pays nothing for it.
#[derive(Default)]
pub(crate) struct Flow {
    sources: SecondaryMap<Key, Sources>,
    /// Sinks that have crossed their high-water mark since their sources were last considered.
    crossed: Vec<Key>,
}

/// The sources of one sink: most have one, which needs no list. Outdated entries of the list are
/// dropped when it is full.
#[derive(Default)]
struct Sources {
    first: Key,
    more: Vec<Key>,
    /// The sink is among those that have crossed their mark.
    has_crossed: bool,
}

/// List length below which outdated entries are not dropped, because that is not worth the effort.
const MIN_CLEANUP_LENGTH: usize = 16;

impl Flow {
    /// Notes that the output of `sink` has crossed its high-water mark, in either direction.
    pub(crate) fn note_crossed(&mut self, sink: Key) {
        let Some(sources) = self.sources.get_mut(sink) else { return };
        if !std::mem::replace(&mut sources.has_crossed, true) {
            self.crossed.push(sink);
        }
    }

    pub(crate) fn has_crossed(&self) -> bool {
        !self.crossed.is_empty()
    }
}

impl SocketMap {
    /// Makes the loop read `source` only while the output of `sink` has room; without a sink, while
    /// its own output has.
    pub(crate) fn set_sink(&mut self, source: Key, sink: Option<Key>) {
        let sink = sink.filter(|sink| *sink != source);
        let Some(slot) = self.slots.get_mut(source) else { return };
        let before = std::mem::replace(&mut slot.sink, sink);
        self.touch(source);
        let Some(sink) = sink.filter(|_| sink != before) else { return };
        // One that is gone stays the sink, and has room.
        let Some(slot) = self.slots.get_mut(sink) else { return };
        slot.outbox.note_source();
        let Some(entry) = self.flow.sources.entry(sink) else { return };
        let sources = entry.or_default();
        let slots = &self.slots;
        let feeds = |key: &Key| slots.get(*key).is_some_and(|it| it.sink == Some(sink));
        if sources.first == source || !feeds(&sources.first) {
            sources.first = source;
            return;
        }
        let more = &mut sources.more;
        if more.len() == more.capacity() && more.len() >= MIN_CLEANUP_LENGTH {
            more.retain(feeds);
            more.sort_unstable();
            more.dedup();
            // Half of the list stays free, so that the effort per entry is bounded.
            more.reserve(more.len().max(MIN_CLEANUP_LENGTH));
        }
        more.push(source);
    }

    /// Returns whether the channel must not be read now, whatever its predicates return.
    pub(crate) fn is_held_back(&self, key: Key) -> bool {
        let Some(slot) = self.slots.get(key) else { return false };
        let sink = slot.sink.and_then(|sink| self.slots.get(sink));
        let sink = sink.filter(|sink| !sink.connection.is(Phase::Closed));
        slot.paused || sink.is_some_and(|sink| !sink.outbox.has_room())
    }

    /// Reconsiders the interest of the sources whose sinks have crossed their high-water mark.
    pub(crate) fn reconsider_sources(&mut self) {
        while let Some(sink) = self.flow.crossed.pop() {
            self.reconsider_sources_of(sink);
        }
    }

    fn reconsider_sources_of(&mut self, sink: Key) {
        let Some(sources) = self.flow.sources.get_mut(sink) else { return };
        sources.has_crossed = false;
        let (first, more) = (sources.first, std::mem::take(&mut sources.more));
        // They may have been left alone because of the sink.
        self.touch(first);
        for source in &more {
            self.touch(*source);
        }
        if let Some(sources) = self.flow.sources.get_mut(sink) {
            sources.more = more;
        }
    }

    /// Releases the sources of a channel that leaves the map.
    pub(crate) fn release_sources(&mut self, sink: Key) {
        self.reconsider_sources_of(sink);
        self.flow.sources.remove(sink);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatcher::Dispatcher;
    use crate::sim::Network;
    use crate::token::Token;

    struct Idle;
    impl Dispatcher for Idle {}

    fn channels<const N: usize>(map: &mut SocketMap) -> [Token<Idle>; N] {
        std::array::from_fn(|_| map.add_with(|_| Ok(Idle)).unwrap())
    }

    #[test]
    fn a_sink_that_crosses_its_mark_often_is_considered_once() {
        let mut map = SocketMap::simulated(&Network::new(1));
        let [source, sink] = channels(&mut map);
        map.set_sink(source.key, Some(sink.key));
        let mut channel = map.channel(sink).unwrap();
        channel.set_high_water(1);
        for _ in 0..1000 {
            channel.push(b"full");
            channel.discard_buffers();
        }
        assert_eq!(map.flow.crossed.len(), 1);
        map.reconsider_sources();
        map.channel(sink).unwrap().push(b"full");
        assert_eq!(map.flow.crossed.len(), 1, "the next time it is noted again");
    }

    #[test]
    fn sinks_that_a_source_had_do_not_remember_it_for_each_time() {
        let mut map = SocketMap::simulated(&Network::new(1));
        let [source, one, other] = channels(&mut map);
        for _ in 0..1000 {
            map.set_sink(source.key, Some(one.key));
            map.set_sink(source.key, Some(other.key));
        }
        for sink in [one, other] {
            let more = &map.flow.sources[sink.key].more;
            assert!(more.len() <= 2 * MIN_CLEANUP_LENGTH, "{} entries", more.len());
        }
    }
}
