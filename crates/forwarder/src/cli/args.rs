//! The command line as it is written: `--help`, the man page and the completions come from here.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::config::invalid::{Invalid, quoted};
use crate::config::model::Endpoint;
use crate::config::options::Options;
use crate::config::rule::Route;
use crate::config::value::Period;

use super::text;

/// Forwards TCP connections, UDP datagrams and Unix sockets, to one target or to several.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "forwarder",
    version,
    override_usage = text::USAGE,
    after_help = text::SHORT_EXAMPLES,
    after_long_help = text::EXAMPLES,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    max_term_width = 100,
    next_help_heading = "What to forward"
)]
pub(super) struct Args {
    /// Where to listen and where to forward to, in pairs
    ///
    /// Several targets are separated by commas. How addresses are written is explained at the end of
    /// this page. Without any rule, the program listens on 127.0.0.1:8080 and forwards to a small
    /// built-in site.
    #[arg(value_name = "LISTEN TARGET")]
    pub(super) pairs: Vec<String>,

    /// One rule; repeat for more
    #[arg(long, value_name = "LISTEN=TARGET[,TARGET]...")]
    pub(super) rule: Vec<Route>,

    /// TOML file with rules and options, in addition to those on the command line
    ///
    /// An option on the command line overrides the file's, except that those of a rule (from
    /// --balance on) apply to the rules on the command line only: the file's rules have their own,
    /// and its [defaults]. SIGHUP reads the file again.
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// Only check the file and the command line, and say what is wrong
    #[arg(long)]
    pub(super) check: bool,

    /// Address to listen on [default: 127.0.0.1]
    #[arg(short, long, value_name = "IP", help_heading = CLASSIC)]
    pub(super) local_ip: Option<String>,

    /// Port to listen on [default: 80]
    #[arg(short = 'p', long, value_name = "PORT", help_heading = CLASSIC)]
    pub(super) local_port: Option<Port>,

    /// Name or address to forward to; the other three need it
    #[arg(short, long, value_name = "HOST", help_heading = CLASSIC)]
    pub(super) remote_ip: Option<String>,

    /// Port to forward to [default: 80]
    #[arg(short = 'P', long, value_name = "PORT", help_heading = CLASSIC)]
    pub(super) remote_port: Option<Port>,

    #[command(flatten)]
    pub(super) options: Options,

    #[command(subcommand)]
    pub(super) task: Option<Task>,
}

const CLASSIC: &str = "One rule, the classic way";

/// What to do other than to forward.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum Task {
    /// Show in the terminal what goes through a running forwarder
    Top {
        /// The address that it got with --status
        #[arg(value_name = "ADDR", default_value = "127.0.0.1:8081")]
        address: TopAddress,

        /// How often it is asked
        #[arg(long, value_name = "TIME", default_value = "1s")]
        every: Period,
    },
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the man page
    Man,
    /// Print the JSON Schema of configuration files, for editors
    Schema,
}

/// A port, 0 for any free one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Port(pub(super) u16);

impl FromStr for Port {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_number = text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| is_number).map(Port).ok_or_else(|| {
            Invalid::new(format!("{} is not a port: write a number from 0 to 65535", quoted(text)))
        })
    }
}

/// Where a status page is.
#[derive(Clone, Debug)]
pub(super) struct TopAddress(pub(super) Endpoint);

impl FromStr for TopAddress {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.parse()? {
            Endpoint::Unix(_) => Err(Invalid::new(format!(
                "{} is a Unix socket, and a status page has a host and a port: write it as in \
                 127.0.0.1:8081",
                quoted(text)
            ))),
            endpoint => Ok(TopAddress(endpoint)),
        }
    }
}
