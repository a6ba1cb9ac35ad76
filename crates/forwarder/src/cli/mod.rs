//! The command line: from arguments to what there is to do.

mod args;
mod option_names;
mod routes;
mod source;
mod task;
mod text;
mod usage;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use crate::config::model::{Config, Endpoint};

use args::Args;
pub use source::Source;
pub use usage::Usage;

/// What there is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Forward. `config` is what `source` says now; at a reload it is asked again.
    Run {
        /// Checked.
        config: Config,
        /// Where it comes from.
        source: Box<Source>,
    },
    /// Forward to the built-in site: the one rule's one target is 127.0.0.1:0, in the place of the
    /// site's address. There is nothing to reload.
    Demo(Config),
    /// Say that all is well with this configuration, as it is.
    Check(Config),
    /// Show in the terminal what goes through a running forwarder.
    Top {
        /// Its status page: a host and a port.
        address: Endpoint,
        /// From one question to the next; never zero.
        every: Duration,
    },
    /// Print this text: help, the version, the man page, completions or the schema.
    Print(String),
}

/// Reads a command line, its first word being the program's name, and the file that it names.
///
/// # Errors
///
/// When the command line is wrong, or the file.
pub fn parse<I, A>(args: I) -> Result<Command, Usage>
where
    I: IntoIterator<Item = A>,
    A: Into<OsString> + Clone,
{
    let token = env::var_os("FORWARDER_STATUS_TOKEN").filter(|token| !token.is_empty());
    parse_with(args, token.map(|token| token.to_string_lossy().into_owned()))
}

/// As `parse`, with the token that is in the environment.
fn parse_with<I, A>(args: I, token: Option<String>) -> Result<Command, Usage>
where
    I: IntoIterator<Item = A>,
    A: Into<OsString> + Clone,
{
    let parsed = Args::command().try_get_matches_from(args).and_then(|matches| {
        let given = given(&matches);
        Args::from_arg_matches(&matches).map(|args| (args, given))
    });
    match parsed {
        Ok((Args { task: Some(task), .. }, _)) => task::command(task),
        Ok((args, given)) => forward(args, given, token),
        Err(error)
            if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) =>
        {
            Ok(Command::Print(error.render().to_string()))
        }
        Err(error) => Err(Usage::parser(&error)),
    }
}

fn given(matches: &ArgMatches) -> BTreeSet<String> {
    let is_given = |id: &&str| matches.value_source(id) == Some(ValueSource::CommandLine);
    matches.ids().map(clap::Id::as_str).filter(is_given).map(str::to_owned).collect()
}

fn forward(args: Args, given: BTreeSet<String>, token: Option<String>) -> Result<Command, Usage> {
    let mut routes = routes::routes(&args)?;
    let is_demo = routes.is_empty() && args.config.is_none();
    if is_demo && args.check {
        return Err(Usage::new(
            "--check has nothing to check: name a file with --config, or write rules",
        ));
    }
    if routes.is_empty() && !is_demo {
        options_apply(&given)?;
    }
    if is_demo {
        routes.push(routes::demo());
    }
    let source = Source { file: args.config, options: args.options, given, routes, token };
    let config = source.load()?;
    Ok(match (is_demo, args.check) {
        (true, _) => Command::Demo(config),
        (false, true) => Command::Check(config),
        (false, false) => Command::Run { config, source: Box::new(source) },
    })
}

/// Refuses options for rules where the command line has no rule: they would do nothing.
fn options_apply(given: &BTreeSet<String>) -> Result<(), Usage> {
    match option_names::for_rules().into_iter().find(|id| given.contains(id)) {
        None => Ok(()),
        Some(id) => Err(Usage::new(format!(
            "--{} is for rules on the command line, and there are none: write {id} in the file's \
             [defaults]",
            id.replace('_', "-")
        ))),
    }
}
