//! What a channel has still to send: bytes and producers, first in, first out.

use std::borrow::Cow;
use std::io;

use crate::framing::{Fifo, Producer};
#[cfg(target_os = "linux")]
use crate::net::Pipe;

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
    /// Pipes that were sent empty, for the map to take back.
    #[cfg(target_os = "linux")]
    spent: Vec<Pipe>,
}

enum Item {
    Bytes {
        data: Vec<u8>,
        sent: usize,
    },
    Producer(Box<dyn Producer>),
    #[cfg(target_os = "linux")]
    Pipe(Pipe),
}

/// What is to be sent next.
pub(crate) enum Front<'q> {
    Bytes(&'q [u8]),
    #[cfg(target_os = "linux")]
    Pipe(&'q Pipe),
}

/// Pieces are joined up to this size, after which a new buffer begins.
const JOINED: usize = 64 * 1024;
/// A piece of at least this size that is given away is not copied.
const TAKEN_WHOLE: usize = 4 * 1024;

impl OutputQueue {
    pub(crate) fn new() -> Self {
        OutputQueue {
            items: Fifo::new(),
            len: 0,
            spare: Vec::new(),
            datagrams: false,
            #[cfg(target_os = "linux")]
            spent: Vec::new(),
        }
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

    #[cfg(target_os = "linux")]
    pub(crate) fn push_pipe(&mut self, pipe: Pipe) {
        self.len += pipe.len();
        self.items.push(Item::Pipe(pipe));
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn take_spent(&mut self) -> impl Iterator<Item = Pipe> {
        self.spent.drain(..)
    }

    /// What is to be sent next; producers are asked until one has some bytes.
    ///
    /// `None` when the queue is empty.
    ///
    /// # Errors
    /// What a producer failed with; [`WouldBlock`](io::ErrorKind::WouldBlock) says that it has
    /// nothing yet. A producer that failed otherwise, or panicked, is dropped.
    pub(crate) fn front(&mut self) -> io::Result<Option<Front<'_>>> {
        while let Some(Item::Producer(_)) = self.items.first() {
            self.ask_producer()?;
        }
        Ok(match self.items.first() {
            Some(Item::Bytes { data, sent }) => Some(Front::Bytes(&data[*sent..])),
            #[cfg(target_os = "linux")]
            Some(Item::Pipe(pipe)) => Some(Front::Pipe(pipe)),
            Some(Item::Producer(_)) | None => None,
        })
    }

    /// Puts what the first producer has before it, or takes it out when it has no more.
    fn ask_producer(&mut self) -> io::Result<()> {
        let Some(Item::Producer(mut producer)) = self.items.pop() else {
            return Ok(());
        };
        let mut data = std::mem::take(&mut self.spare);
        let outcome = producer.more(&mut data);
        let waits = matches!(&outcome, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        if waits || (outcome.is_ok() && !data.is_empty()) {
            self.items.push_front(Item::Producer(producer));
        }
        if data.is_empty() {
            self.spare = data;
        } else {
            self.len += data.len();
            self.items.push_front(Item::Bytes { data, sent: 0 });
        }
        outcome
    }

    /// Takes `n` sent bytes off the front piece.
    pub(crate) fn advance(&mut self, n: usize) {
        let is_sent = match self.items.first_mut() {
            Some(Item::Bytes { data, sent }) => {
                // The rest of a datagram that was cut off cannot be sent any more.
                let n = if self.datagrams { data.len() } else { n.min(data.len() - *sent) };
                *sent += n;
                self.len -= n;
                *sent == data.len()
            }
            #[cfg(target_os = "linux")]
            Some(Item::Pipe(pipe)) => {
                let before = pipe.len();
                pipe.advance(n);
                self.len -= before - pipe.len();
                pipe.len() == 0
            }
            Some(Item::Producer(_)) | None => false,
        };
        if !is_sent {
            return;
        }
        match self.items.pop() {
            Some(Item::Bytes { mut data, .. }) => {
                if data.capacity() > self.spare.capacity() && data.capacity() <= JOINED {
                    data.clear();
                    self.spare = data;
                }
            }
            #[cfg(target_os = "linux")]
            Some(Item::Pipe(pipe)) => self.spent.push(pipe),
            Some(Item::Producer(_)) | None => {}
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
