use std::collections::VecDeque;
use std::collections::vec_deque::Iter;

/// A first-in, first-out queue with asynchat's method names.
///
/// The queue has no bound of its own: the caller limits how much it pushes.
///
/// # Differences from asynchat
///
/// `first` and `pop` return `None` on an empty queue. Python's `first` raises `IndexError`, and
/// its `pop` returns a pair of a flag and the item.
///
/// # Examples
///
/// ```
/// use asyncore::Fifo;
///
/// let mut fifo = Fifo::new();
/// fifo.push("one");
/// fifo.push("two");
/// assert_eq!(fifo.first(), Some(&"one"));
/// assert_eq!(fifo.pop(), Some("one"));
/// assert_eq!(fifo.len(), 1);
/// ```
#[derive(Clone, Debug)]
pub struct Fifo<T> {
    items: VecDeque<T>,
}

impl<T> Fifo<T> {
    /// Creates an empty queue without allocating.
    pub const fn new() -> Self {
        Self { items: VecDeque::new() }
    }

    /// Appends `item` at the end.
    pub fn push(&mut self, item: T) {
        self.items.push_back(item);
    }

    /// Puts `item` at the front, so that it is popped next.
    pub fn push_front(&mut self, item: T) {
        self.items.push_front(item);
    }

    /// Removes and returns the first item.
    pub fn pop(&mut self) -> Option<T> {
        self.items.pop_front()
    }

    /// Returns a mutable reference to the first item.
    pub fn first_mut(&mut self) -> Option<&mut T> {
        self.items.front_mut()
    }

    /// Returns a mutable reference to the last item.
    pub fn last_mut(&mut self) -> Option<&mut T> {
        self.items.back_mut()
    }

    /// Drops every item.
    pub fn clear(&mut self) {
        self.items.clear();
    }

    /// Returns the first item.
    pub fn first(&self) -> Option<&T> {
        self.items.front()
    }

    /// Returns an iterator over the items, first to last.
    pub fn iter(&self) -> Iter<'_, T> {
        self.items.iter()
    }

    /// Returns the number of items.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Returns `true` if the queue is empty.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl<T> Default for Fifo<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a, T> IntoIterator for &'a Fifo<T> {
    type Item = &'a T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_popped_in_push_order() {
        let mut fifo = Fifo::new();
        for item in 0..100 {
            fifo.push(item);
        }
        assert!(fifo.iter().copied().eq(0..100));
        assert!((0..100).all(|item| fifo.pop() == Some(item)));
        assert_eq!(fifo.pop(), None);
    }

    #[test]
    fn an_item_pushed_to_the_front_is_popped_next() {
        let mut fifo = Fifo::new();
        fifo.push(2);
        fifo.push_front(1);
        assert_eq!(fifo.first(), Some(&1));
        assert_eq!((&fifo).into_iter().collect::<Vec<_>>(), [&1, &2]);
    }

    #[test]
    fn the_first_item_can_be_changed_in_place() {
        let mut fifo = Fifo::new();
        fifo.push(String::from("rest"));
        fifo.first_mut().unwrap().push_str(" of it");
        assert_eq!(fifo.pop().as_deref(), Some("rest of it"));
    }

    #[test]
    fn a_cleared_queue_is_empty() {
        let mut fifo = Fifo::default();
        fifo.push(());
        fifo.clear();
        assert!(fifo.is_empty());
        assert_eq!((fifo.len(), fifo.first()), (0, None));
        assert_eq!(fifo.first_mut(), None);
    }
}
