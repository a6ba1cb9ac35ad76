//! The terminal: its size, its keys, and a screen that gives back what it covered.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};

use anyhow::Context as _;
use asyncore::FileWrapper;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use super::text::Line;

/// The other screen, without a cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[2J";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// What is drawn on until this is dropped, which leaves the terminal as it was.
pub(super) struct Terminal {
    /// Opened anew, so that making it non-blocking is nobody else's business.
    tty: File,
    before: Termios,
}

impl Terminal {
    pub(super) fn open() -> anyhow::Result<Self> {
        let tty = File::open("/dev/tty").context("cannot open the terminal")?;
        let before = tcgetattr(&tty).context("cannot ask the terminal for its settings")?;
        let mut raw = before.clone();
        raw.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        tcsetattr(&tty, OptionalActions::Now, &raw).context("cannot set the terminal")?;
        let terminal = Terminal { tty, before };
        write(ENTER)?;
        Ok(terminal)
    }

    /// The keyboard, as a file for a channel.
    pub(super) fn keys(&self) -> io::Result<FileWrapper> {
        FileWrapper::new(&self.tty)
    }

    /// Columns and rows, at least one of each.
    pub(super) fn size(&self) -> (usize, usize) {
        match tcgetwinsize(&self.tty) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
                (size.ws_col.into(), size.ws_row.into())
            }
            _ => (80, 24),
        }
    }

    /// Replaces what is shown, in one write and without clearing first, so that nothing flickers.
    pub(super) fn show(&self, lines: &[Line]) -> io::Result<()> {
        let (width, _) = self.size();
        let mut frame = String::new();
        for (row, line) in lines.iter().enumerate() {
            // After a full line there is nothing to erase, and its last character would go.
            let rest = if line.width() < width { "\x1b[K" } else { "" };
            // Writing to a string cannot fail.
            let _ = write!(frame, "\x1b[{};1H{}{rest}", row + 1, line.styled());
        }
        write(&frame)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A terminal that has gone needs nothing.
        let _ = write(LEAVE);
        let _ = tcsetattr(&self.tty, OptionalActions::Now, &self.before);
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
