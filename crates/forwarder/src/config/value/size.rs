use std::str::FromStr;

use bytesize::ByteSize;

use crate::config::invalid::{Invalid, quoted};

use super::{Written, written};

/// An amount of bytes such as `500KiB` or `10MB`: `KiB`, `MiB`, `GiB` are powers of 1024, `kB`,
/// `MB`, `GB` of 1000; a number alone is bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.trim().parse() {
            Ok(ByteSize(bytes)) => Ok(Size(bytes)),
            Err(_) => Err(Invalid::new(format!(
                "{} is not an amount of bytes: write it as in 500KiB, 10MiB or 1GB",
                quoted(text)
            ))),
        }
    }
}

impl Written for Size {
    const WHAT: &'static str = "an amount of bytes such as \"10MiB\"";
    const EXAMPLES: &'static [&'static str] = &["500KiB", "10MiB", "1GB"];
}

written!(Size);
