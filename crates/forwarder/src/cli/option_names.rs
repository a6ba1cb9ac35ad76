//! From the keys of files to the options of the command line.

use clap::{Args, Command};

use crate::config::options::Options;
use crate::config::rule_options::RuleOptions;

/// What the option is called that does the same as a key, with `_` for `-` and without the dashes.
pub(super) fn as_option(table: &str, key: &str) -> String {
    match (table, key) {
        ("status", "listen") => "status".to_owned(),
        ("status" | "log", key) => format!("{table}_{key}"),
        (_, key) => key.to_owned(),
    }
}

/// The sentence with the options' names for the keys that stand in backticks.
pub(super) fn in_options(sentence: &str) -> String {
    let known = ids(Options::augment_args(Command::new("")));
    let is_known = |name: &String| known.contains(name);
    let mut words = Vec::new();
    for (i, word) in sentence.split('`').enumerate() {
        let names = [as_option("", word), as_option("status", word)];
        match names.into_iter().find(is_known) {
            Some(name) if i % 2 == 1 => words.push(format!("--{}", name.replace('_', "-"))),
            _ => words.push(word.to_owned()),
        }
    }
    words.concat()
}

/// The options that are about rules.
pub(super) fn for_rules() -> Vec<String> {
    ids(RuleOptions::augment_args(Command::new("")))
}

fn ids(command: Command) -> Vec<String> {
    command.get_arguments().map(|option| option.get_id().to_string()).collect()
}
