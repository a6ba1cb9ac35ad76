//! The error of a whole configuration.

use std::fmt;

/// Why a configuration is refused: sentences, one a line, each with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    sentences: Vec<String>,
}

impl Error {
    /// From at least one sentence; of equal ones that follow each other, one is kept.
    pub(crate) fn new(mut sentences: Vec<String>) -> Self {
        sentences.dedup();
        Error { sentences }
    }

    /// Each of them.
    pub fn sentences(&self) -> &[String] {
        &self.sentences
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentences.join("\n"))
    }
}

impl std::error::Error for Error {}
