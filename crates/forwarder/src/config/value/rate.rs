use std::str::FromStr;

use bytesize::ByteSize;

use crate::config::invalid::{Invalid, quoted};

use super::{Written, written};

/// Bytes a second such as `500KiB` or `10MB/s`: `KiB`, `MiB`, `GiB` are powers of 1024, `kB`, `MB`,
/// `GB` of 1000; a number alone is bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(pub u64);

/// The highest: beyond any wire, and small enough that sums of it do not overflow.
const MAX: u64 = bytesize::TIB;

impl FromStr for Rate {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        let wrong = match text.strip_suffix("/s").unwrap_or(text).parse() {
            Ok(ByteSize(bytes)) if bytes > MAX => "is too high: write at most 1TiB",
            Ok(ByteSize(bytes)) => return Ok(Rate(bytes)),
            Err(_) => "is not a number of bytes a second: write it as in 500KiB, 10MiB or 1GB",
        };
        Err(Invalid::new(format!("{} {wrong}", quoted(text))))
    }
}

impl Written for Rate {
    const WHAT: &'static str = "a number of bytes a second such as \"10MiB\"";
    const EXAMPLES: &'static [&'static str] = &["500KiB", "10MiB", "1GB/s"];
}

written!(Rate);
