//! All that can be said about the process, and about the rules in a file.

use std::path::PathBuf;
use std::thread;

use clap::Args;
use schemars::JsonSchema;
use serde::Deserialize;

use super::capture::CaptureOptions;
use super::log::LogOptions;
use super::model::{Config, Rule};
use super::problem::Problem;
use super::rule_options::RuleOptions;
use super::status::StatusOptions;
use super::value::{Count, Period};

/// A configuration as it is written: a whole file, or the options on a command line.
#[derive(Args, Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[schemars(title = "forwarder", description = "The configuration of forwarder.")]
#[command(next_help_heading = "Process")]
pub struct Options {
    /// Threads that share the work; 0 for one per core [default: 1]
    #[arg(long, value_name = "N")]
    pub workers: Option<Count>,

    /// How long to wait for open connections when stopping [default: 30s]
    ///
    /// SIGTERM or SIGINT stops: nothing new is accepted, and open connections may go on for this
    /// long. A second signal ends them at once.
    #[arg(long, value_name = "TIME")]
    pub drain: Option<Period>,

    /// Maximum connections open at once, in all rules together [default: 100000]
    ///
    /// Further clients wait in the system's queue (--backlog) until others have gone; datagrams of
    /// further clients are dropped. It is less if the limit on open files is too low for that many.
    #[arg(long, value_name = "N")]
    pub max_connections_total: Option<Count>,

    /// Unix socket over which a new process takes over the listening sockets [default: none]
    ///
    /// A process that is started with the same path takes the sockets over, without a connection
    /// being refused, and the one before drains.
    #[arg(long, value_name = "PATH")]
    pub handover: Option<PathBuf>,

    /// File that holds the process ID while the program runs [default: none]
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

    /// Reload when the configuration file changes [default: no]
    #[arg(long)]
    #[serde(default)]
    pub reload_on_change: bool,

    /// A page that shows live what goes through.
    #[command(flatten)]
    #[serde(default)]
    pub status: StatusOptions,

    /// What is logged.
    #[command(flatten)]
    #[serde(default)]
    pub log: LogOptions,

    /// The bytes of connections, shown or written to a file.
    #[command(flatten)]
    #[serde(default)]
    pub capture: CaptureOptions,

    /// Options for every rule that does not set them itself.
    #[command(flatten)]
    #[serde(default)]
    pub defaults: RuleOptions,

    /// One table for each rule: where it listens, where its connections go, and options.
    #[arg(skip)]
    #[serde(default)]
    pub rule: Vec<RuleOptions>,
}

impl Options {
    /// What is said here about the process, and otherwise what `base` says; the rules are `base`'s.
    pub fn over(self, base: Self) -> Self {
        Options {
            workers: self.workers.or(base.workers),
            drain: self.drain.or(base.drain),
            max_connections_total: self.max_connections_total.or(base.max_connections_total),
            handover: self.handover.or(base.handover),
            pid_file: self.pid_file.or(base.pid_file),
            user: self.user.or(base.user),
            group: self.group.or(base.group),
            chroot: self.chroot.or(base.chroot),
            reload_on_change: self.reload_on_change || base.reload_on_change,
            status: self.status.over(base.status),
            log: self.log.over(base.log),
            capture: self.capture.over(base.capture),
            defaults: base.defaults,
            rule: base.rule,
        }
    }

    /// The configuration that this describes, not yet checked; `token` is for the status page when
    /// nothing is said about one here.
    ///
    /// # Errors
    ///
    /// What is missing or stands where it does not belong.
    pub fn config(self, token: Option<&str>) -> Result<Config, Vec<Problem>> {
        let usual = Config::default();
        let mut problems = Vec::new();
        let status = self.status.status(token).unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        if self.capture.pcapng.is_none() && self.capture.pcapng_filter.is_some() {
            let sentence =
                "there is no capture file that this could apply to: name one with `pcapng`";
            problems.push(Problem::process("capture", "pcapng_filter", sentence));
        }
        let rules = rules(self.rule, &self.defaults, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Config {
            workers: self.workers.map_or(usual.workers, threads),
            drain: self.drain.map_or(usual.drain, |Period(time)| time),
            max_connections: self
                .max_connections_total
                .map_or(usual.max_connections, |Count(n)| n as usize),
            status,
            log: self.log.log(),
            capture: self.capture.capture(),
            handover: self.handover,
            pid_file: self.pid_file,
            user: self.user,
            group: self.group,
            chroot: self.chroot,
            reload_on_change: self.reload_on_change,
            rules,
        })
    }
}

fn rules(
    written: Vec<RuleOptions>,
    defaults: &RuleOptions,
    problems: &mut Vec<Problem>,
) -> Vec<Rule> {
    for (is_given, key) in [
        (defaults.name.is_some(), "name"),
        (defaults.listen.is_some(), "listen"),
        (defaults.targets.is_some(), "targets"),
    ] {
        if is_given {
            let sentence =
                format!("`{key}` is for one rule and not for all: move it to a [[rule]]");
            problems.push(Problem::process("defaults", key, sentence));
        }
    }
    let mut rules = Vec::with_capacity(written.len());
    for (index, rule) in written.into_iter().enumerate() {
        let mut rule = rule.or(defaults);
        match (rule.listen.take(), rule.targets.take()) {
            (None, _) => {
                let sentence = "this rule has no `listen`: add a line such as listen = \"8080\"";
                problems.push(Problem::rule(index, "listen", sentence));
            }
            (_, None) => {
                let sentence =
                    "this rule has no `targets`: add a line such as targets = [\"10.0.0.5:80\"]";
                problems.push(Problem::rule(index, "targets", sentence));
            }
            (Some(listen), Some(targets)) => rules.push(rule.rule(listen, targets)),
        }
    }
    rules
}

fn threads(Count(n): Count) -> usize {
    match n {
        0 => thread::available_parallelism().map_or(1, usize::from),
        n => n as usize,
    }
}
