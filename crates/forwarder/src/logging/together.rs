//! Lines of the log that are written at once.

use std::cell::RefCell;
use std::io::{self, Write};

thread_local! {
    /// The lines of [`together`], while it runs.
    static LINES: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Runs `log` and writes the lines that it logs by one system call.
pub(crate) fn together(log: impl FnOnce()) {
    LINES.set(Some(Vec::new()));
    // Also if `log` panics.
    let _written_at_the_end = Written;
    log();
}

struct Written;

impl Drop for Written {
    fn drop(&mut self) {
        if let Some(lines) = LINES.take() {
            // Nobody is left to be told that standard error cannot be written to.
            let _ = io::stderr().write_all(&lines);
        }
    }
}

/// Standard error, where the lines of [`together`] go when all of them are there.
pub(super) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let is_kept = LINES.try_with(|lines| match &mut *lines.borrow_mut() {
            Some(lines) => {
                lines.extend_from_slice(line);
                true
            }
            None => false,
        });
        match is_kept {
            Ok(true) => Ok(line.len()),
            // At the thread's end there is nothing left to keep lines in.
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

    use super::{LINES, Stderr, together};

    fn kept() -> Option<Vec<u8>> {
        LINES.with_borrow(Clone::clone)
    }

    #[test]
    fn lines_are_kept_until_all_are_there() {
        together(|| {
            Stderr.write_all(b"first\n").unwrap();
            Stderr.write_all(b"second\n").unwrap();
            assert_eq!(kept().unwrap(), b"first\nsecond\n");
        });
        assert_eq!(kept(), None);
    }

    #[test]
    fn a_panic_in_between_leaves_nothing_behind() {
        let outcome = std::panic::catch_unwind(|| together(|| panic!("in between")));
        assert!(outcome.is_err() && kept().is_none());
    }
}
