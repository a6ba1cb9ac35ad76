use std::io;
use std::iter::Fuse;

use super::Producer;

/// A producer of the items of an iterator, one item per piece.
///
/// It skips empty items, since an empty piece would end the producer. With an iterator that
/// yields empty items forever, `more` therefore never returns.
///
/// # Examples
///
/// ```
/// use asyncore::{IterProducer, Producer};
///
/// let (mut producer, mut buf) = (IterProducer::new(["one, ", "", "two"]), Vec::new());
/// producer.more(&mut buf)?;
/// producer.more(&mut buf)?;
/// assert_eq!(buf, b"one, two");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct IterProducer<I> {
    items: Fuse<I>,
}

impl<I> IterProducer<I>
where
    I: Iterator<Item: AsRef<[u8]>>,
{
    /// Creates a producer of everything that `items` yields.
    pub fn new(items: impl IntoIterator<IntoIter = I>) -> Self {
        Self { items: items.into_iter().fuse() }
    }
}

impl<I> Producer for IterProducer<I>
where
    I: Iterator<Item: AsRef<[u8]>>,
{
    fn more(&mut self, buf: &mut Vec<u8>) -> io::Result<()> {
        if let Some(item) = self.items.find(|item| !item.as_ref().is_empty()) {
            buf.extend_from_slice(item.as_ref());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::producer::test_support::pieces;

    #[test]
    fn empty_items_do_not_end_the_producer() {
        let producer = IterProducer::new(["", "a", "", "", "b", ""]);
        assert_eq!(pieces(producer).unwrap(), [b"a", b"b"]);
    }

    #[test]
    fn items_may_be_owned() {
        let producer = IterProducer::new((0..3).map(|number| format!("{number};")));
        assert_eq!(pieces(producer).unwrap(), [b"0;", b"1;", b"2;"]);
    }

    #[test]
    fn an_ended_iterator_is_not_called_again() {
        let mut calls = 0;
        let mut producer = IterProducer::new(std::iter::from_fn(|| {
            calls += 1;
            (calls != 2).then_some("again")
        }));
        let mut buf = Vec::new();
        for _ in 0..4 {
            producer.more(&mut buf).unwrap();
        }
        assert_eq!(buf, b"again");
    }
}
