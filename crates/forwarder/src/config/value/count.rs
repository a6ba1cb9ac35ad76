use std::str::FromStr;

use crate::config::invalid::{Invalid, quoted};

use super::{Written, written};

/// A whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count(pub u32);

impl FromStr for Count {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse() {
            Ok(count) if is_number => Ok(Count(count)),
            _ if is_number => Err(Invalid::new(format!(
                "{} is too much: write at most {}",
                quoted(text),
                u32::MAX
            ))),
            _ => Err(Invalid::new(format!(
                "{} is not a count: write a whole number such as 1000",
                quoted(text)
            ))),
        }
    }
}

impl Written for Count {
    const WHAT: &'static str = "a whole number such as 1000";
    const EXAMPLES: &'static [&'static str] = &["1000"];
}

written!(Count);
