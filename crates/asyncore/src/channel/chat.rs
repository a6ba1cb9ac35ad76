//! The dialogue's terminator.

use crate::channel::Channel;
use crate::framing::{Framer, Step, Terminator};
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

    /// Starts to parse a piece of the input.
    #[inline]
    pub(crate) fn begin_parsing(&mut self, input: &[u8]) {
        self.map.input.begin_parsing(self.key, input);
    }

    /// Returns the next piece of the input, or `None` if the channel is ending: the rest is then
    /// not parsed.
    pub(crate) fn next_step<'d>(&mut self, input: &mut &'d [u8]) -> Option<Step<'d>> {
        let map = &mut *self.map;
        let slot = map.slots.get_mut(self.key)?;
        if slot.connection.is_ending() || slot.is_replaced {
            return None;
        }
        if map.input.left() != input.len() {
            // The last callback has taken the rest.
            *input = &[];
        }
        let step = slot.framer.get_or_insert_with(|| Box::new(Framer::new())).step(input);
        map.input.set_left(input.len());
        step
    }

    /// Keeps input that no callback has seen, and parses it after the running callback has
    /// returned.
    pub(crate) fn unread_piece(&mut self, input: &[u8]) {
        let input = if self.map.input.left() == input.len() { input } else { &[] };
        let Some(slot) = self.slot_mut().filter(|slot| !slot.connection.is_ending()) else {
            return;
        };
        let Some(framer) = &mut slot.framer else {
            return;
        };
        framer.unread(input);
        if framer.has_pending() {
            self.map.note(self.key, Notices::PARSE);
        }
    }
}
