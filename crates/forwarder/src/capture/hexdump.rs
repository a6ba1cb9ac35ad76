//! Bytes in hexadecimal, for people to read.

use std::fmt::Write as _;
use std::time::Duration;

/// Bytes in a line.
const WIDTH: usize = 16;

/// What is said of a piece of a connection's bytes.
pub(super) struct Head<'a> {
    /// The connection's number.
    pub(super) id: u64,
    /// Since the connection was made.
    pub(super) after: Duration,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
}

/// A line that says who sent what when, and lines of 16 bytes with their offset in all that this
/// side has sent.
pub(super) fn dump(head: &Head<'_>, offset: u64, bytes: &[u8]) -> String {
    let Head { id, after, from, to } = head;
    let seconds = after.as_secs_f64();
    let mut text = format!("#{id} +{seconds:.6}s {from} > {to}: {} bytes\n", bytes.len());
    for (index, line) in bytes.chunks(WIDTH).enumerate() {
        let mut hex = String::new();
        for (index, byte) in line.iter().enumerate() {
            let gap = if index == WIDTH / 2 { "  " } else { " " };
            // Writing to a string cannot fail.
            let _ = write!(hex, "{gap}{byte:02x}");
        }
        let plain: String = line.iter().map(|byte| shown(*byte)).collect();
        let at = offset + (index * WIDTH) as u64;
        let _ = writeln!(text, "  {at:08x} {hex:<49}  |{plain}|");
    }
    text
}

fn shown(byte: u8) -> char {
    if byte == b' ' || byte.is_ascii_graphic() { char::from(byte) } else { '.' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_tell_who_when_where_and_what() {
        let after = Duration::from_millis(1500);
        let head = Head { id: 7, after, from: "127.0.0.1:1", to: "10.0.0.5:80" };
        let expected = "#7 +1.500000s 127.0.0.1:1 > 10.0.0.5:80: 18 bytes\n  \
             00000010  47 45 54 20 2f 20 48 54  54 50 2f 31 2e 31 0d 0a  |GET / HTTP/1.1..|\n  \
             00000020  00 ff                                             |..|\n";
        assert_eq!(dump(&head, 16, b"GET / HTTP/1.1\r\n\0\xff"), expected);
    }
}
