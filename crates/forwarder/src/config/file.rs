//! A configuration file.

use std::fs;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::check::check;
use super::error::Error;
use super::model::Config;
use super::options::Options;
use super::problem::{Place, Problem};
use super::toml_error;

/// A file is refused beyond this many bytes: enough for ten thousand rules.
pub const SIZE_MAX: u64 = 4 * 1024 * 1024;

/// A file that could be read: what it says, and where it says so.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    path: PathBuf,
    text: String,
    /// What it says.
    pub options: Options,
}

/// The checked configuration in the file at `path`; `token` is for the status page when the file has
/// none.
///
/// # Errors
///
/// When the file cannot be read, is no TOML, has an unknown key or a value of the wrong kind, or
/// does not make sense as a whole. Each sentence begins with the file, and the line and the column
/// in it, both from 1 on.
pub fn load(path: &Path, token: Option<&str>) -> Result<Config, Error> {
    let file = File::read(path)?;
    let config = file.options.clone().config(token).map_err(|problems| file.error(&problems))?;
    match check(&config) {
        problems if problems.is_empty() => Ok(config),
        problems => Err(file.error(&problems)),
    }
}

impl File {
    /// What the file at `path` says, not yet checked as a whole.
    ///
    /// # Errors
    ///
    /// As for [`load`].
    pub fn read(path: &Path) -> Result<File, Error> {
        let whole = |sentence| Error::new(vec![format!("{}:{sentence}", path.display())]);
        let bytes = read(path).map_err(|error| whole(format!(" cannot be read: {error}")))?;
        if bytes.len() as u64 > SIZE_MAX {
            return Err(whole(format!(
                " is larger than {} MiB: name another file",
                SIZE_MAX >> 20
            )));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(&error.as_bytes()[..good]).into_owned();
            let (line, column) = position(&text, good);
            whole(format!("{line}:{column}: this is not UTF-8: save the file in that encoding"))
        })?;
        File::parse(path, text)
    }

    /// What `text` says, as the content of the file at `path`.
    ///
    /// # Errors
    ///
    /// As for [`load`].
    pub fn parse(path: &Path, text: String) -> Result<File, Error> {
        let at = |span: Option<Range<usize>>, sentence: String| {
            let (line, column) = position(&text, span.map_or(0, |span| span.start));
            Error::new(vec![format!("{}:{line}:{column}: {sentence}", path.display())])
        };
        let parsed = Deserializer::parse(&text)
            .map_err(|error| at(error.span(), toml_error::syntax(error.message())))?;
        let options = Options::deserialize(parsed)
            .map_err(|error| at(error.span(), toml_error::meaning(error.message())))?;
        Ok(File { path: path.to_owned(), text, options })
    }

    /// The problems, with the places in this file that they are about.
    pub fn error(&self, problems: &[Problem]) -> Error {
        let (table, _) = DeTable::parse_recoverable(&self.text);
        let sentence = |problem: &Problem| {
            let start = find(table.get_ref(), problem.place).map_or(0, |span| span.start);
            let (line, column) = position(&self.text, start);
            let sentence = problem.sentence.replace('`', "'");
            format!("{}:{line}:{column}: {sentence}", self.path.display())
        };
        Error::new(problems.iter().map(sentence).collect())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// One byte more than is taken, to see that there are more.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Without waiting for the other end of a pipe.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = fs::File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(SIZE_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Line and column of a byte, both from 1 on; columns are characters.
fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (line, before[start..].chars().count() + 1)
}

/// Where a key's value stands: in the rule itself, or in the defaults that it comes from, or else
/// the nearest thing around it.
fn find(table: &DeTable<'_>, place: Place) -> Option<Range<usize>> {
    match place {
        Place::Process("", key) => table.get(key).map(Spanned::span),
        Place::Process(outer, key) => {
            let outer = table.get(outer)?;
            let inner = outer.get_ref().get(key).map(Spanned::span);
            Some(inner.unwrap_or(outer.span()))
        }
        Place::Rule(index, key, item) => {
            let rule = table.get("rule")?.get_ref().get(index)?;
            let around = || rule.get_ref().get("listen").map_or(rule.span(), Spanned::span);
            let own = rule.get_ref().get(key);
            let value = own.or_else(|| table.get("defaults")?.get_ref().get(key));
            Some(value.map_or_else(around, |value| within(value, item)))
        }
    }
}

fn within(value: &Spanned<DeValue<'_>>, item: Option<usize>) -> Range<usize> {
    let item = item.and_then(|item| value.get_ref().get(item));
    item.unwrap_or(value).span()
}
