//! Producers: output that is produced piece by piece, as the peer takes it.

mod body;
mod file;
mod iter;
mod reader;
mod simple;

use std::io;

pub use body::BodyProducer;
pub use file::FileProducer;
pub use iter::IterProducer;
pub use reader::ReaderProducer;
pub use simple::SimpleProducer;

/// A source of output that produces each piece only when the one before has been sent.
///
/// Push a producer onto a channel instead of bytes if the data would not fit into memory, or is
/// not known yet.
///
/// # Differences from asynchat
///
/// Python's `more` returns the piece; here it appends to a buffer that is reused. It can also
/// report "nothing yet" without ending, and fail.
///
/// # Examples
///
/// ```
/// use std::io;
///
/// use asyncore::Producer;
///
/// struct Countdown(u32);
///
/// impl Producer for Countdown {
///     fn more(&mut self, buf: &mut Vec<u8>) -> io::Result<()> {
///         if self.0 > 0 {
///             buf.extend_from_slice(format!("{}\r\n", self.0).as_bytes());
///             self.0 -= 1;
///         }
///         Ok(())
///     }
/// }
///
/// let (mut producer, mut buf) = (Countdown(2), Vec::new());
/// producer.more(&mut buf)?;
/// producer.more(&mut buf)?;
/// assert_eq!(buf, b"2\r\n1\r\n");
/// # Ok::<(), io::Error>(())
/// ```
pub trait Producer {
    /// Appends the next piece to `buf`, and leaves its present contents unchanged.
    ///
    /// Appending nothing means that the producer is exhausted. A piece should be small, about
    /// 64 KiB at most: all of it is in memory until it is sent.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] means that no data is available yet and that `more` must be
    /// called again later. Any other error is for the channel to handle, and ends the producer.
    ///
    /// A call that fails must append nothing: an implementation that has already appended
    /// something returns `Ok`, and returns the error from the next call.
    fn more(&mut self, buf: &mut Vec<u8>) -> io::Result<()>;
}

impl<P: Producer + ?Sized> Producer for Box<P> {
    fn more(&mut self, buf: &mut Vec<u8>) -> io::Result<()> {
        (**self).more(buf)
    }
}

#[cfg(test)]
pub(super) mod test_support {
    use super::Producer;
    use std::io;

    /// Returns every piece until the producer is exhausted.
    pub(super) fn pieces(mut producer: impl Producer) -> io::Result<Vec<Vec<u8>>> {
        let mut pieces = Vec::new();
        loop {
            let mut piece = Vec::new();
            producer.more(&mut piece)?;
            if piece.is_empty() {
                return Ok(pieces);
            }
            pieces.push(piece);
        }
    }
}
