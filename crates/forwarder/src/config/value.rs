//! Values of options: lengths of time, numbers, amounts, networks.
//!
//! Each type here is a [`Notation`]. Its value is usually a type of the standard library, so that
//! the rest of the program sees plain data.

use std::marker::PhantomData;
use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use bytesize::ByteSize;
use ipnet::IpNet;

use super::diagnostic::ParseError;
use super::notation::Notation;

const YEAR_MS: u64 = 365 * DAY_MS;
const DAY_MS: u64 = 24 * 3_600_000;

/// A length of time such as `500ms`, `30s` or `1h 30m`, in a range of milliseconds. A number alone is
/// seconds.
pub struct Time<const MIN_MS: u64 = 1, const MAX_MS: u64 = YEAR_MS>;

impl<const MIN_MS: u64, const MAX_MS: u64> Notation for Time<MIN_MS, MAX_MS> {
    type Value = Duration;
    const EXPECTED: &'static str = "a length of time such as \"30s\"";
    const EXAMPLES: &'static [&'static str] = &["500ms", "30s", "5m", "1h"];

    fn parse(text: &str) -> Result<Duration, ParseError> {
        use humantime::DurationError::NumberOverflow;
        let time = if is_digits(text) { &format!("{text}s") } else { text };
        let shortest = Duration::from_millis(MIN_MS.max(1));
        match humantime::parse_duration(time.trim()) {
            Ok(time) if time < shortest && !(MIN_MS == 0 && time.is_zero()) => {
                let least = in_words(MIN_MS.max(1));
                Err(ParseError::of(text, format!("is too short: write at least {least}")))
            }
            Ok(time) if time <= Duration::from_millis(MAX_MS) => Ok(time),
            Ok(_) | Err(NumberOverflow) => {
                let most = in_words(MAX_MS);
                Err(ParseError::of(text, format!("is too long: write at most {most}")))
            }
            Err(_) => Err(ParseError::of(
                text,
                "is not a length of time: write a number and a unit, such as 500ms, 30s, 5m, 2h or 1d",
            )),
        }
    }
}

fn in_words(milliseconds: u64) -> String {
    match milliseconds % DAY_MS {
        0 => format!("{}d", milliseconds / DAY_MS),
        _ => humantime::format_duration(Duration::from_millis(milliseconds)).to_string(),
    }
}

/// A whole number in a range.
pub struct Number<T = u32, const MIN: u64 = 1, const MAX: u64 = { u32::MAX as u64 }>(
    PhantomData<T>,
);

impl<T: TryFrom<u64>, const MIN: u64, const MAX: u64> Notation for Number<T, MIN, MAX> {
    type Value = T;
    const EXPECTED: &'static str = "a whole number such as 1000";
    const EXAMPLES: &'static [&'static str] = &["1000"];

    fn parse(text: &str) -> Result<T, ParseError> {
        let digits = text.trim();
        if !is_digits(digits) {
            return Err(ParseError::of(text, "is not a count: write a whole number such as 1000"));
        }
        let number = digits.parse().unwrap_or(u64::MAX);
        if number < MIN {
            return Err(ParseError::of(text, format!("is too little: write at least {MIN}")));
        }
        let value = T::try_from(number).ok().filter(|_| number <= MAX);
        value.ok_or_else(|| ParseError::of(text, format!("is too much: write at most {MAX}")))
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// A number of threads, where 0 means one for each core.
pub struct Threads;

impl Notation for Threads {
    type Value = usize;
    const EXPECTED: &'static str = "a number of threads such as 4";
    const EXAMPLES: &'static [&'static str] = &["1", "4", "0"];

    fn parse(text: &str) -> Result<usize, ParseError> {
        match Number::<usize, 0, 1024>::parse(text)? {
            0 => Ok(thread::available_parallelism().map_or(1, usize::from)),
            threads => Ok(threads),
        }
    }
}

/// A number of bytes such as `500KiB` or `10MB`: `KiB`, `MiB`, `GiB` are powers of 1024, `kB`, `MB`,
/// `GB` of 1000; a number alone is bytes.
pub struct Size;

impl Notation for Size {
    type Value = u64;
    const EXPECTED: &'static str = "a number of bytes such as \"10MiB\"";
    const EXAMPLES: &'static [&'static str] = &["500KiB", "10MiB", "1GB"];

    fn parse(text: &str) -> Result<u64, ParseError> {
        let problem = "is not a number of bytes: write it as in 500KiB, 10MiB or 1GB";
        text.trim().parse().map(|ByteSize(bytes)| bytes).map_err(|_| ParseError::of(text, problem))
    }
}

/// Bytes per second: a [`Size`] with or without `/s`.
pub struct Rate;

/// Maximum bytes per second: beyond any wire, and small enough that sums do not overflow.
const MAX_RATE: u64 = bytesize::TIB;

impl Notation for Rate {
    type Value = u64;
    const EXPECTED: &'static str = "a number of bytes per second such as \"10MiB\"";
    const EXAMPLES: &'static [&'static str] = &["500KiB", "10MiB", "1GB/s"];

    fn parse(text: &str) -> Result<u64, ParseError> {
        let size = text.trim();
        let problem = match size.strip_suffix("/s").unwrap_or(size).parse() {
            Ok(ByteSize(0)) => "is too low: write at least 1",
            Ok(ByteSize(bytes)) if bytes <= MAX_RATE => return Ok(bytes),
            Ok(_) => "is too high: write at most 1TiB",
            Err(_) => "is not a number of bytes per second: write it as in 500KiB, 10MiB or 1GB",
        };
        Err(ParseError::of(text, problem))
    }
}

