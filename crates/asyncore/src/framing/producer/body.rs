use std::io;

use super::Producer;

/// A producer that sends exactly the announced number of bytes of another producer, for protocols
/// that announce the length of a body before it.
///
/// It cuts off the bytes beyond that length, and does not call the other producer again. If the
/// other producer ends early, the message can no longer be completed and the connection must be
/// closed, so that is an error.
///
/// # Examples
///
/// ```
/// use std::io::ErrorKind;
///
/// use asyncore::{BodyProducer, Producer, SimpleProducer};
///
/// let mut buf = Vec::new();
/// BodyProducer::new(SimpleProducer::new("hello, world"), 5).more(&mut buf)?;
/// assert_eq!(buf, b"hello");
///
/// let mut short = BodyProducer::new(SimpleProducer::new("hello"), 12);
/// short.more(&mut buf)?;
/// assert_eq!(short.more(&mut buf).unwrap_err().kind(), ErrorKind::UnexpectedEof);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BodyProducer<P> {
    inner: P,
    length: u64,
    left: u64,
}

impl<P: Producer> BodyProducer<P> {
    /// Creates a producer of the first `length` bytes of `inner`. With a length of 0, it never
    /// calls `inner`.
    pub fn new(inner: P, length: u64) -> Self {
        Self { inner, length, left: length }
    }
}

impl<P: Producer> Producer for BodyProducer<P> {
    /// # Errors
    ///
    /// [`io::ErrorKind::UnexpectedEof`] if the inner producer ends early, and every error that
    /// the inner producer returns.
    fn more(&mut self, buf: &mut Vec<u8>) -> io::Result<()> {
        if self.left == 0 {
            return Ok(());
        }
        let start = buf.len();
        self.inner.more(buf)?;
        let made = buf.len().saturating_sub(start) as u64;
        if made == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!(
                    "a body announced as {} bytes ended after {}; the peer waits for the rest, \
                     so close the connection",
                    self.length,
                    self.length - self.left
                ),
            ));
        }
        let kept = made.min(self.left);
        buf.truncate(start + kept as usize);
        self.left -= kept;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;
    use crate::framing::producer::test_support::pieces;
    use crate::{IterProducer, SimpleProducer};

    /// A producer that fails the test when it is called.
    struct Untouchable;

    impl Producer for Untouchable {
        fn more(&mut self, _buf: &mut Vec<u8>) -> io::Result<()> {
            panic!("a complete body called its inner producer");
        }
    }

    #[test]
    fn bytes_beyond_the_length_are_cut_off() {
        let body = BodyProducer::new(SimpleProducer::with_buffer_size("abcdefgh", 3), 5);
        assert_eq!(pieces(body).unwrap(), [&b"abc"[..], b"de"]);
    }

    #[test]
    fn a_complete_body_does_not_call_the_inner_producer() {
        assert!(pieces(BodyProducer::new(Untouchable, 0)).unwrap().is_empty());
        let inner: [Box<dyn Producer>; 2] =
            [Box::new(SimpleProducer::new("abc")), Box::new(Untouchable)];
        let mut inner = inner.into_iter();
        let mut body = BodyProducer::new(inner.next().unwrap(), 3);
        let mut buf = Vec::new();
        body.more(&mut buf).unwrap();
        body.inner = inner.next().unwrap();
        body.more(&mut buf).unwrap();
        assert_eq!(buf, b"abc");
    }

    #[test]
    fn an_early_end_is_an_error_with_both_lengths() {
        let mut body = BodyProducer::new(SimpleProducer::new("abc"), 5);
        let mut buf = Vec::new();
        body.more(&mut buf).unwrap();
        let error = body.more(&mut buf).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        let sentence = error.to_string();
        assert!(sentence.contains("announced as 5 bytes ended after 3"), "{sentence}");
        assert_eq!(buf, b"abc");
    }

    #[test]
    fn bytes_already_in_the_buffer_are_not_counted_or_cut() {
        let mut body = BodyProducer::new(IterProducer::new(["abc"]), 2);
        let mut buf = b"head:".to_vec();
        body.more(&mut buf).unwrap();
        assert_eq!(buf, b"head:ab");
    }
}
