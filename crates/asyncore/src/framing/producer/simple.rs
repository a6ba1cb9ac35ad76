use std::io;

use super::Producer;

/// A producer of bytes already in memory, in pieces of a fixed size.
///
/// # Examples
///
/// ```
/// use asyncore::{Producer, SimpleProducer};
///
/// let (mut producer, mut buf) = (SimpleProducer::with_buffer_size("hello", 3), Vec::new());
/// producer.more(&mut buf)?;
/// assert_eq!(buf, b"hel");
/// producer.more(&mut buf)?;
/// assert_eq!(buf, b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SimpleProducer {
    data: Vec<u8>,
    sent: usize,
    buffer_size: usize,
}

impl SimpleProducer {
    /// Creates a producer of `data` in pieces of 512 bytes, as in Python.
    pub fn new(data: impl Into<Vec<u8>>) -> Self {
        Self::with_buffer_size(data, 512)
    }

    /// Creates a producer of `data` in pieces of `buffer_size` bytes.
    ///
    /// A size of 0 counts as 1. In Python, a producer with size 0 ends before the data does.
    pub fn with_buffer_size(data: impl Into<Vec<u8>>, buffer_size: usize) -> Self {
        Self { data: data.into(), sent: 0, buffer_size: buffer_size.max(1) }
    }
}

impl Producer for SimpleProducer {
    fn more(&mut self, buf: &mut Vec<u8>) -> io::Result<()> {
        let rest = &self.data[self.sent..];
        let piece = &rest[..rest.len().min(self.buffer_size)];
        buf.extend_from_slice(piece);
        self.sent += piece.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::producer::test_support::pieces;

    #[test]
    fn pieces_are_512_bytes_by_default() {
        let sizes: Vec<_> =
            pieces(SimpleProducer::new(vec![b'x'; 1200])).unwrap().iter().map(Vec::len).collect();
        assert_eq!(sizes, [512, 512, 176]);
    }

    #[test]
    fn a_buffer_size_of_zero_sends_everything_and_ends() {
        let producer = SimpleProducer::with_buffer_size("abc", 0);
        assert_eq!(pieces(producer).unwrap(), [b"a", b"b", b"c"]);
    }

    #[test]
    fn no_data_is_exhausted_at_once() {
        assert!(pieces(SimpleProducer::new("")).unwrap().is_empty());
    }

    #[test]
    fn a_piece_is_appended_to_the_buffer() {
        let mut buf = b"before ".to_vec();
        SimpleProducer::new("after").more(&mut buf).unwrap();
        assert_eq!(buf, b"before after");
    }
}
