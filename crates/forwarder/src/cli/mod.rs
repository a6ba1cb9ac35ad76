//! The command line: from arguments to what there is to do.

mod args;
mod source;
mod text;

#[cfg(test)]
mod tests;

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use crate::config::{self, Config, Endpoint, Rule, schema};

use args::{Args, Task};
pub use source::Source;

/// A task, ready to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Forward. `config` is what `source` contains now; a reload asks it again.
    Run {
        /// Checked.
        config: Config,
        /// Where it comes from.
        source: Box<Source>,
    },
    /// Forward to the built-in site: the one rule's one target is 127.0.0.1:0, in the place of the
    /// site's address. There is nothing to reload.
    Demo(Config),
    /// Report that this configuration is valid.
    Check(Config),
    /// Show the connections of a running forwarder in the terminal.
    Top {
        /// Its status page: a host and a port.
        address: Endpoint,
        /// Time between two updates; never zero.
        every: Duration,
    },
    /// Print this text: help, the version, the man page, completions or the schema.
    Print(String),
}

/// Why the program does not start: a message, and the exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    message: String,
    exit_code: u8,
}

impl Error {
    /// For a wrong command line: exit code 2.
    fn new(message: impl Into<String>) -> Self {
        Error { message: message.into(), exit_code: 2 }
    }

    /// For a wrong command line, as clap describes it.
    fn usage(error: &clap::Error) -> Self {
        let text = error.render().to_string();
        Error::new(text.strip_prefix("error: ").unwrap_or(&text).trim_end())
    }

    /// For a wrong file: exit code 1.
    fn file(error: config::Error) -> Self {
        Error { message: error.to_string(), exit_code: 1 }
    }

    /// 2 for a wrong command line, 1 for a wrong file.
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Reads a command line, its first word being the program's name, and the file that it names.
///
/// # Errors
///
/// When the command line is wrong, or the file.
pub fn parse<I, A>(args: I) -> Result<Command, Error>
where
    I: IntoIterator<Item = A>,
    A: Into<OsString> + Clone,
{
    let token = env::var_os("FORWARDER_STATUS_TOKEN").filter(|token| !token.is_empty());
    parse_with(args, token.map(|token| token.to_string_lossy().into_owned()))
}

/// As `parse`, with the token that is in the environment.
fn parse_with<I, A>(args: I, token: Option<String>) -> Result<Command, Error>
where
    I: IntoIterator<Item = A>,
    A: Into<OsString> + Clone,
{
    let parsed = Args::command().try_get_matches_from(args).and_then(|matches| {
        let args = Args::from_arg_matches(&matches)?;
        Ok((args, given(matches)))
    });
    match parsed {
        Ok((Args { task: Some(task), .. }, _)) => Ok(run(task)),
        Ok((args, given)) => forward(args, given, token),
        Err(error)
            if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) =>
        {
            Ok(Command::Print(error.render().to_string()))
        }
        Err(error) => Err(Error::usage(&error)),
    }
}

/// The options that were given, without those at their defaults.
fn given(mut matches: ArgMatches) -> ArgMatches {
    let ids: Vec<String> = matches.ids().map(ToString::to_string).collect();
    for id in ids {
        if matches.value_source(&id) != Some(ValueSource::CommandLine) {
            // It is one of the IDs that there are.
            let _ = matches.try_clear_id(&id);
        }
    }
    matches
}

fn forward(args: Args, given: ArgMatches, token: Option<String>) -> Result<Command, Error> {
    let mut routes = args.routes()?;
    let is_demo = routes.is_empty() && args.config.is_none();
    if is_demo && args.check {
        let message = "--check has nothing to check: name a file with --config, or write rules";
        return Err(Error::new(message));
    }
    if is_demo {
        routes.push(args::demo());
    } else if routes.is_empty() {
        options_apply(&given)?;
    }
    let rule = args.options.defaults;
    let source = Source { file: args.config, given, routes, rule, token };
    let config = source.load()?;
    Ok(match (is_demo, args.check) {
        (true, _) => Command::Demo(config),
        (false, true) => Command::Check(config),
        (false, false) => Command::Run { config, source: Box::new(source) },
    })
}

/// Refuses options for rules where the command line has no rule: they would have no effect.
fn options_apply(given: &ArgMatches) -> Result<(), Error> {
    let command = <Rule as clap::Args>::augment_args(clap::Command::new(""));
    let mut options = command.get_arguments().map(|option| option.get_id().as_str());
    match options.find(|id| given.contains_id(id)) {
        None => Ok(()),
        Some(id) => Err(Error::new(format!(
            "--{} is for rules on the command line, and there are none: write {id} in the file's \
             [defaults]",
            id.replace('_', "-")
        ))),
    }
}

fn run(task: Task) -> Command {
    let mut text = Vec::new();
    match task {
        Task::Top { address, every } => return Command::Top { address, every },
        Task::Completions { shell } => {
            clap_complete::generate(shell, &mut Args::command(), "forwarder", &mut text);
        }
        Task::Man => {
            // Writing to memory does not fail.
            let _ = clap_mangen::Man::new(Args::command()).render(&mut text);
        }
        Task::Schema => text = schema::text().into_bytes(),
    }
    Command::Print(String::from_utf8_lossy(&text).into_owned())
}
