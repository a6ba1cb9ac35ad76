use std::io::{self, Read};

use super::Producer;

/// Maximum length of a piece, in bytes, since a whole piece is in memory until it is sent.
const MAX_PIECE_LEN: usize = 64 * 1024;

/// A producer of everything a reader yields until its end, up to 64 KiB at a time.
///
/// The producer reads on the loop's own thread. It retries a reader that fails with
/// [`io::ErrorKind::WouldBlock`] later; a reader that blocks stalls every channel.
///
/// # Examples
///
/// ```
/// use asyncore::{Producer, ReaderProducer};
///
/// let mut buf = Vec::new();
/// ReaderProducer::new(&b"anything that can be read"[..]).more(&mut buf)?;
/// assert_eq!(buf, b"anything that can be read");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct ReaderProducer<R> {
    reader: R,
    /// An error that followed some bytes of a piece, to be returned once they are sent.
    failed: Option<io::Error>,
}

impl<R: Read> ReaderProducer<R> {
    /// Creates a producer of everything that `reader` yields.
    pub fn new(reader: R) -> Self {
        Self { reader, failed: None }
    }
}

impl<R: Read> Producer for ReaderProducer<R> {
    fn more(&mut self, buf: &mut Vec<u8>) -> io::Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let start = buf.len();
        let result = self.reader.by_ref().take(MAX_PIECE_LEN as u64).read_to_end(buf);
        if buf.len() == start {
            return result.map(drop);
        }
        self.failed = result.err().filter(|error| error.kind() != io::ErrorKind::WouldBlock);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io::ErrorKind;

    use super::*;
    use crate::framing::producer::test_support::pieces;

    /// A reader that returns the next result for each read, then end of file.
    struct Script(VecDeque<io::Result<&'static [u8]>>);

    impl Read for Script {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let data = self.0.pop_front().unwrap_or(Ok(b""))?;
            buf[..data.len()].copy_from_slice(data);
            Ok(data.len())
        }
    }

    fn script<const N: usize>(results: [io::Result<&'static [u8]>; N]) -> ReaderProducer<Script> {
        ReaderProducer::new(Script(results.into()))
    }

    #[test]
    fn a_piece_is_at_most_64_kib() {
        let pieces = pieces(ReaderProducer::new(io::repeat(b'x').take(150_000))).unwrap();
        let sizes: Vec<_> = pieces.iter().map(Vec::len).collect();
        assert_eq!(sizes, [65_536, 65_536, 150_000 - 2 * 65_536]);
    }

    #[test]
    fn would_block_does_not_end_the_producer() {
        let mut producer = script([Err(ErrorKind::WouldBlock.into()), Ok(b"late")]);
        let mut buf = Vec::new();
        let error = producer.more(&mut buf).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        producer.more(&mut buf).unwrap();
        assert_eq!(buf, b"late");
    }

    #[test]
    fn bytes_read_before_would_block_are_passed_on() {
        let mut producer = script([Ok(b"early"), Err(ErrorKind::WouldBlock.into()), Ok(b", late")]);
        let mut buf = Vec::new();
        producer.more(&mut buf).unwrap();
        assert_eq!(buf, b"early");
        producer.more(&mut buf).unwrap();
        assert_eq!(buf, b"early, late");
    }

    #[test]
    fn an_error_after_some_bytes_is_returned_next() {
        let mut producer = script([Ok(b"some"), Err(ErrorKind::TimedOut.into())]);
        let mut buf = Vec::new();
        producer.more(&mut buf).unwrap();
        assert_eq!(buf, b"some");
        let error = producer.more(&mut buf).unwrap_err();
        assert_eq!((error.kind(), buf.as_slice()), (ErrorKind::TimedOut, &b"some"[..]));
    }
}
