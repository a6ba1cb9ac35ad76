//! What is wrong with a configuration that can be read, and at which key.

/// One sentence, and the key that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What to change.
    pub place: Place,
    /// What is wrong, and what to write instead.
    pub sentence: String,
}

/// A key, by the names that files have for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Of the process: a table, or `""` for none, and the key in it.
    Process(&'static str, &'static str),
    /// Of the rule with this index, and of the item with that index where the key has a list.
    Rule(usize, &'static str, Option<usize>),
}

impl Problem {
    pub(crate) fn process(
        table: &'static str,
        key: &'static str,
        sentence: impl Into<String>,
    ) -> Self {
        Problem { place: Place::Process(table, key), sentence: sentence.into() }
    }

    pub(crate) fn rule(index: usize, key: &'static str, sentence: impl Into<String>) -> Self {
        Problem { place: Place::Rule(index, key, None), sentence: sentence.into() }
    }

    pub(crate) fn item(rule: usize, key: &'static str, item: usize, sentence: String) -> Self {
        Problem { place: Place::Rule(rule, key, Some(item)), sentence }
    }
}
