//! Lines that wait, so that those of many connections are written at once.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};

/// From here on held lines are written whatever happens, 64 KiB.
const HELD: usize = 64 * 1024;

thread_local! {
    static LINES: Lines = const { Lines { held: RefCell::new(Vec::new()), holds: Cell::new(false) } };
}

/// A thread's lines that are not written yet.
struct Lines {
    held: RefCell<Vec<u8>>,
    holds: Cell<bool>,
}

impl Lines {
    fn write(&self) {
        let held = &mut *self.held.borrow_mut();
        // Nobody is left to be told that standard error cannot be written to.
        let _ = io::stderr().write_all(held);
        held.clear();
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.write();
    }
}

/// Runs `log`, whose lines wait until [`release`] or the thread's next line that is not held; true
/// if none waited before, so that somebody has to see to that.
pub(crate) fn hold(log: impl FnOnce()) -> bool {
    LINES.with(|lines| {
        let is_first = lines.held.borrow().is_empty();
        lines.holds.set(true);
        log();
        lines.holds.set(false);
        is_first && !lines.held.borrow().is_empty()
    })
}

/// Writes the lines of this thread that wait.
pub(crate) fn release() {
    LINES.with(Lines::write);
}

/// Standard error, where held lines go a few later.
pub(super) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let is_held = LINES.try_with(|lines| {
            if !lines.holds.get() || lines.held.borrow().len() > HELD {
                lines.write();
            }
            if lines.holds.get() {
                lines.held.borrow_mut().extend_from_slice(line);
            }
            lines.holds.get()
        });
        match is_held {
            Ok(true) => Ok(line.len()),
            // At the thread's end there is nothing left to hold lines in.
            Ok(false) | Err(_) => io::stderr().write(line),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::{HELD, LINES, Stderr, hold, release};

    fn waiting() -> usize {
        LINES.with(|lines| lines.held.borrow().len())
    }

    #[test]
    fn the_first_line_that_waits_asks_for_a_release() {
        assert!(!hold(|| {}));
        assert!(hold(|| Stderr.write_all(b"first\n").unwrap()));
        assert!(!hold(|| Stderr.write_all(b"second\n").unwrap()));
        assert_eq!(waiting(), 13);
        release();
        assert_eq!(waiting(), 0);
    }

    #[test]
    fn a_line_that_is_not_held_comes_after_those_that_are() {
        assert!(hold(|| Stderr.write_all(b"held\n").unwrap()));
        Stderr.write_all(b"not held\n").unwrap();
        assert_eq!(waiting(), 0);
    }

    #[test]
    fn held_lines_are_bounded() {
        let line = [b'\n'; 1000];
        for _ in 0..1000 {
            hold(|| Stderr.write_all(&line).unwrap());
            assert!(waiting() <= HELD + line.len());
        }
        release();
    }
}
