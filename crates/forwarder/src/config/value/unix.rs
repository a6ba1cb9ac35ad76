use std::str::FromStr;

use crate::config::invalid::{Invalid, quoted};
use crate::config::model::UnixOwner;

use super::{Written, written};

/// Permissions of a file in octal digits, such as `0660`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnixMode(pub u32);

impl FromStr for UnixMode {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_octal = (3..=4).contains(&text.len()) && !text.contains('+');
        match u32::from_str_radix(text, 8) {
            Ok(mode) if is_octal && mode <= 0o777 => Ok(UnixMode(mode)),
            _ => Err(Invalid::new(format!(
                "{} is not a file mode: write octal digits in quotes, such as \"0660\"",
                quoted(text)
            ))),
        }
    }
}

impl Written for UnixMode {
    const WHAT: &'static str = "a file mode in octal digits such as \"0660\"";
    const EXAMPLES: &'static [&'static str] = &["0660", "0600"];
}

written!(UnixMode);

impl FromStr for UnixOwner {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (user, group) = text.split_once(':').unwrap_or((text, ""));
        let part = |part: &str| (!part.is_empty()).then(|| part.to_owned());
        match (part(user), part(group)) {
            (None, None) => Err(Invalid::new(format!(
                "{} names no owner: write USER:GROUP, USER or :GROUP",
                quoted(text)
            ))),
            (user, group) => Ok(UnixOwner { user, group }),
        }
    }
}

impl Written for UnixOwner {
    const WHAT: &'static str = "an owner such as \"www-data:www-data\"";
    const EXAMPLES: &'static [&'static str] = &["www-data:www-data", ":www-data"];
}

written!(UnixOwner);