/// A network in CIDR notation such as `10.0.0.0/8`, or one address.
///
/// An address with bits beyond the prefix is refused: in an access list it is a mistake. So is an
/// IPv4 network in IPv6 notation.
pub struct Network;

impl Notation for Network {
    type Value = IpNet;
    const EXPECTED: &'static str = "a network such as \"10.0.0.0/8\"";
    const EXAMPLES: &'static [&'static str] = &["10.0.0.0/8", "fd00::/8", "10.0.0.5"];

    fn parse(text: &str) -> Result<IpNet, ParseError> {
        let trimmed = text.trim();
        let net = trimmed.parse::<IpNet>().ok();
        let Some(net) = net.or_else(|| Some(trimmed.parse::<IpAddr>().ok()?.into())) else {
            let problem = "is not a network: write it as in 10.0.0.0/8, fd00::/8 or 10.0.0.5";
            return Err(ParseError::of(text, problem));
        };
        let (address, prefix) = (net.addr(), net.prefix_len());
        if address != net.network() {
            let network = net.trunc();
            return Err(ParseError::of(
                text,
                format!(
                    "has address bits beyond its /{prefix}: write {network} for the network or {address} \
                     for the one address"
                ),
            ));
        }
        match address.to_canonical() {
            IpAddr::V4(v4) if address.is_ipv6() => {
                let prefix = prefix.saturating_sub(96);
                let problem = format!("is an IPv4 network in IPv6 notation: write {v4}/{prefix}");
                Err(ParseError::of(text, problem))
            }
            _ => Ok(net),
        }
    }
}

/// Bytes as text, with `\r`, `\n`, `\t`, `\0`, `\\` and `\xNN` for what cannot be typed.
pub struct Escaped;

/// Maximum number of bytes that a health check compares.
const MAX_EXPECTED: usize = 1024;

impl Notation for Escaped {
    type Value = Vec<u8>;
    const EXPECTED: &'static str = "the first bytes of the answer, such as \"SSH-2.0\"";
    const EXAMPLES: &'static [&'static str] = &["220 ", "SSH-2.0", "\\x00\\x01"];

    fn parse(text: &str) -> Result<Vec<u8>, ParseError> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let Some((&first, after)) = rest.split_first() {
            let (byte, length) = match (first, after) {
                (b'\\', after) => escape(after).ok_or_else(|| {
                    let problem = "has an unknown escape: write \\r, \\n, \\t, \\0, \\\\ or \\xNN";
                    ParseError::of(text, problem)
                })?,
                _ => (first, 0),
            };
            bytes.push(byte);
            rest = &after[length..];
        }
        match bytes.len() {
            0 => Err(ParseError::of(
                text,
                "is empty: write how the answer begins, such as 'SSH-2.0'",
            )),
            1..=MAX_EXPECTED => Ok(bytes),
            length => {
                let problem = format!("has {length} bytes: write at most the first {MAX_EXPECTED}");
                Err(ParseError::of(text, problem))
            }
        }
    }
}

/// The byte that an escape means, and the length of the escape after its backslash.
fn escape(text: &[u8]) -> Option<(u8, usize)> {
    let byte = match text {
        [b'r', ..] => b'\r',
        [b'n', ..] => b'\n',
        [b't', ..] => b'\t',
        [b'0', ..] => 0,
        [b'\\', ..] => b'\\',
        [b'x', high, low, ..] => {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            return Some((u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?, 3));
        }
        _ => return None,
    };
    Some((byte, 1))
}

/// Permissions of a file in octal digits, such as `0660`.
pub struct FileMode;

impl Notation for FileMode {
    type Value = u32;
    const EXPECTED: &'static str = "a file mode in quotes, such as \"0660\"";
    const EXAMPLES: &'static [&'static str] = &["0660", "0600"];
    // TOML's 660 is decimal, and its 0o660 would be read as 432.
    const INTEGER: bool = false;

    fn parse(text: &str) -> Result<u32, ParseError> {
        let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
        mode.filter(|_| is_digits(text) && (3..=4).contains(&text.len())).ok_or_else(|| {
            ParseError::of(text, "is not a file mode: write octal digits, such as 0660")
        })
    }
}

/// Owner of a file: `user:group`, `user` or `:group`, names or numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixOwner {
    /// The user, unless it stays.
    pub user: Option<String>,
    /// The group, unless it stays. At least one of the two is set.
    pub group: Option<String>,
}

impl Notation for UnixOwner {
    type Value = Self;
    const EXPECTED: &'static str = "an owner such as \"www-data:www-data\"";
    const EXAMPLES: &'static [&'static str] = &["www-data:www-data", ":www-data"];

    fn parse(text: &str) -> Result<Self, ParseError> {
        let (user, group) = text.split_once(':').unwrap_or((text, ""));
        let part = |part: &str| (!part.is_empty()).then(|| part.to_owned());
        match (part(user), part(group)) {
            (None, None) => {
                Err(ParseError::of(text, "is not an owner: write USER:GROUP, USER or :GROUP"))
            }
            (user, group) => Ok(UnixOwner { user, group }),
        }
    }
}
