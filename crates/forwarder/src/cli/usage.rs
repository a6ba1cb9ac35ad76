//! What a wrong command line is answered with.

use std::error::Error as _;
use std::fmt;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::config::error::Error;
use crate::config::invalid::Invalid;

/// Why the program does not start: sentences, one a line, and the exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    sentences: String,
    exit_code: u8,
}

impl Usage {
    /// For a command line that is wrong: exit code 2.
    pub(super) fn new(sentences: impl Into<String>) -> Self {
        Usage { sentences: sentences.into(), exit_code: 2 }
    }

    /// For a file that is wrong: exit code 1.
    pub(super) fn file(error: &Error) -> Self {
        Usage { sentences: error.to_string(), exit_code: 1 }
    }

    /// For what the parser found.
    pub(super) fn parser(error: &clap::Error) -> Self {
        Usage::new(sentence(error))
    }

    /// 2 for a wrong command line, 1 for a wrong file.
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentences)
    }
}

impl std::error::Error for Usage {}

impl From<Invalid> for Usage {
    fn from(invalid: Invalid) -> Self {
        Usage::new(invalid.to_string())
    }
}

fn sentence(error: &clap::Error) -> String {
    let option = context(error, ContextKind::InvalidArg);
    // "--rate <BYTES>"
    let option =
        option.split([' ', '=']).next().unwrap_or_default().trim_matches(['<', '>', '[', ']']);
    let value = context(error, ContextKind::InvalidValue);
    let known = context(error, ContextKind::ValidValue);
    match error.kind() {
        ErrorKind::UnknownArgument if option.starts_with('-') => {
            match context(error, ContextKind::SuggestedArg) {
                near if near.is_empty() => {
                    format!(
                        "unknown option '{option}': 'forwarder --help' explains those there are"
                    )
                }
                near => format!("unknown option '{option}': did you mean '{near}'?"),
            }
        }
        ErrorKind::UnknownArgument => format!("'{option}' is one argument too many: leave it away"),
        ErrorKind::InvalidValue if value.is_empty() && known.is_empty() => {
            format!("{option} needs a value: 'forwarder --help' says which")
        }
        ErrorKind::InvalidValue if value.is_empty() => {
            format!("{option} needs a value: write one of {known}")
        }
        ErrorKind::InvalidValue => {
            format!("{option}: '{value}' is not known: write one of {known}")
        }
        ErrorKind::ValueValidation => match error.source() {
            Some(reason) => format!("{option}: {reason}"),
            None => format!("{option}: '{value}' is not what it takes"),
        },
        ErrorKind::TooManyValues => format!("{option} takes no value: leave '{value}' away"),
        ErrorKind::ArgumentConflict => {
            let other = context(error, ContextKind::PriorArg);
            let other = other.split([' ', '=']).next().unwrap_or_default();
            if other == option || other.is_empty() {
                format!("{option} is given twice: once is enough")
            } else {
                format!("{option} and {other} do not go together: leave one away")
            }
        }
        ErrorKind::MissingRequiredArgument => {
            format!("{option} is missing: the same with --help explains it")
        }
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8: write it in that encoding".to_owned(),
        _ => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            first.strip_prefix("error: ").unwrap_or(first).to_owned()
        }
    }
}

fn context(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    }
}
