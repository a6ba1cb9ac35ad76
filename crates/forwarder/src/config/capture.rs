//! Which connections are captured, for debugging protocols.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use super::address::Endpoint;
use super::diagnostic::ParseError;
use super::notation::{ConfigValue, Limit, Notation, OptionalLimit};
use super::value::{Network, Size};

/// Which connections are captured, and where to.
#[derive(Args, Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default)]
#[command(next_help_heading = "Debugging protocols")]
pub struct Capture {
    /// Print the bytes of the chosen connections in hexadecimal [default: none]
    ///
    /// FILTER is 'all', or conditions that must all hold, separated by commas: rule=NAME,
    /// client=CIDR, target=HOST:PORT.
    #[arg(id = "capture.hexdump", long = "hexdump", value_name = "FILTER")]
    #[serde(with = "ConfigValue::<Option<CaptureFilter>>")]
    pub hexdump: Option<CaptureFilter>,

    /// Write the bytes of connections to a capture file for Wireshark [default: none]
    ///
    /// Each start overwrites the file.
    #[arg(id = "capture.pcapng", long = "pcapng", value_name = "FILE")]
    pub pcapng: Option<PathBuf>,

    /// Which connections go to the capture file
    ///
    /// The notation is that of --hexdump.
    #[arg(id = "capture.pcapng_filter", long = "pcapng-filter", value_name = "FILTER")]
    #[arg(default_value = "all")]
    #[serde(with = "ConfigValue::<CaptureFilter>")]
    pub pcapng_filter: CaptureFilter,

    /// Bytes after which a capture ends, printed or in the file, or none
    #[arg(id = "capture.capture_max", long = "capture-max", value_name = "BYTES")]
    #[arg(default_value = "1GiB", value_parser = OptionalLimit::<Size>::parse)]
    #[serde(with = "ConfigValue::<OptionalLimit<Size>>")]
    pub capture_max: Limit<u64>,
}

impl Default for Capture {
    fn default() -> Self {
        super::defaults()
    }
}

/// A choice of connections: those that meet every condition there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureFilter {
    /// Those of the rule of this name.
    pub rule: Option<String>,
    /// Those from this network.
    pub client: Option<IpNet>,
    /// Those that go to this target.
    pub target: Option<Endpoint>,
}

impl CaptureFilter {
    /// Whether a connection is one of the chosen; `client` is `None` on a Unix socket.
    pub fn matches(&self, rule: &str, client: Option<IpAddr>, target: &Endpoint) -> bool {
        let client = client.map(|ip| ip.to_canonical());
        self.rule.as_ref().is_none_or(|name| name == rule)
            && self.client.is_none_or(|net| client.is_some_and(|ip| net.contains(&ip)))
            && self.target.as_ref().is_none_or(|endpoint| endpoint == target)
    }
}

impl FromStr for CaptureFilter {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut filter = CaptureFilter::default();
        if text.trim() == "all" {
            return Ok(filter);
        }
        for condition in text.split(',') {
            match condition.trim().split_once('=') {
                Some(("rule", name)) => filter.rule = Some(name.to_owned()),
                Some(("client", net)) => filter.client = Some(Network::parse(net)?),
                Some(("target", address)) => filter.target = Some(address.parse()?),
                _ => {
                    return Err(ParseError::of(
                        text,
                        "is not a choice of connections: write all, or conditions separated by \
                         commas, such as rule=web,client=10.0.0.0/8,target=10.0.0.5:80",
                    ));
                }
            }
        }
        Ok(filter)
    }
}

impl Notation for CaptureFilter {
    type Value = Self;
    const EXPECTED: &'static str = "a choice of connections such as \"client=10.0.0.0/8\"";
    const EXAMPLES: &'static [&'static str] =
        &["all", "rule=web", "client=10.0.0.0/8,target=10.0.0.5:80"];
    const INTEGER: bool = false;

    fn parse(text: &str) -> Result<Self, ParseError> {
        text.parse()
    }
}
