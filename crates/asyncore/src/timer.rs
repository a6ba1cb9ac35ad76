//! A queue of deadlines, without a clock of its own.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use slotmap::SlotMap;

slotmap::new_key_type! {
    /// The key of a timer in its queue.
    pub(crate) struct TimerKey;
}

/// A handle to a call scheduled with [`call_later`](crate::SocketMap::call_later) or
/// [`call_every`](crate::SocketMap::call_every), with which to cancel or reset it.
///
/// ```
/// use asyncore::SocketMap;
/// use std::time::Duration;
///
/// # fn main() -> std::io::Result<()> {
/// let mut map = SocketMap::new()?;
/// let timer = map.call_later(Duration::from_secs(60), |_| Ok(()));
/// assert!(map.reset(timer, Duration::from_secs(90)));
/// assert!(map.cancel(timer));
/// assert!(!map.cancel(timer));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timer(pub(crate) TimerKey);

/// A queue of deadlines in order, each with its task.
///
/// Setting, cancelling and firing cost O(log n). Moving a deadline later, as a timeout that every
/// read resets does, costs O(1): the queue corrects its heap entry when that reaches the top.
pub(crate) struct TimerQueue<T> {
    entries: SlotMap<TimerKey, Entry<T>>,
    heap: BinaryHeap<Reverse<(Instant, u64, TimerKey)>>,
    /// Breaks ties, so that timers with the same deadline fire in the order they were set.
    sequence: u64,
}

struct Entry<T> {
    deadline: Instant,
    /// The sequence number of this timer's heap entry; others with the same key are stale.
    sequence: u64,
    /// The interval of a repeating timer.
    every: Option<Duration>,
    /// The task, taken out while it runs.
    what: Option<T>,
}

impl<T> TimerQueue<T> {
    pub(crate) fn new() -> Self {
        TimerQueue { entries: SlotMap::with_key(), heap: BinaryHeap::new(), sequence: 0 }
    }

    pub(crate) fn insert(&mut self, deadline: Instant, what: T) -> TimerKey {
        self.insert_entry(deadline, None, what)
    }

    /// Inserts a repeating timer, which is due again `every` after it fired.
    pub(crate) fn insert_repeating(
        &mut self,
        deadline: Instant,
        every: Duration,
        what: T,
    ) -> TimerKey {
        self.insert_entry(deadline, Some(every), what)
    }

    fn insert_entry(&mut self, deadline: Instant, every: Option<Duration>, what: T) -> TimerKey {
        self.sequence += 1;
        let sequence = self.sequence;
        let key = self.entries.insert(Entry { deadline, sequence, every, what: Some(what) });
        self.heap.push(Reverse((deadline, sequence, key)));
        key
    }

    /// Removes a timer. Returns `false` if it has already fired or been cancelled.
    pub(crate) fn cancel(&mut self, key: TimerKey) -> bool {
        let found = self.entries.remove(key).is_some();
        // Stale heap entries are skipped at the top, but must not accumulate.
        if self.heap.len() > 2 * self.entries.len() + 64 {
            let entries = &self.entries;
            self.heap.retain(|Reverse((_, sequence, key))| {
                entries.get(*key).is_some_and(|entry| entry.sequence == *sequence)
            });
        }
        found
    }

    /// Moves a timer's deadline. Returns `false` if it has already fired or been cancelled.
    pub(crate) fn reset(&mut self, key: TimerKey, deadline: Instant) -> bool {
        let Some(entry) = self.entries.get_mut(key) else {
            return false;
        };
        if deadline < entry.deadline {
            self.sequence += 1;
            entry.sequence = self.sequence;
            self.heap.push(Reverse((deadline, entry.sequence, key)));
        }
        entry.deadline = deadline;
        true
    }

    /// Moves a timer's deadline to `deadline` unless it is already earlier.
    pub(crate) fn hasten(&mut self, key: TimerKey, deadline: Instant) {
        if self.entries.get(key).is_some_and(|entry| deadline < entry.deadline) {
            self.reset(key, deadline);
        }
    }

    /// Takes the task that is due first, if its deadline is not after `now`.
    ///
    /// A repeating timer is set again relative to `now`, however late it was. The caller returns
    /// its task with [`put_back`](TimerQueue::put_back).
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(TimerKey, T)> {
        if self.next_deadline()? > now {
            return None;
        }
        let Reverse((_, sequence, key)) = self.heap.pop()?;
        let entry = self.entries.get_mut(key)?;
        let what = entry.what.take();
        match entry.every {
            Some(every) => {
                entry.deadline = now + every;
                self.heap.push(Reverse((entry.deadline, sequence, key)));
            }
            None => {
                self.entries.remove(key);
            }
        }
        what.map(|what| (key, what))
    }

