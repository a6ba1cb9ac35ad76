use std::str::FromStr;

use crate::config::invalid::{Invalid, quoted};

use super::{Written, written};

/// The bytes that a target's answer has to begin with: text, with `\r`, `\n`, `\t`, `\0`, `\\` and
/// `\xNN` for what cannot be typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect(pub Vec<u8>);

/// A greeting, and no more.
const MAX: usize = 1024;

impl FromStr for Expect {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let Some((&first, after)) = rest.split_first() {
            rest = after;
            if first != b'\\' {
                bytes.push(first);
                continue;
            }
            let Some((byte, length)) = escape(rest) else {
                return Err(Invalid::new(format!(
                    "{} has a backslash with no meaning: write \\r, \\n, \\t, \\0, \\\\ or \\xNN",
                    quoted(text)
                )));
            };
            bytes.push(byte);
            rest = &rest[length..];
        }
        match bytes.len() {
            0 => Err(Invalid::new("'' is empty: write how the answer begins, such as 'SSH-2.0'")),
            1..=MAX => Ok(Expect(bytes)),
            length => Err(Invalid::new(format!(
                "{} has {length} bytes: write the first {MAX} at most",
                quoted(text)
            ))),
        }
    }
}

/// The byte that an escape means, and how long the escape is behind its backslash.
fn escape(text: &[u8]) -> Option<(u8, usize)> {
    let byte = match text {
        [b'r', ..] => b'\r',
        [b'n', ..] => b'\n',
        [b't', ..] => b'\t',
        [b'0', ..] => 0,
        [b'\\', ..] => b'\\',
        [b'x', high, low, ..] => return Some((nibble(*high)? << 4 | nibble(*low)?, 3)),
        _ => return None,
    };
    Some((byte, 1))
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

impl Written for Expect {
    const WHAT: &'static str = "how the answer begins, such as \"SSH-2.0\"";
    const EXAMPLES: &'static [&'static str] = &["220 ", "SSH-2.0", "\\x00\\x01"];
}

written!(Expect);
