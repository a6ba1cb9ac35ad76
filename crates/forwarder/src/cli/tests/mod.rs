//! Tests of the command line.

mod files;
mod help;
mod options;
mod rules;
mod usage;

use crate::config::Config;

use super::{Command, Error, parse_with};

/// What the program is to do with these arguments.
fn command(arguments: &[&str]) -> Result<Command, Error> {
    parse_with(["forwarder"].iter().chain(arguments), None)
}

/// The configuration that it is to run with.
#[track_caller]
fn run(arguments: &[&str]) -> Config {
    match command(arguments) {
        Ok(Command::Run { config, .. }) => config,
        other => panic!("{arguments:?}: {other:?}"),
    }
}

/// What it prints.
#[track_caller]
fn printed(arguments: &[&str]) -> String {
    match command(arguments) {
        Ok(Command::Print(text)) => text,
        other => panic!("{arguments:?}: {other:?}"),
    }
}
