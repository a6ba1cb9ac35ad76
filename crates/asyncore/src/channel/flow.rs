//! Flow control: the channel's sink, and pauses.

use crate::channel::Channel;
use crate::token::Token;

impl Channel<'_> {
    /// Declares that the input of this channel goes to the output of `sink`. The loop reads this
    /// channel only while that output is below its [high-water mark](Channel::set_high_water).
    ///
    /// This is the backpressure of a relay, declared once. Reading resumes when the sink has room
    /// again, for any reason: bytes were sent or spliced, its queue was discarded, the sink closed.
    /// The sink overrides [`readable`](crate::Dispatcher::readable). By default a channel is its
    /// own sink, which suits a server that answers each request. A sink that is gone counts as
    /// having room.
    ///
    /// ```
    /// use asyncore::{Channel, Dispatcher, Result, Token};
    ///
    /// /// Passes on what it receives.
    /// struct Half {
    ///     other: Token,
    /// }
    ///
    /// impl Dispatcher for Half {
    ///     fn handle_connect(&mut self, ch: &mut Channel<'_>) -> Result {
    ///         ch.set_sink(self.other);
    ///         Ok(())
    ///     }
    ///
    ///     fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
    ///         ch.with_buffer(64 * 1024, |ch, buf| {
    ///             let n = ch.recv(buf)?;
    ///             if let Some(mut other) = ch.channel(self.other) {
    ///                 other.push(&buf[..n]);
    ///             }
    ///             Ok(())
    ///         })
    ///     }
    /// }
    /// ```
    pub fn set_sink<T: ?Sized>(&mut self, sink: Token<T>) {
        self.map.set_sink(self.key, Some(sink.key));
    }

    /// Makes the channel its own sink again.
    pub fn clear_sink(&mut self) {
        self.map.set_sink(self.key, None);
    }

    /// Stops reading until [`resume_reading`](Channel::resume_reading), for a reason of the
    /// handler's own. A listener stops accepting.
    ///
    /// The loop still notices a reset and a peer that is gone, and closes the channel: at once, or
    /// within a second with the select and kqueue pollers. A handler that waits for room in another
    /// channel's output calls [`set_sink`](Channel::set_sink) instead, which resumes reading by
    /// itself.
    pub fn pause_reading(&mut self) {
        self.set_paused(true);
    }

    /// Resumes reading after [`pause_reading`](Channel::pause_reading).
    pub fn resume_reading(&mut self) {
        self.set_paused(false);
    }

    fn set_paused(&mut self, paused: bool) {
        if let Some(slot) = self.slot_mut() {
            slot.paused = paused;
        }
        self.touch();
    }
}
