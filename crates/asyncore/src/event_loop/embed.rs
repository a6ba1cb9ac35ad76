//! Embedding in another event loop.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Instant;

use crate::event_loop::EventLoop;

impl EventLoop {
    /// Prepares for a wait of an outer loop, and returns the deadline of the next timer; `None` if
    /// no timer is set.
    ///
    /// The outer loop waits until the [descriptor](EventLoop::as_fd) is readable or the deadline
    /// has passed, and then calls [`poll`](EventLoop::poll) with a timeout of zero. Call this
    /// before each wait of the outer loop: it delivers pending events and registers changes of
    /// interest, so that changes made to the map since the last pass take effect.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut event_loop = asyncore::SocketMap::new()?;
    /// event_loop.call_later(Duration::from_millis(1), |_| Ok(()));
    /// while let Some(deadline) = event_loop.next_deadline() {
    ///     // The outer loop's own wait, for `event_loop.as_fd()` too.
    ///     std::thread::sleep(deadline.saturating_duration_since(event_loop.now()));
    ///     event_loop.poll(Some(Duration::ZERO))?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The deadline is the current time while channels are ready without the poller (regular files,
    /// input that a layer holds).
    pub fn next_deadline(&mut self) -> Option<Instant> {
        self.settle();
        if self.map.exit || !self.map.self_ready.is_empty() {
            return Some(self.map.poller.now());
        }
        self.map.timers.next_deadline()
    }
}

/// Returns the poller's own descriptor, which is readable while a channel is ready or a trigger was
/// pulled.
///
/// An outer event loop waits for it; call [`next_deadline`](EventLoop::next_deadline) before each
/// wait. With the epoll and kqueue pollers it is exact. The poll and select pollers and a simulated
/// network have no descriptor: a stand-in is always readable, so that the outer loop makes one pass
/// after another.
///
/// An outer loop that watches for edges, as tokio does, waits again only after a pass that reported
/// no [event](crate::Pass::events), and needs one of the exact pollers. The descriptor stays the
/// same for as long as the loop lives.
///
/// # Panics
/// With the poll and select pollers and on a simulated network, if the process has no descriptor
/// left for the stand-in.
impl AsFd for EventLoop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.poller.descriptor()
    }
}

impl AsRawFd for EventLoop {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