    /// Puts back the task of a repeating timer after it ran. Drops the task if the timer was
    /// cancelled in the meantime.
    pub(crate) fn put_back(&mut self, key: TimerKey, what: T) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.what = Some(what);
        }
    }

    /// Returns the earliest deadline, after dropping the stale heap entries before it.
    pub(crate) fn next_deadline(&mut self) -> Option<Instant> {
        loop {
            let &Reverse((deadline, sequence, key)) = self.heap.peek()?;
            match self.entries.get(key) {
                Some(entry) if entry.sequence == sequence && entry.deadline == deadline => {
                    return Some(deadline);
                }
                Some(entry) if entry.sequence == sequence => {
                    let later = entry.deadline;
                    self.heap.pop();
                    self.heap.push(Reverse((later, sequence, key)));
                }
                _ => {
                    self.heap.pop();
                }
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64),
        Cancel(usize),
        Reset(usize, u64),
        Advance(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..1000u64).prop_map(Step::Insert),
            (0..20usize).prop_map(Step::Cancel),
            (0..20usize, 0..1000u64).prop_map(|(index, at)| Step::Reset(index, at)),
            (0..200u64).prop_map(Step::Advance),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn timers_fire_like_those_of_a_sorted_map(steps in steps()) {
            let start = Instant::now();
            let at = |millis: u64| start + Duration::from_millis(millis);
            let mut queue = TimerQueue::new();
            let mut model: BTreeMap<usize, u64> = BTreeMap::new();
            let mut keys = Vec::new();
            let mut now = 0;
            for step in steps {
                match step {
                    Step::Insert(delay) => {
                        model.insert(keys.len(), now + delay);
                        keys.push(queue.insert(at(now + delay), keys.len()));
                    }
                    Step::Cancel(index) if index < keys.len() => {
                        prop_assert_eq!(queue.cancel(keys[index]), model.remove(&index).is_some());
                    }
                    Step::Reset(index, delay) if index < keys.len() => {
                        let known = model.contains_key(&index);
                        prop_assert_eq!(queue.reset(keys[index], at(now + delay)), known);
                        if known {
                            model.insert(index, now + delay);
                        }
                    }
                    Step::Cancel(_) | Step::Reset(..) => {}
                    Step::Advance(by) => {
                        now += by;
                        let mut fired = Vec::new();
                        while let Some((_, index)) = queue.pop_due(at(now)) {
                            fired.push((model[&index], index));
                            model.remove(&index);
                        }
                        prop_assert!(fired.is_sorted_by_key(|(deadline, _)| *deadline));
                        prop_assert!(model.values().all(|deadline| *deadline > now));
                    }
                }
                prop_assert_eq!(queue.len(), model.len());
                prop_assert_eq!(queue.next_deadline(), model.values().min().map(|first| at(*first)));
            }
        }
    }

    #[test]
    fn timers_with_the_same_deadline_fire_in_insertion_order() {
        let now = Instant::now();
        let mut queue = TimerQueue::new();
        for index in 0..5 {
            queue.insert(now, index);
        }
        let fired: Vec<_> =
            std::iter::from_fn(|| queue.pop_due(now)).map(|(_, index)| index).collect();
        assert_eq!(fired, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_repeating_timer_can_be_cancelled_while_it_runs() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut queue = TimerQueue::new();
        let key = queue.insert_repeating(start + second, second, "tick");
        for tick in 1..4u32 {
            assert_eq!(queue.pop_due(start + second * tick), Some((key, "tick")));
            assert_eq!(queue.pop_due(start + second * tick), None);
            queue.put_back(key, "tick");
        }
        let taken = queue.pop_due(start + second * 4).expect("due").1;
        assert!(queue.cancel(key));
        queue.put_back(key, taken);
        assert_eq!(queue.pop_due(start + second * 9), None);
        assert!(queue.is_empty());
    }

    #[test]
    fn cancelled_timers_do_not_accumulate() {
        let now = Instant::now();
        let mut queue = TimerQueue::new();
        for _ in 0..10_000 {
            let key = queue.insert(now + Duration::from_secs(3600), ());
            queue.cancel(key);
        }
        assert!(queue.heap.len() <= 64);
    }
}
