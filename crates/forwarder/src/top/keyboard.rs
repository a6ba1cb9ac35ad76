//! The keys.

use std::io;

use asyncore::{Channel, Dispatcher, Result, Token};

use super::Top;
use super::terminal::Terminal;

/// Hands keys on to [`Top`], each one byte; what arrow keys and their like send is skipped.
pub(super) struct Keyboard {
    top: Token<Top>,
    sequence: Sequence,
}

/// How far a sequence has come: escape, a bracket, and then all until a letter or `~`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sequence {
    None,
    Escape,
    Parameters,
}

impl Sequence {
    /// Whether `byte` is a key of its own.
    fn take(&mut self, byte: u8) -> bool {
        const ESCAPE: u8 = 27;
        let next = match (*self, byte) {
            (_, ESCAPE) => Sequence::Escape,
            (Sequence::None, _) => return true,
            (Sequence::Escape, b'[' | b'O') => Sequence::Parameters,
            (Sequence::Escape, _) | (Sequence::Parameters, b'@'..=b'~') => Sequence::None,
            (Sequence::Parameters, _) => Sequence::Parameters,
        };
        *self = next;
        false
    }
}

impl Keyboard {
    /// Listens to the terminal's keys for the channel that is being made.
    pub(super) fn start(ch: &mut Channel<'_>, terminal: &Terminal) -> io::Result<Token<Self>> {
        let keyboard = Keyboard { top: ch.token(), sequence: Sequence::None };
        Ok(ch.add_file(keyboard, terminal.keys()?))
    }
}

impl Dispatcher for Keyboard {
    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        let mut keys = [0; 64];
        let n = ch.recv(&mut keys)?;
        for key in &keys[..n] {
            if self.sequence.take(*key) {
                ch.with(self.top, |top, ch| top.key(ch, *key)).unwrap_or(Ok(()))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
