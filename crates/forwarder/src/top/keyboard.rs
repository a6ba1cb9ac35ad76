//! The keys.

use std::io;

use asyncore::{Channel, Dispatcher, Result, Token};

use super::Top;
use super::terminal::Terminal;

/// Hands keys on to [`Top`], each one byte; what special keys send is skipped.
pub(super) struct Keyboard {
    top: Token<Top>,
}

impl Keyboard {
    /// Listens to the terminal's keys for the channel that is being made.
    pub(super) fn start(ch: &mut Channel<'_>, terminal: &Terminal) -> io::Result<Token<Self>> {
        let top = ch.token();
        Ok(ch.add_file(Keyboard { top }, terminal.keys()?))
    }
}

impl Dispatcher for Keyboard {
    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        const ESCAPE: u8 = 27;
        let mut keys = [0; 64];
        let n = ch.recv(&mut keys)?;
        for key in keys[..n].iter().take_while(|key| **key != ESCAPE) {
            ch.with(self.top, |top, ch| top.key(ch, *key)).unwrap_or(Ok(()))?;
        }
        Ok(())
    }
}
