//! The error of one text.

use std::fmt;

/// Why a text is not what it should be: one sentence with the text, what is wrong with it, and what
/// to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(String);

impl Invalid {
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Invalid(sentence.into())
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}

/// The text in single quotes, on one line and of bounded length whatever it contains.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 120;
    let shown: String = text.chars().take(SHOWN).flat_map(escaped).collect();
    let more = if text.chars().nth(SHOWN).is_some() { "…" } else { "" };
    format!("'{shown}{more}'")
}

fn escaped(c: char) -> impl Iterator<Item = char> {
    let (plain, escape) = match c {
        '\'' | '"' | '\\' => (Some(c), None),
        _ => (None, Some(c.escape_debug())),
    };
    plain.into_iter().chain(escape.into_iter().flatten())
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
