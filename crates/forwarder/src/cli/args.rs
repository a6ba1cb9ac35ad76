//! The command line: `--help`, the man page and the completions come from here.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::diagnostic::{quoted, suggestion};
use crate::config::notation::Notation as _;
use crate::config::options::Options;
use crate::config::target::Route;
use crate::config::value::{Number, Time};
use crate::config::{Endpoint, Listen, ParseError, Target};

use super::{Error, text};

/// Forwards TCP connections, UDP datagrams and Unix sockets, to one target or to several.
#[derive(Clone, Parser)]
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
    /// Several targets are separated by commas. The end of this page explains how to write addresses.
    /// Without any rule, the program listens on 127.0.0.1:8080 and forwards to a small built-in site.
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

    /// Only check the file and the command line, and report what is wrong
    #[arg(long)]
    pub(super) check: bool,

    /// Address to listen on
    #[arg(short, long, value_name = "IP", default_value = "127.0.0.1", help_heading = CLASSIC)]
    #[arg(requires = "remote_ip")]
    pub(super) local_ip: String,

    /// Port to listen on
    #[arg(short = 'p', long, value_name = "PORT", default_value = "80", help_heading = CLASSIC)]
    #[arg(requires = "remote_ip", value_parser = Port::parse)]
    pub(super) local_port: u16,

    /// Name or address to forward to; the other three need it
    #[arg(short, long, value_name = "HOST", help_heading = CLASSIC)]
    pub(super) remote_ip: Option<String>,

    /// Port to forward to
    #[arg(short = 'P', long, value_name = "PORT", default_value = "80", help_heading = CLASSIC)]
    #[arg(requires = "remote_ip", value_parser = Port::parse)]
    pub(super) remote_port: u16,

    #[command(flatten)]
    pub(super) options: Options,

    #[command(subcommand)]
    pub(super) task: Option<Task>,
}

const CLASSIC: &str = "One rule, the classic way";

type Port = Number<u16, 0, 65535>;

/// Tasks other than forwarding.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum Task {
    /// Show the connections of a running forwarder in the terminal
    Top {
        /// The address that it got with --status
        #[arg(value_name = "ADDR", default_value = "127.0.0.1:8081", value_parser = page)]
        address: Endpoint,

        /// Time between two updates
        #[arg(long, value_name = "TIME", default_value = "1s", value_parser = <Time>::parse)]
        every: Duration,
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

fn page(text: &str) -> Result<Endpoint, ParseError> {
    match text.parse()? {
        Endpoint::Unix(_) => Err(ParseError::of(
            text,
            "is a Unix socket, and a status page has a host and a port: write it as in 127.0.0.1:8081",
        )),
        endpoint => Ok(endpoint),
    }
}

impl Args {
    /// The rules: the classic one first, then pairs, then `--rule`.
    pub(super) fn routes(&self) -> Result<Vec<Route>, Error> {
        let wrong = |option: &str, error| Error::new(format!("{option}: {error}"));
        let mut routes = Vec::new();
        if let Some(host) = &self.remote_ip {
            let listen = Listen::tcp(&self.local_ip, self.local_port)
                .map_err(|error| wrong("--local-ip", error))?;
            let target = Endpoint::host(host, self.remote_port)
                .map_err(|error| wrong("--remote-ip", error))?;
            routes.push(Route { listen, targets: vec![target.into()] });
        }
        for pair in self.pairs.chunks(2) {
            match pair {
                [listen, targets] => {
                    let route = Route::new(listen, targets);
                    routes.push(route.map_err(|error| Error::new(error.to_string()))?);
                }
                rest => return Err(unpaired(rest.first().map_or("", String::as_str))),
            }
        }
        routes.extend(self.rule.iter().cloned());
        Ok(routes)
    }
}

/// The route from 127.0.0.1:8080 to the built-in site, whose port is not known yet.
pub(super) fn demo() -> Route {
    let site = Endpoint::Host(Ipv4Addr::LOCALHOST.to_string(), 0);
    let listen = Listen::Tcp((Ipv4Addr::LOCALHOST, 8080).into());
    Route { listen, targets: vec![Target::from(site)] }
}

fn unpaired(word: &str) -> Error {
    let command = Args::command();
    let task = suggestion(word, command.get_subcommands().map(clap::Command::get_name));
    let route = word.split_once(':').filter(|(_, target)| target.parse::<Target>().is_ok());
    Error::new(match (task, route) {
        (Some(task), _) if task == word => {
            format!("'{task}' stands alone: write 'forwarder {task}' without other options")
        }
        (Some(task), _) => format!("{} is unknown: did you mean 'forwarder {task}'?", quoted(word)),
        (None, Some((listen, target))) if listen.parse::<Listen>().is_ok() => {
            format!("{} is one word: write '{listen} {target}'", quoted(word))
        }
        (None, _) => format!(
            "{} has no target: write LISTEN and TARGET, such as 8080 10.0.0.5:80",
            quoted(word)
        ),
    })
}
