//! Sentences for what the TOML parser and serde have to say.

use clap::{Args, Command};

use super::invalid::quoted;
use super::nearest::nearest;
use super::options::Options;
use super::rule_options::RuleOptions;

/// For a text that is no TOML.
pub(super) fn syntax(message: &str) -> String {
    let hint = match message {
        m if m.contains("duplicate key") => "write each key once",
        m if m.contains("string") => "put text, times and addresses in double quotes",
        _ => "write lines of key = value, below their [table]",
    };
    format!("this is not TOML ({}): {hint}", one_line(message))
}

/// For TOML that says something which the forwarder does not know.
pub(super) fn meaning(message: &str) -> String {
    let message = one_line(message);
    let mut words = message.split('`').skip(1).step_by(2);
    if message.starts_with("unknown field") {
        return unknown_key(words.next().unwrap_or_default(), &words.collect::<Vec<_>>());
    }
    if message.starts_with("unknown variant") {
        return unknown_word(words.next().unwrap_or_default(), &words.collect::<Vec<_>>());
    }
    if message == "wanted string or table" {
        return "this should be text in double quotes".to_owned();
    }
    match message.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected ")) {
        Some((found, expected)) => wrong_kind(found, expected),
        None => message,
    }
}

fn unknown_word(word: &str, known: &[&str]) -> String {
    let remedy = match nearest(word, known) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("write one of {}", listed(known, '"')),
    };
    format!("{} is not known here: {remedy}", quoted(word))
}

fn unknown_key(key: &str, known: &[&str]) -> String {
    let remedy = nearest(key, known)
        .map(|near| format!("did you mean '{near}'?"))
        .or_else(|| elsewhere(key, known))
        .unwrap_or_else(|| format!("the keys here are {}", listed(known, '\'')));
    format!("unknown key {}: {remedy}", quoted(key))
}

/// What to do with a key that would be right in another table.
fn elsewhere(key: &str, known: &[&str]) -> Option<String> {
    let is_rule = known.contains(&"listen") && known.contains(&"targets");
    let (command, home) = if is_rule {
        (Options::augment_args(Command::new("")), "above the first [table]")
    } else {
        (RuleOptions::augment_args(Command::new("")), "in a [[rule]] or in [defaults]")
    };
    let keys = command.get_arguments().map(|option| option.get_id().as_str());
    let keys: Vec<&str> =
        keys.chain((!is_rule).then_some(["listen", "targets"]).into_iter().flatten()).collect();
    nearest(key, &keys).map(|near| format!("'{near}' belongs {home}"))
}

/// `found` and `expected` are serde's words, such as ``integer `30` ``.
fn wrong_kind(found: &str, expected: &str) -> String {
    let should_be = match (found, expected) {
        ("map", "a sequence") => {
            return "one bracket makes this a single table: write [[rule]]".to_owned();
        }
        (found, "a sequence") => match found.strip_prefix("string ") {
            Some(text) => format!("a list: write [{text}]"),
            None => "a list in brackets".to_owned(),
        },
        (_, "a boolean") => "true or false".to_owned(),
        (_, "a string" | "path string") => "text in double quotes".to_owned(),
        (_, other) if other.starts_with("struct ") => {
            "a table, with lines of key = value below it".to_owned()
        }
        (_, other) => other.to_owned(),
    };
    let found = found.replace("sequence", "list").replace("map", "table");
    let article = if found.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("this is {article} {found}, and should be {should_be}")
}

fn listed(words: &[&str], quote: char) -> String {
    words.iter().map(|word| format!("{quote}{word}{quote}")).collect::<Vec<_>>().join(", ")
}

/// The parser puts some of what it says on lines of its own.
fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
