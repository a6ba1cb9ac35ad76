//! Which texts are names of hosts.

use super::invalid::{Invalid, quoted};

/// Whether `name` can be looked up; `whole` is the text that it stands in.
///
/// What the system's resolver would take for an address in an old notation (`127.1`, `0x7f.1`) is
/// refused: it hides where a connection goes.
pub(super) fn check(name: &str, whole: &str) -> Result<(), Invalid> {
    let wrong = if !name.is_ascii() {
        "write the name in its ASCII form, which begins with xn--"
    } else if name.len() > 253 || !name.trim_end_matches('.').split('.').all(is_label) {
        "write a name such as example.com or an address such as 10.0.0.5"
    } else if is_number(name.trim_end_matches('.').rsplit('.').next().unwrap_or_default()) {
        "write an IPv4 address as four numbers from 0 to 255, such as 10.0.0.5"
    } else {
        return Ok(());
    };
    let what = quoted(name);
    Err(Invalid::new(format!("{what} in {} is not a host: {wrong}", quoted(whole))))
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= 63
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && !label.starts_with('-')
}

fn is_number(label: &str) -> bool {
    let digits = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    match digits {
        Some(hex) => hex.bytes().all(|b| b.is_ascii_hexdigit()),
        None => label.bytes().all(|b| b.is_ascii_digit()),
    }
}
