//! How a target is written: an address, and its weight behind a `*` unless that is 1.
//!
//! `10.0.0.5:80*3` gets three times as much as `10.0.0.6:80`, and `10.0.0.7:80*0` nothing new: it is
//! drained. The last `*` counts, and in a Unix path only one with nothing but digits behind it.

use std::fmt;
use std::str::FromStr;

use super::invalid::{Invalid, quoted};
use super::model::{Endpoint, Target};
use super::value::{Written, written};

/// The greatest weight.
pub const WEIGHT_MAX: u32 = 1000;

impl FromStr for Target {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.rsplit_once('*') {
            Some((address, digits)) if is_weight(address, digits) => {
                Ok(Target { endpoint: address.parse()?, weight: weight(digits, text)? })
            }
            _ => Ok(Target { endpoint: text.parse()?, weight: 1 }),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoint = self.endpoint.to_string();
        let ends_like_a_weight =
            endpoint.rsplit_once('*').is_some_and(|(address, digits)| is_weight(address, digits));
        match self.weight {
            1 if !ends_like_a_weight => f.write_str(&endpoint),
            weight => write!(f, "{endpoint}*{weight}"),
        }
    }
}

impl Written for Target {
    const WHAT: &'static str = "an address to connect to, such as \"10.0.0.5:80\"";
    const EXAMPLES: &'static [&'static str] =
        &["10.0.0.5:80", "example.com:80*3", "unix:/run/x.sock"];
}

written!(Target);

impl From<Endpoint> for Target {
    fn from(endpoint: Endpoint) -> Self {
        Target { endpoint, weight: 1 }
    }
}

fn is_weight(address: &str, digits: &str) -> bool {
    if address.starts_with("unix:") {
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    } else {
        !address.is_empty()
    }
}

fn weight(digits: &str, whole: &str) -> Result<u32, Invalid> {
    let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
    number.filter(|weight| *weight <= WEIGHT_MAX).ok_or_else(|| {
        Invalid::new(format!(
            "{} in {} is not a weight: write a number from 0 to {WEIGHT_MAX} behind the *",
            quoted(digits),
            quoted(whole)
        ))
    })
}
