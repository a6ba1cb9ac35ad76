//! Errors in texts and configurations, as sentences with a remedy.

use std::fmt;

/// Why a text is not a valid value: what is wrong with it, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError(String);

impl ParseError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        ParseError(message.into())
    }

    /// The quoted text, followed by what is wrong with it.
    pub(crate) fn of(text: &str, problem: impl fmt::Display) -> Self {
        ParseError(format!("{} {problem}", quoted(text)))
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseError {}

/// A mistake in a configuration that can be parsed, and its option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The rule, by its index; `None` for an option of the process.
    pub rule: Option<usize>,
    /// The option: its key in files, behind the name of its table and a dot if it has one.
    pub key: &'static str,
    /// The item, by its index, where the option is a list.
    pub item: Option<usize>,
    /// The mistake, and the remedy.
    pub message: String,
}

impl Diagnostic {
    pub(crate) fn process(key: &'static str, message: impl Into<String>) -> Self {
        Diagnostic { rule: None, key, item: None, message: message.into() }
    }

    pub(crate) fn rule(index: usize, key: &'static str, message: impl Into<String>) -> Self {
        Diagnostic { rule: Some(index), key, item: None, message: message.into() }
    }

    pub(crate) fn item(self, item: usize) -> Self {
        Diagnostic { item: Some(item), ..self }
    }
}

/// Maximum number of diagnostics that are shown.
pub(crate) const MAX_SHOWN: usize = 20;

/// Why a configuration is refused: one line for each diagnostic, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Vec<String>);

impl Error {
    /// An error of at least one line. Equal lines (the same default in many rules) become one.
    pub(crate) fn new(lines: impl IntoIterator<Item = String>) -> Self {
        let mut lines: Vec<String> = lines.into_iter().collect();
        lines.dedup();
        if lines.len() > MAX_SHOWN {
            let more = lines.len() - MAX_SHOWN;
            lines.truncate(MAX_SHOWN);
            lines.push(format!("and {more} more"));
        }
        Error(lines)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Error {}

/// Maximum number of characters of a text that a message repeats.
const MAX_QUOTED: usize = 120;

/// The text in single quotes, on one line and of bounded length whatever it contains.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown = String::from("'");
    for c in text.chars().take(MAX_QUOTED) {
        match c {
            '\'' | '"' | '\\' => shown.push(c),
            _ => shown.extend(c.escape_debug()),
        }
    }
    shown + if text.chars().nth(MAX_QUOTED).is_some() { "…'" } else { "'" }
}

/// Longer than any known word, and short enough to compare.
const MAX_COMPARED: usize = 64;

/// The known word that a wrong one is most likely meant to be: at most a third of the letters differ.
pub(crate) fn suggestion<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if word.len() > MAX_COMPARED {
        return None;
    }
    let plain = word.to_ascii_lowercase().replace('-', "_");
    let distance = |other: &str| strsim::damerau_levenshtein(&plain, &other.replace('-', "_"));
    let nearest = known.into_iter().map(|other| (distance(other), other)).min()?;
    (nearest.0 * 3 <= plain.chars().count().max(3)).then_some(nearest.1)
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_quoted_text_stays_on_one_line_and_shows_control_characters() {
        assert_eq!(quoted("a\nb\u{1b}[31m"), r"'a\nb\u{1b}[31m'");
        assert_eq!(quoted(r"C:\x"), r"'C:\x'");
    }

    #[test]
    fn a_quoted_text_is_cut_after_120_characters() {
        assert_eq!(quoted(&"é".repeat(121)), format!("'{}…'", "é".repeat(120)));
        assert_eq!(quoted(&"é".repeat(120)), format!("'{}'", "é".repeat(120)));
    }
}
