use std::io::{self, Read};

use super::Producer;

/// The longest piece, in bytes.
const PIECE: usize = 64 * 1024;

/// Hands over what a reader yields, up to 64 KiB at a time, until its end.
///
/// The reader is read on the loop's own thread. One that does not block but says
/// [`io::ErrorKind::WouldBlock`] is asked again later; one that blocks holds up every channel.
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
    /// An error that came after some bytes of a piece: it is reported once they are sent.
    failed: Option<io::Error>,
}

impl<R: Read> ReaderProducer<R> {
    /// A producer of all that `reader` yields.
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
        let result = self.reader.by_ref().take(PIECE as u64).read_to_end(buf);
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

    /// Answers each read with the next of its results; then it is at its end.
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
    fn nothing_yet_is_told_from_the_end() {
        let mut producer = script([Err(ErrorKind::WouldBlock.into()), Ok(b"late")]);
        let mut buf = Vec::new();
        let error = producer.more(&mut buf).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        producer.more(&mut buf).unwrap();
        assert_eq!(buf, b"late");
    }

    #[test]
    fn what_was_read_before_nothing_yet_is_passed_on() {
        let mut producer = script([Ok(b"early"), Err(ErrorKind::WouldBlock.into()), Ok(b", late")]);
        let mut buf = Vec::new();
        producer.more(&mut buf).unwrap();
        assert_eq!(buf, b"early");
        producer.more(&mut buf).unwrap();
        assert_eq!(buf, b"early, late");
    }

    #[test]
    fn an_error_after_some_bytes_follows_them() {
        let mut producer = script([Ok(b"some"), Err(ErrorKind::TimedOut.into())]);
        let mut buf = Vec::new();
        producer.more(&mut buf).unwrap();
        assert_eq!(buf, b"some");
        let error = producer.more(&mut buf).unwrap_err();
        assert_eq!((error.kind(), buf.as_slice()), (ErrorKind::TimedOut, &b"some"[..]));
    }
}
