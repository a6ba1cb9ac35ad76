//! A configuration file.

use std::fs;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Error, MAX_SHOWN};
use super::options::{Options, message};

/// Maximum size of a file: enough for ten thousand rules.
pub const MAX_SIZE: u64 = 4 * 1024 * 1024;

/// A file that could be read: what it contains, and where.
pub struct File {
    path: PathBuf,
    text: String,
    /// Its content, not yet checked as a whole.
    pub options: Options,
}

impl File {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When the file cannot be read, is not TOML, has an unknown key or an invalid value. Each line
    /// begins with the file, and the line and the column in it, both from 1 on.
    pub fn read(path: &Path) -> Result<File, Error> {
        let whole = |message| Error::new([format!("{}:{message}", path.display())]);
        let bytes = read(path, MAX_SIZE).map_err(|e| whole(format!(" cannot be read: {e}")))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
            let (line, column) = position(&text, valid);
            whole(format!("{line}:{column}: this is not UTF-8: save the file in that encoding"))
        })?;
        File::parse(path, text)
    }

    /// Reads `text`, as the content of the file at `path`.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn parse(path: &Path, text: String) -> Result<File, Error> {
        let mut options = Options::default();
        let found = match DeTable::parse(&text) {
            Ok(document) => options.apply(document),
            Err(error) => vec![message(&error)],
        };
        let file = File { path: path.to_owned(), text, options };
        if found.is_empty() { Ok(file) } else { Err(file.located(found)) }
    }

    /// The diagnostics, with the places in this file that they are about.
    pub fn error<'d>(&self, diagnostics: impl IntoIterator<Item = &'d Diagnostic>) -> Error {
        let (document, _) = DeTable::parse_recoverable(&self.text);
        self.located(diagnostics.into_iter().map(|diagnostic| {
            (find(document.get_ref(), diagnostic).unwrap_or(0..0), diagnostic.message.clone())
        }))
    }

    fn located(&self, found: impl IntoIterator<Item = (Range<usize>, String)>) -> Error {
        let found: Vec<_> = found.into_iter().collect();
        // Finding a position takes time in proportion to the file, so that only some are shown.
        let line = |(index, (span, message)): (usize, &(Range<usize>, String))| {
            let place = match index <= MAX_SHOWN {
                true => position(&self.text, span.start),
                false => (0, index),
            };
            format!("{}:{}:{}: {message}", self.path.display(), place.0, place.1)
        };
        Error::new(found.iter().enumerate().map(line))
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The place of an option's value: in the rule itself, or in the defaults that it comes from, or else
/// the nearest thing around it.
fn find(document: &DeTable<'_>, diagnostic: &Diagnostic) -> Option<Range<usize>> {
    let key = diagnostic.key;
    let Some(index) = diagnostic.rule else {
        let (table, key) = key.split_once('.').unwrap_or((key, ""));
        let table = document.get(table)?;
        return Some(table.get_ref().get(key).map_or(table.span(), Spanned::span));
    };
    let rule = document.get("rule")?.get_ref().get(index)?;
    let value = rule.get_ref().get(key).or_else(|| document.get("defaults")?.get_ref().get(key));
    let item = |value: &Spanned<DeValue<'_>>| Some(value.get_ref().get(diagnostic.item?)?.span());
    let around = || rule.get_ref().get("listen").map_or(rule.span(), Spanned::span);
    Some(value.map_or_else(around, |value| item(value).unwrap_or(value.span())))
}

/// Reads a regular file of a limited size, without waiting for the other end of a pipe.
///
/// # Errors
/// When it cannot be read, is larger, or is something else.
pub(super) fn read(path: &Path, max_size: u64) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = fs::File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(max_size + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_size {
        let limit = bytesize::ByteSize(max_size);
        return Err(io::Error::other(format!("it is larger than {limit}")));
    }
    Ok(bytes)
}

/// Returns whether every user of this machine can read the file.
pub(crate) fn is_world_readable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0)
}

/// Line and column of a byte, both from 1 on; columns are characters.
fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (line, before[start..].chars().count() + 1)
}
