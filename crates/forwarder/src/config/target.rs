//! Targets, and rules on the command line.
//!
//! A target is an address, and its weight after a `*` unless that is 1. `10.0.0.5:80*3` gets three
//! times as much as `10.0.0.6:80`, and `10.0.0.7:80*0` gets nothing new: it is drained. The last `*`
//! counts, and in a Unix path only one with nothing but digits after it.
//!
//! A rule is `LISTEN=TARGET[,TARGET]...`. The first `=` ends the listening address and commas end the
//! targets; a Unix path that contains one of them can be written in a file only.

use std::fmt;
use std::str::FromStr;

use super::address::{Endpoint, Listen};
use super::diagnostic::{ParseError, quoted};
use super::notation::Notation;

/// Where connections of a rule go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The address.
    pub endpoint: Endpoint,
    /// Its share, from 1 on; a target of weight 0 gets nothing new: it is drained.
    pub weight: u32,
}

/// Maximum weight of a target.
pub const MAX_WEIGHT: u32 = 1000;

impl FromStr for Target {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
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

impl Notation for Target {
    type Value = Self;
    const EXPECTED: &'static str = "an address to connect to, such as \"10.0.0.5:80\"";
    const EXAMPLES: &'static [&'static str] =
        &["10.0.0.5:80", "example.com:80*3", "unix:/run/x.sock"];

    fn parse(text: &str) -> Result<Self, ParseError> {
        text.parse()
    }
}

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

fn weight(digits: &str, whole: &str) -> Result<u32, ParseError> {
    let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
    number.filter(|weight| *weight <= MAX_WEIGHT).ok_or_else(|| {
        let whole = quoted(whole);
        let remedy = format!("write a number from 0 to {MAX_WEIGHT} after the *");
        ParseError::of(digits, format!("in {whole} is not a weight: {remedy}"))
    })
}

/// The part of a rule that has no default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where the rule listens.
    pub listen: Listen,
    /// Where its connections go; at least one.
    pub targets: Vec<Target>,
}

impl Route {
    /// The route from `listen` to `targets`, which are separated by commas.
    ///
    /// # Errors
    /// When one of them is not an address, or there is no target.
    pub fn new(listen: &str, targets: &str) -> Result<Self, ParseError> {
        let targets = targets.split(',').map(|text| text.trim().parse());
        Ok(Route { listen: listen.trim().parse()?, targets: targets.collect::<Result<_, _>>()? })
    }
}

impl FromStr for Route {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let remedy = "write LISTEN=TARGET, such as 8080=10.0.0.5:80";
        let (listen, targets) = text
            .split_once('=')
            .ok_or_else(|| ParseError::of(text, format!("has no '=': {remedy}")))?;
        for (part, side) in [(listen, "before"), (targets, "after")] {
            if part.trim().is_empty() {
                return Err(ParseError::of(text, format!("has nothing {side} its '=': {remedy}")));
            }
        }
        Route::new(listen, targets)
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let targets: Vec<String> = self.targets.iter().map(ToString::to_string).collect();
        write!(f, "{}={}", self.listen, targets.join(","))
    }
}
