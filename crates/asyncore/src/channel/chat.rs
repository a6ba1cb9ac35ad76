//! The dialogue's terminator.

use crate::channel::Channel;
use crate::framing::Terminator;
use crate::slot::Notices;

impl Channel<'_> {
    /// Sets the end of the message that an [`AsyncChat`](crate::AsyncChat) collects: a byte string,
    /// a number of bytes, or [`Terminator::None`] to collect for ever.
    ///
    /// It takes effect on the very next byte, also on input that was already received.
    pub fn set_terminator(&mut self, terminator: impl Into<Terminator>) {
        let Some(slot) = self.slot_mut() else { return };
        let framer = slot.framer.get_or_insert_default();
        framer.set_terminator(terminator.into());
        if framer.has_pending() {
            self.map.note(self.key, Notices::PARSE);
        }
    }

    /// Returns the current terminator. For a number of bytes, returns the number still missing.
    pub fn terminator(&self) -> Terminator {
        let framer = self.slot().and_then(|slot| slot.framer.as_ref());
        framer.map_or(Terminator::None, |framer| framer.terminator())
    }
}
