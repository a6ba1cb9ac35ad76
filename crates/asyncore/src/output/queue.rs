//! The output queue of a channel: bytes and producers, first in, first out.

use std::borrow::Cow;
use std::io;

use crate::framing::{Fifo, Producer};
#[cfg(target_os = "linux")]
use crate::net::Pipe;

/// The output queue of one channel.
///
/// Small pieces are joined at its head, so that a dialogue's reply is sent in one system call
/// regardless of the number of `push`es. A large owned piece is queued without a copy. Sent bytes
/// are skipped and never moved, so sending takes time linear in the bytes of a long queue.
pub(crate) struct OutputQueue {
    /// Bytes that precede all items. The buffer is kept when they are sent.
    head: Vec<u8>,
    head_sent: usize,
    items: Fifo<Item>,
    /// Number of queued bytes; a producer's bytes count once they are produced.
    len: usize,
    producers: usize,
    /// Pieces are kept separate, since each is one datagram.
    datagrams: bool,
    /// Pipes whose content was sent, for the map to reuse.
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

/// The next output to send.
pub(crate) enum Front<'q> {
    Bytes(&'q [u8]),
    #[cfg(target_os = "linux")]
    Pipe(&'q Pipe),
}

/// Maximum length of a buffer of joined pieces, in bytes; a further piece begins a new buffer. It
/// bounds the memory of the head, which is kept when its bytes are sent.
const MAX_JOINED_LEN: usize = 64 * 1024;
/// Minimum length, in bytes, of an owned piece that is queued as it is: copying a shorter one
/// costs less than another system call.
const MIN_UNCOPIED_LEN: usize = 4 * 1024;

impl OutputQueue {
    pub(crate) fn new() -> Self {
        OutputQueue {
            head: Vec::new(),
            head_sent: 0,
            items: Fifo::new(),
            len: 0,
            producers: 0,
            datagrams: false,
            #[cfg(target_os = "linux")]
            spent: Vec::new(),
        }
    }

    pub(crate) fn set_datagrams(&mut self, datagrams: bool) {
        self.datagrams = datagrams;
    }

    pub(crate) fn push(&mut self, piece: Cow<'_, [u8]>) {
        if self.datagrams {
            self.len += piece.len();
            return self.items.push(Item::Bytes { data: piece.into_owned(), sent: 0 });
        }
        let size = piece.len();
        self.len += size;
        let whole = match piece {
            Cow::Owned(data) if size >= MIN_UNCOPIED_LEN => data,
            piece => match self.joinable(size) {
                Some(last) => return append(last, &piece),
                None => piece.into_owned(),
            },
        };
        self.items.push(Item::Bytes { data: whole, sent: 0 });
    }

    /// Returns the buffer at the end of the queue if it has room for `size` more bytes.
    fn joinable(&mut self, size: usize) -> Option<&mut Vec<u8>> {
        let last = match self.items.last_mut() {
            None => &mut self.head,
            Some(Item::Bytes { data, .. }) => data,
            Some(_) => return None,
        };
        (last.len() + size <= MAX_JOINED_LEN).then_some(last)
    }

    pub(crate) fn push_producer(&mut self, producer: Box<dyn Producer>) {
        self.producers += 1;
        self.items.push(Item::Producer(producer));
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn push_pipe(&mut self, pipe: Pipe) {
        self.len += pipe.len();
        self.items.push(Item::Pipe(pipe));
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn take_spent(&mut self) -> Option<Pipe> {
        self.spent.pop()
    }

    /// Returns the next output to send, or `None` if the queue is empty. Calls producers until one
    /// has some bytes.
    ///
    /// # Errors
    /// The error of a producer. [`WouldBlock`](io::ErrorKind::WouldBlock) means that it has no
    /// data yet. A producer that failed otherwise, or panicked, is dropped.
    pub(crate) fn front(&mut self) -> io::Result<Option<Front<'_>>> {
        while self.head.is_empty() && matches!(self.items.first(), Some(Item::Producer(_))) {
            self.call_producer()?;
        }
        if !self.head.is_empty() {
            return Ok(Some(Front::Bytes(&self.head[self.head_sent..])));
        }
        Ok(match self.items.first() {
            Some(Item::Bytes { data, sent }) => Some(Front::Bytes(&data[*sent..])),
            #[cfg(target_os = "linux")]
            Some(Item::Pipe(pipe)) => Some(Front::Pipe(pipe)),
            Some(Item::Producer(_)) | None => None,
        })
    }

    /// Fills the head from the first producer, and removes a producer that is exhausted.
    fn call_producer(&mut self) -> io::Result<()> {
        let Some(Item::Producer(mut producer)) = self.items.pop() else {
            return Ok(());
        };
        self.producers -= 1;
        let mut data = std::mem::take(&mut self.head);
        let mut outcome = producer.more(&mut data);
        let waits = matches!(&outcome, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        if waits && !data.is_empty() {
            outcome = Ok(());
        }
        if waits || (outcome.is_ok() && !data.is_empty()) {
            self.producers += 1;
            self.items.push_front(Item::Producer(producer));
        }
        self.len += data.len();
        self.head = data;
        outcome
    }

    /// Removes `n` sent bytes from the front piece.
    pub(crate) fn advance(&mut self, n: usize) {
        if !self.head.is_empty() {
            let n = n.min(self.head.len() - self.head_sent);
            self.head_sent += n;
            self.len -= n;
            if self.head_sent == self.head.len() {
                self.clear_head();
            }
            return;
        }
        let is_sent = match self.items.first_mut() {
            Some(Item::Bytes { data, sent }) => {
                // The rest of a truncated datagram can no longer be sent.
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
            #[cfg(target_os = "linux")]
            Some(Item::Pipe(pipe)) => self.spent.push(pipe),
            _ => {}
        }
    }

    /// Takes the queued bytes. Drops producers and spliced bytes.
    pub(crate) fn take_bytes(&mut self) -> Vec<u8> {
        let mut bytes = self.head.split_off(self.head_sent);
        while let Some(item) = self.items.pop() {
            if let Item::Bytes { data, sent } = item {
                bytes.extend_from_slice(&data[sent..]);
            }
        }
        self.clear();
        bytes
    }

    /// Returns `true` if neither producers nor spliced bytes are queued.
    pub(crate) fn is_bytes_only(&self) -> bool {
        self.items.iter().all(|item| matches!(item, Item::Bytes { .. }))
    }

    pub(crate) fn clear(&mut self) {
        while self.items.pop().is_some() {}
        self.clear_head();
        (self.len, self.producers) = (0, 0);
    }

    fn clear_head(&mut self) {
        self.head_sent = 0;
        self.head.clear();
        if self.head.capacity() > MAX_JOINED_LEN {
            self.head = Vec::new();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns the number of queued producers.
    pub(crate) fn producers(&self) -> usize {
        self.producers
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_empty() && self.items.is_empty()
    }
}

/// Appends without growing beyond [`MAX_JOINED_LEN`], as doubling would.
fn append(data: &mut Vec<u8>, piece: &[u8]) {
    let needed = data.len() + piece.len();
    if needed > data.capacity() {
        let capacity = (2 * data.capacity()).clamp(needed, MAX_JOINED_LEN.max(needed));
        data.reserve_exact(capacity - data.len());
    }
    data.extend_from_slice(piece);
}
