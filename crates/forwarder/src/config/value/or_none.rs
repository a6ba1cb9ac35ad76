use std::str::FromStr;

use crate::config::invalid::Invalid;

use super::{Written, written};

/// A limit, or the word `none` for being without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrNone<T>(pub Option<T>);

impl<T: FromStr<Err = Invalid>> FromStr for OrNone<T> {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.trim() {
            "none" => Ok(OrNone(None)),
            text => text.parse().map(|value| OrNone(Some(value))),
        }
    }
}

impl<T: Written> Written for OrNone<T> {
    const WHAT: &'static str = T::WHAT;
    const EXAMPLES: &'static [&'static str] = T::EXAMPLES;
}

written!(OrNone<T>, T);
