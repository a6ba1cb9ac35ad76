//! Buffers that channels borrow while they have work, so that idle channels hold none.

use std::rc::Rc;

use crate::map::Settings;
#[cfg(target_os = "linux")]
use crate::net::PipePool;
use crate::output::OutputQueue;

/// Buffers that the channels of one map share.
pub(crate) struct Buffers {
    /// Shared with the map's [`CurrentInput`](crate::map::CurrentInput) while it is parsed.
    scratch: Option<Rc<Vec<u8>>>,
    #[allow(clippy::vec_box, reason = "the boxes themselves are used again")]
    queues: Vec<Box<OutputQueue>>,
    #[cfg(target_os = "linux")]
    pub(crate) pipes: PipePool,
}

/// Maximum number of empty output queues kept for reuse.
const MAX_SPARE_QUEUES: usize = 16;

impl Buffers {
    pub(crate) fn new(settings: &Settings) -> Self {
        Buffers {
            scratch: None,
            queues: Vec::new(),
            #[cfg(target_os = "linux")]
            pipes: PipePool::new(settings.max_pipes),
        }
    }

    /// Takes a buffer of at least `size` bytes to read into;
    /// [`give_scratch`](Buffers::give_scratch) returns it.
    #[inline]
    pub(crate) fn take_scratch(&mut self, size: usize) -> Rc<Vec<u8>> {
        let mut scratch = self.scratch.take().unwrap_or_default();
        if scratch.len() < size {
            Rc::make_mut(&mut scratch).resize(size, 0);
        }
        scratch
    }

    #[inline]
    pub(crate) fn give_scratch(&mut self, scratch: Rc<Vec<u8>>) {
        self.scratch = Some(scratch);
    }

    pub(crate) fn take_queue(&mut self, datagrams: bool) -> Box<OutputQueue> {
        let mut queue = self.queues.pop().unwrap_or_else(|| Box::new(OutputQueue::new()));
        queue.set_datagrams(datagrams);
        queue
    }

    pub(crate) fn give_queue(&mut self, mut queue: Box<OutputQueue>) {
        if self.queues.len() < MAX_SPARE_QUEUES {
            queue.clear();
            self.queues.push(queue);
        }
    }
}
