//! Which connections' bytes are shown or written down, for those who debug protocols.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use super::invalid::{Invalid, quoted};
use super::model::Endpoint;
use super::value::{Net, OrNone, Size, Written, written};

/// What becomes of the bytes of chosen connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Whose bytes are printed.
    pub hexdump: Option<CaptureFilter>,
    /// Whose bytes are written to a file.
    pub pcapng: Option<Pcapng>,
    /// The most bytes that each of the two gets; `None` is without a limit.
    pub max: Option<u64>,
}

impl Default for Capture {
    fn default() -> Self {
        Capture { hexdump: None, pcapng: None, max: Some(1 << 30) }
    }
}

/// A capture for Wireshark and its kin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pcapng {
    /// Begun anew at every start.
    pub file: PathBuf,
    /// Whose bytes go there.
    pub filter: CaptureFilter,
}

/// Which connections: those that meet every condition there is.
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
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mut filter = CaptureFilter::default();
        if text.trim() == "all" {
            return Ok(filter);
        }
        for condition in text.split(',') {
            match condition.trim().split_once('=') {
                Some(("rule", name)) => filter.rule = Some(name.to_owned()),
                Some(("client", net)) => filter.client = Some(net.parse::<Net>()?.0),
                Some(("target", address)) => filter.target = Some(address.parse()?),
                _ => {
                    return Err(Invalid::new(format!(
                        "{} does not choose connections: write all, or conditions with commas between \
                         them, such as rule=web,client=10.0.0.0/8,target=10.0.0.5:80",
                        quoted(text)
                    )));
                }
            }
        }
        Ok(filter)
    }
}

impl Written for CaptureFilter {
    const WHAT: &'static str = "a choice of connections such as \"client=10.0.0.0/8\"";
    const EXAMPLES: &'static [&'static str] =
        &["all", "rule=web", "client=10.0.0.0/8,target=10.0.0.5:80"];
}

written!(CaptureFilter);

/// Showing what goes through, or writing it down.
#[derive(Args, Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Capture")]
#[command(next_help_heading = "Debugging protocols")]
pub struct CaptureOptions {
    /// Print the bytes of the chosen connections in hexadecimal [default: none]
    ///
    /// FILTER is 'all', or conditions that must all hold, separated by commas: rule=NAME,
    /// client=CIDR, target=HOST:PORT.
    #[arg(long, value_name = "FILTER")]
    pub hexdump: Option<CaptureFilter>,

    /// Write the bytes of connections to a capture file for Wireshark [default: none]
    ///
    /// The file is begun anew at every start.
    #[arg(long, value_name = "FILE")]
    pub pcapng: Option<PathBuf>,

    /// Which connections go to the capture file [default: all]
    ///
    /// The notation is that of --hexdump.
    #[arg(long, value_name = "FILTER")]
    pub pcapng_filter: Option<CaptureFilter>,

    /// Bytes after which a capture ends, printed or in the file, or none [default: 1GiB]
    #[arg(long, value_name = "BYTES")]
    pub capture_max: Option<OrNone<Size>>,
}

impl CaptureOptions {
    pub(super) fn over(self, base: Self) -> Self {
        CaptureOptions {
            hexdump: self.hexdump.or(base.hexdump),
            pcapng: self.pcapng.or(base.pcapng),
            pcapng_filter: self.pcapng_filter.or(base.pcapng_filter),
            capture_max: self.capture_max.or(base.capture_max),
        }
    }

    pub(super) fn capture(self) -> Capture {
        let filter = self.pcapng_filter.unwrap_or_default();
        let pcapng = self.pcapng.map(|file| Pcapng { file, filter });
        let max = match self.capture_max {
            Some(OrNone(max)) => max.map(|Size(bytes)| bytes),
            None => Capture::default().max,
        };
        Capture { hexdump: self.hexdump, pcapng, max }
    }
}
