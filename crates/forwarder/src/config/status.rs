//! The status page and who may use it.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args};
use schemars::JsonSchema;
use serde::Deserialize;

use super::address::Listen;
use super::diagnostic::{Diagnostic, ParseError, quoted};
use super::file;
use super::notation::{ConfigValue, Notation};

/// Where the status page is, and who may do what there.
#[derive(Clone, PartialEq, Eq)]
pub struct Status {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Required for ending a connection or draining a target; without one, these are refused.
    pub token: Option<String>,
    /// Other machines may look without a token.
    pub public: bool,
}

/// Without the token, which must not get into a log.
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
pub struct StatusAddress;

impl Notation for StatusAddress {
    type Value = SocketAddr;
    const EXPECTED: &'static str = "an address such as \"127.0.0.1:8081\"";
    const EXAMPLES: &'static [&'static str] = &["127.0.0.1:8081", "[::1]:8081", "*:8081"];

    fn parse(text: &str) -> Result<SocketAddr, ParseError> {
        match text.parse()? {
            Listen::Tcp(address) => Ok(address),
            Listen::Udp(_) | Listen::Unix(_) => Err(ParseError::of(
                text,
                "is not TCP, and a browser needs that: write it as in 127.0.0.1:8081",
            )),
        }
    }
}

/// The status page, its JSON, `/metrics`, `/healthz` and `/readyz`.
#[derive(Args, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Status")]
#[command(next_help_heading = "Status page")]
pub struct StatusOptions {
    /// Address of a page that shows connections, targets and traffic [default: no page]
    ///
    /// A port alone means 127.0.0.1. The address also serves the same as JSON, Prometheus metrics at
    /// /metrics, /healthz and /readyz.
    #[arg(id = "status.listen", long = "status", value_name = "ADDR")]
    #[arg(value_parser = StatusAddress::parse)]
    #[serde(with = "ConfigValue::<Option<StatusAddress>>")]
    pub listen: Option<SocketAddr>,

    /// Token that is required to end a connection; a file is a better place for it.
    #[arg(skip)]
    pub token: Option<String>,

    /// File with the token that is required to end a connection [default: ending is refused]
    ///
    /// The environment variable FORWARDER_STATUS_TOKEN does the same. There is no option for the
    /// token itself because every user of this machine can read a command line.
    #[arg(id = "status.token_file", long = "status-token-file", value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// Let other machines look at the page without a token
    #[arg(id = "status.public", long = "status-public", value_name = "BOOL")]
    #[arg(default_value = "false", default_missing_value = "true")]
    #[arg(action = ArgAction::Set, num_args = 0..=1, require_equals = true)]
    pub public: bool,
}

/// Maximum number of bytes of a token file.
const MAX_TOKEN_FILE: u64 = 4096;

impl StatusOptions {
    /// The page, if there is to be one; `token` is the environment's.
    ///
    /// # Errors
    /// When the options contradict each other, or the token cannot be read or is too weak.
    pub(crate) fn status(&self, token: Option<&str>) -> Result<Option<Status>, Diagnostic> {
        let Some(listen) = self.listen else {
            let given = [
                (self.token.is_some(), "status.token"),
                (self.token_file.is_some(), "status.token_file"),
                (self.public, "status.public"),
            ];
            let message = "there is no status page that this could apply to: give it an address, such \
                           as 127.0.0.1:8081";
            return match given.into_iter().find(|(is_given, _)| *is_given) {
                Some((_, key)) => Err(Diagnostic::process(key, message)),
                None => Ok(None),
            };
        };
        let token = match (&self.token, &self.token_file, token) {
            (Some(_), Some(_), _) => {
                let message = "there is a token and a file with a token: remove one of the two";
                return Err(Diagnostic::process("status.token", message));
            }
            (Some(token), None, _) => Some(valid(token, "status.token", "the token")?),
            (None, Some(file), _) => Some(token_in(file)?),
            (None, None, Some(token)) => {
                Some(valid(token, "status.listen", "FORWARDER_STATUS_TOKEN")?)
            }
            (None, None, None) => None,
        };
        Ok(Some(Status { listen, token, public: self.public }))
    }
}

fn token_in(path: &Path) -> Result<String, Diagnostic> {
    let file = quoted(&path.to_string_lossy());
    let text = file::read(path, MAX_TOKEN_FILE).map_err(|error| {
        let message = format!("the token file {file} cannot be read ({error}): make it readable");
        Diagnostic::process("status.token_file", message)
    })?;
    let text = String::from_utf8_lossy(&text);
    let token = text.trim_end_matches(['\r', '\n']);
    valid(token, "status.token_file", &format!("the token in {file}"))
}

/// A token is sent in an HTTP header, and must not be easy to guess.
fn valid(token: &str, key: &'static str, what: &str) -> Result<String, Diagnostic> {
    let problem = if token.len() < 8 {
        "is shorter than 8 characters, which can be guessed"
    } else if token.len() > 256 {
        "is longer than 256 characters"
    } else if !token.bytes().all(|b| b.is_ascii_graphic()) {
        "contains characters other than letters, digits and punctuation"
    } else {
        return Ok(token.to_owned());
    };
    let remedy = "make one with 'openssl rand -hex 16'";
    Err(Diagnostic::process(key, format!("{what} {problem}: {remedy}")))
}
