//! What a channel has still to send: bytes and producers, first in, first out.

use std::borrow::Cow;
use std::io;

use crate::framing::{Fifo, Producer};

/// The output queue of one channel.
///
/// Small pieces are joined, so that a dialogue's answer leaves in one system call however many
/// `push`es it took; a large piece that is given away is queued as it is, without a copy. What
/// was sent is skipped, never moved, so that a long queue costs what it holds.
pub(crate) struct OutputQueue {
    items: Fifo<Item>,
    /// How many bytes are queued; producers count from when they have produced.
    len: usize,
    /// The last buffer that was sent empty, to be filled again.
    spare: Vec<u8>,
    /// Keeps pieces apart, since each is one datagram.
    datagrams: bool,
}

enum Item {
    Bytes { data: Vec<u8>, sent: usize },
    Producer(Box<dyn Producer>),
}

/// Pieces are joined up to this size, after which a new buffer begins.
const JOINED: usize = 64 * 1024;
/// A piece of at least this size that is given away is not copied.
const TAKEN_WHOLE: usize = 4 * 1024;

impl OutputQueue {
    pub(crate) fn new() -> Self {
        OutputQueue { items: Fifo::new(), len: 0, spare: Vec::new(), datagrams: false }
    }

    pub(crate) fn set_datagrams(&mut self, datagrams: bool) {
        self.datagrams = datagrams;
    }

    pub(crate) fn push(&mut self, piece: Cow<'_, [u8]>) {
        if piece.is_empty() && !self.datagrams {
            return;
        }
        self.len += piece.len();
        let whole = matches!(&piece, Cow::Owned(data) if data.len() >= TAKEN_WHOLE);
        if !whole && !self.datagrams {
            if let Some(Item::Bytes { data, .. }) = self.items.last_mut() {
                if data.len() + piece.len() <= JOINED {
                    data.extend_from_slice(&piece);
                    return;
                }
            }
        }
        let data = match piece {
            Cow::Owned(data) if whole || self.datagrams => data,
            piece => {
                let mut data = std::mem::take(&mut self.spare);
                data.extend_from_slice(&piece);
                data
            }
        };
        self.items.push(Item::Bytes { data, sent: 0 });
    }

    pub(crate) fn push_producer(&mut self, producer: Box<dyn Producer>) {
        self.items.push(Item::Producer(producer));
    }

    /// The next bytes to send; producers are asked until one has some.
    ///
    /// `None` when the queue is empty.
    ///
    /// # Errors
    /// What a producer failed with; [`WouldBlock`](io::ErrorKind::WouldBlock) says that it has
    /// nothing yet. A producer that failed otherwise is dropped.
    pub(crate) fn front(&mut self) -> io::Result<Option<&[u8]>> {
        while let Some(Item::Producer(producer)) = self.items.first_mut() {
            let mut data = std::mem::take(&mut self.spare);
            let outcome = producer.more(&mut data);
            let failed =
                matches!(&outcome, Err(error) if error.kind() != io::ErrorKind::WouldBlock);
            if failed || (outcome.is_ok() && data.is_empty()) {
                self.items.pop();
            }
            if data.is_empty() {
                self.spare = data;
            } else {
                self.len += data.len();
                self.items.push_front(Item::Bytes { data, sent: 0 });
            }
            outcome?;
        }
        Ok(match self.items.first() {
            Some(Item::Bytes { data, sent }) => Some(&data[*sent..]),
            Some(Item::Producer(_)) | None => None,
        })
    }

    /// Takes `n` sent bytes off the front piece.
    pub(crate) fn advance(&mut self, n: usize) {
        let Some(Item::Bytes { data, sent }) = self.items.first_mut() else {
            return;
        };
        let n = n.min(data.len() - *sent);
        *sent += n;
        self.len -= n;
        if *sent == data.len() || self.datagrams {
            self.len -= data.len() - *sent;
            if let Some(Item::Bytes { mut data, .. }) = self.items.pop() {
                if data.capacity() > self.spare.capacity() && data.capacity() <= JOINED {
                    data.clear();
                    self.spare = data;
                }
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        while self.items.pop().is_some() {}
        self.len = 0;
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}
