//! The status page and its kin.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use schemars::JsonSchema;
use serde::Deserialize;

use super::invalid::{Invalid, quoted};
use super::model::Listen;
use super::problem::Problem;
use super::value::{Written, written};

/// Where the status page is, and who may do what there.
#[derive(Clone, PartialEq, Eq)]
pub struct Status {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Whoever ends a connection or drains a target has to show it; without one nobody can.
    pub token: Option<String>,
    /// Others than this machine may look without a token.
    pub public: bool,
}

/// Without the token, which is nothing for a log.
impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Status")
            .field("listen", &self.listen)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("public", &self.public)
            .finish()
    }
}

/// An address for the status page: TCP, in the notation of listening addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusAddress(pub SocketAddr);

impl FromStr for StatusAddress {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.parse()? {
            Listen::Tcp(address) => Ok(StatusAddress(address)),
            Listen::Udp(_) | Listen::Unix(_) => Err(Invalid::new(format!(
                "{} is not TCP, and a browser needs that: write it as in 127.0.0.1:8081",
                quoted(text)
            ))),
        }
    }
}

impl Written for StatusAddress {
    const WHAT: &'static str = "an address such as \"127.0.0.1:8081\"";
    const EXAMPLES: &'static [&'static str] = &["127.0.0.1:8081", "[::1]:8081", "*:8081"];
}

written!(StatusAddress);

/// The status page, its JSON, `/metrics`, `/healthz` and `/readyz`.
#[derive(Args, Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Status")]
#[command(next_help_heading = "Status page")]
pub struct StatusOptions {
    /// Address of a page that shows live what goes through [default: no page]
    ///
    /// A port alone means 127.0.0.1. The address also serves the same as JSON, Prometheus metrics at
    /// /metrics, /healthz and /readyz.
    #[arg(id = "status", long = "status", value_name = "ADDR")]
    pub listen: Option<StatusAddress>,

    /// What has to be shown to end a connection; a file keeps it better.
    #[arg(skip)]
    pub token: Option<String>,

    /// File with the token that it takes to end a connection from the page [default: nobody can]
    ///
    /// The environment variable FORWARDER_STATUS_TOKEN does the same. There is no option for the
    /// token itself because everybody on this machine can read a command line.
    #[arg(id = "status_token_file", long = "status-token-file", value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// Let other machines look at the page without a token [default: no]
    #[arg(id = "status_public", long = "status-public")]
    #[serde(default)]
    pub public: bool,
}

/// A token file is read this far.
const TOKEN_MAX: u64 = 4096;

impl StatusOptions {
    pub(super) fn over(self, base: Self) -> Self {
        let own_token = self.token.is_some() || self.token_file.is_some();
        let from =
            if own_token { (self.token, self.token_file) } else { (base.token, base.token_file) };
        StatusOptions {
            listen: self.listen.or(base.listen),
            token: from.0,
            token_file: from.1,
            public: self.public || base.public,
        }
    }

    /// The page, if there is to be one; `token` is the environment's.
    pub(super) fn status(&self, token: Option<&str>) -> Result<Option<Status>, Problem> {
        let Some(StatusAddress(listen)) = self.listen else {
            return match self.stray() {
                Some(key) => Err(Problem::process(
                    "status",
                    key,
                    "there is no status page that this could apply to: give it an address, such as \
                     127.0.0.1:8081",
                )),
                None => Ok(None),
            };
        };
        let token = match (&self.token, &self.token_file) {
            (Some(_), Some(_)) => {
                let sentence = "a token is given as well as a file with one: remove one of the two";
                return Err(Problem::process("status", "token", sentence));
            }
            (Some(token), None) => Some(checked(token, "token", "the token")?),
            (None, Some(file)) => Some(token_in(file)?),
            (None, None) => {
                let named = |token| checked(token, "listen", "FORWARDER_STATUS_TOKEN");
                token.map(named).transpose()?
            }
        };
        Ok(Some(Status { listen, token, public: self.public }))
    }

    /// A key that means nothing without an address.
    fn stray(&self) -> Option<&'static str> {
        let given = [
            (self.token.is_some(), "token"),
            (self.token_file.is_some(), "token_file"),
            (self.public, "public"),
        ];
        given.into_iter().find(|(is_given, _)| *is_given).map(|(_, key)| key)
    }
}

fn token_in(file: &Path) -> Result<String, Problem> {
    let what = quoted(&file.to_string_lossy());
    let text = read(file).map_err(|error| {
        let sentence = format!("the token file {what} cannot be read ({error}): make it readable");
        Problem::process("status", "token_file", sentence)
    })?;
    checked(text.trim_end_matches(['\r', '\n']), "token_file", &format!("the token in {what}"))
}

fn read(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(TOKEN_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// A token travels in an HTTP header.
fn checked(token: &str, key: &'static str, what: &str) -> Result<String, Problem> {
    let wrong = if token.len() < 8 {
        "is shorter than 8 characters, which can be guessed"
    } else if token.len() > 256 {
        "is longer than 256 characters"
    } else if !token.bytes().all(|b| b.is_ascii_graphic()) {
        "contains something else than letters, digits and punctuation"
    } else {
        return Ok(token.to_owned());
    };
    let remedy = "make one with 'openssl rand -hex 16'";
    Err(Problem::process("status", key, format!("{what} {wrong}: {remedy}")))
}
