//! The options of the process, in one table, as those of a rule are in [`Rule`].

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use schemars::JsonSchema;
use serde::Deserialize;

use super::capture::Capture;
use super::notation::{ConfigValue, Notation};
use super::rule::Rule;
use super::status::Status;
use super::value::{Number, Threads, Time};

/// The process and its rules.
#[derive(Args, Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(default)]
#[command(next_help_heading = "Process")]
pub struct Config {
    /// Threads that share the work; 0 for one per core
    #[arg(long, value_name = "N", default_value = "1", value_parser = Threads::parse)]
    #[serde(with = "ConfigValue::<Threads>")]
    pub workers: usize,

    /// How long to wait for open connections when stopping
    ///
    /// SIGTERM or SIGINT stops: nothing new is accepted, and open connections may go on for this
    /// long. A second signal ends them at once.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = Time::<0>::parse)]
    #[serde(with = "ConfigValue::<Time<0>>")]
    pub drain: Duration,

    /// Maximum connections open at once, in all rules together
    ///
    /// Further clients wait in the system's queue (--backlog) until others have gone; datagrams of
    /// further clients are dropped. It is less if the limit on open files is too low for that many.
    #[arg(id = "max_connections_total", long = "max-connections-total", value_name = "N")]
    #[arg(default_value = "100000", value_parser = Number::<usize>::parse)]
    #[serde(rename = "max_connections_total", with = "ConfigValue::<Number<usize>>")]
    pub max_connections: usize,

    /// Unix socket over which a new process takes over the listening sockets [default: none]
    ///
    /// A process that is started with the same path takes the sockets over, without a connection
    /// being refused, and the one before drains.
    #[arg(long, value_name = "PATH")]
    pub handover: Option<PathBuf>,

    /// File that contains the process ID while the program runs [default: none]
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,

    /// User to run as once all addresses are bound, a name or a number [default: none]
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,

    /// Group to run as once all addresses are bound, a name or a number [default: none]
    ///
    /// With --user alone, it is the primary group of that user.
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,

    /// Directory that becomes the root once all addresses are bound [default: none]
    ///
    /// Files that are used later (Unix sockets, the configuration at a reload) are then looked up in
    /// it.
    #[arg(long, value_name = "DIR")]
    pub chroot: Option<PathBuf>,

    /// Reload when the configuration file changes
    #[arg(long, value_name = "BOOL", default_value = "false", default_missing_value = "true")]
    #[arg(action = ArgAction::Set, num_args = 0..=1, require_equals = true)]
    pub reload_on_change: bool,

    /// The log: its lines and its place.
    #[command(flatten)]
    pub log: Log,

    /// The bytes of connections, shown or written to a file.
    #[command(flatten)]
    pub capture: Capture,

    /// The status page; `None` is without one.
    #[arg(skip)]
    #[serde(skip)]
    pub status: Option<Status>,

    /// In the order in which they were written.
    #[arg(skip)]
    #[serde(skip)]
    pub rules: Vec<Rule>,

    /// Dangers of this configuration, in sentences for the log.
    #[arg(skip)]
    #[serde(skip)]
    pub warnings: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        static DEFAULT: LazyLock<Config> = LazyLock::new(super::defaults);
        DEFAULT.clone()
    }
}

impl Config {
    /// Logs the warnings.
    pub(crate) fn warn(&self) {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
    }
}

/// The log: its lines and its place.
#[derive(Args, Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default)]
#[command(next_help_heading = "Log")]
pub struct Log {
    /// Format of a line of the log
    #[arg(id = "log.format", long = "log-format", value_name = "FORMAT", default_value = "text")]
    pub format: LogFormat,

    /// The least important lines that are logged
    #[arg(id = "log.level", long = "log-level", value_name = "LEVEL", default_value = "info")]
    pub level: LogLevel,

    /// File that the log is appended to [default: standard error]
    ///
    /// SIGUSR1 opens it again, for log rotation.
    #[arg(id = "log.file", long = "log-file", value_name = "FILE")]
    pub file: Option<PathBuf>,
}

impl Default for Log {
    fn default() -> Self {
        super::defaults()
    }
}

/// How important a line is. The line at a connection's end is of level `info`.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Nothing at all.
    Off,
    /// Failures.
    Error,
    /// Dangers, and failures that are retried.
    Warn,
    /// One line for each connection at its end, and what happens to rules and targets.
    #[default]
    Info,
    /// Each decision about a connection.
    Debug,
    /// Each call.
    Trace,
}

/// The format of a line.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object a line.
    Json,
}
