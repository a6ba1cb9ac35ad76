use std::str::FromStr;
use std::time::Duration;

use crate::config::invalid::{Invalid, quoted};

use super::{Written, written};

/// A length of time such as `500ms`, `30s`, `1h 30m`; a number alone is seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period(pub Duration);

/// The longest: far enough away, and near enough that no clock overflows.
const MAX: Duration = Duration::from_secs(365 * 24 * 3600);

impl FromStr for Period {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let seconds = if is_number { &format!("{text}s") } else { text };
        let wrong = match humantime::parse_duration(seconds) {
            Ok(period) if period > MAX => "is too long: write at most 365d",
            Ok(period) if !period.is_zero() && period < Duration::from_millis(1) => {
                "is too short: write at least 1ms"
            }
            Ok(period) => return Ok(Period(period)),
            Err(humantime::DurationError::NumberOverflow) => "is too long: write at most 365d",
            Err(_) => {
                "is not a length of time: write a number and a unit, such as 500ms, 30s, 5m, 2h or 1d"
            }
        };
        Err(Invalid::new(format!("{} {wrong}", quoted(text))))
    }
}

impl Written for Period {
    const WHAT: &'static str = "a length of time such as \"30s\"";
    const EXAMPLES: &'static [&'static str] = &["500ms", "30s", "5m", "1h"];
}

written!(Period);
