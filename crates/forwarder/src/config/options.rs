//! The options of a file or of a command line, before they become a configuration.

use std::ops::Range;

use clap::Args;
use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer, ValueDeserializer};

use super::diagnostic::{quoted, suggestion};
use super::process::Config;
use super::rule::Rule;
use super::schema::{self, Table};
use super::status::StatusOptions;

/// All tables of a file. On the command line, `defaults` are the options of its rules.
#[derive(Args, Clone, Default, JsonSchema)]
#[schemars(title = "forwarder", description = "The configuration of forwarder.")]
pub struct Options {
    /// Options of the process.
    #[command(flatten)]
    #[schemars(flatten)]
    pub config: Config,

    /// A page that shows connections, targets and traffic.
    #[command(flatten)]
    pub status: StatusOptions,

    /// Options for every rule that does not set them itself.
    #[command(flatten)]
    pub defaults: Rule,

    /// One table for each rule: where it listens, where its connections go, and options.
    #[arg(skip)]
    pub rule: Vec<Rule>,
}

/// Places and messages of mistakes.
pub(super) type Found = Vec<(Range<usize>, String)>;

impl Options {
    /// Sets what `document` contains; returns what is wrong with it.
    pub(super) fn apply(&mut self, document: Spanned<DeTable<'_>>) -> Found {
        let mut found = unknown_keys(document.get_ref());
        if !found.is_empty() {
            return found;
        }
        let span = document.span();
        let mut document = document.into_inner();
        let (rules, status) = (document.remove("rule"), document.remove("status"));
        let defaults = document.remove("defaults");

        let document = Deserializer::from(Spanned::new(span, document));
        set(&mut self.config, Config::deserialize(document), &mut found);
        set_table(&mut self.status, status, &mut found);
        let mut inherited = DeTable::new();
        if let Some(DeValue::Table(table)) = defaults.as_ref().map(Spanned::get_ref) {
            inherited = table.clone();
        }
        let before = found.len();
        set_table(&mut self.defaults, defaults, &mut found);
        let Some(DeValue::Array(rules)) = rules.map(Spanned::into_inner) else { return found };
        // The same mistake in the defaults would be found again in each rule.
        if found.len() > before {
            return found;
        }
        for mut rule in rules {
            if let DeValue::Table(table) = rule.get_mut() {
                for (key, value) in &inherited {
                    table.entry(key.clone()).or_insert_with(|| value.clone());
                }
            }
            let place = rule.get_ref().get("listen").map_or(rule.span(), Spanned::span);
            let lacks = |key: &str| rule.get_ref().get(key).is_none();
            let needed = [("listen", "\"8080\""), ("targets", "[\"10.0.0.5:80\"]")];
            if let Some((key, example)) = needed.into_iter().find(|(key, _)| lacks(key)) {
                let message =
                    format!("this rule has no {key}: add a line such as {key} = {example}");
                found.push((place, message));
                continue;
            }
            let is_named = !lacks("name");
            let mut read = Rule::default();
            set_table(&mut read, Some(rule), &mut found);
            if !is_named {
                read.name = read.listen.to_string();
            }
            self.rule.push(read);
        }
        found
    }
}

fn set_table<'de, T: Deserialize<'de>>(
    to: &mut T,
    table: Option<Spanned<DeValue<'de>>>,
    found: &mut Found,
) {
    if let Some(table) = table {
        set(to, T::deserialize(ValueDeserializer::from(table)), found);
    }
}

fn set<T>(to: &mut T, read: Result<T, toml::de::Error>, found: &mut Found) {
    match read {
        Ok(value) => *to = value,
        Err(error) => found.push(message(&error)),
    }
}

/// The place and the message of an error that the TOML reader found.
pub(super) fn message(error: &toml::de::Error) -> (Range<usize>, String) {
    let words: Vec<&str> = error.message().split_whitespace().collect();
    (error.span().unwrap_or(0..0), words.join(" "))
}

/// Keys that no table has, or that are in the wrong table.
fn unknown_keys(document: &DeTable<'_>) -> Found {
    let mut found = unknown_in(document, Table::Process);
    for (key, table) in [
        ("status", Table::Status),
        ("log", Table::Log),
        ("capture", Table::Capture),
        ("defaults", Table::Rule),
    ] {
        match document.get(key).map(|value| (value.get_ref(), value.span())) {
            Some((DeValue::Table(value), _)) => found.extend(unknown_in(value, table)),
            Some((_, span)) => found.push((span, format!("this should be a table: write [{key}]"))),
            None => {}
        }
    }
    if let Some(DeValue::Table(defaults)) = document.get("defaults").map(Spanned::get_ref) {
        for key in ["name", "listen", "targets"] {
            let message = format!("{key} is for one rule and not for all: move it to a [[rule]]");
            found.extend(defaults.get(key).map(|value| (value.span(), message)));
        }
    }
    match document.get("rule").map(|value| (value.get_ref(), value.span())) {
        Some((DeValue::Array(rules), _)) => {
            for rule in rules.iter() {
                match rule.get_ref() {
                    DeValue::Table(rule) => found.extend(unknown_in(rule, Table::Rule)),
                    _ => found.push((rule.span(), "this should be a table: write [[rule]]".into())),
                }
            }
        }
        Some((_, span)) => {
            let message = "a file has a list of rules: write [[rule]], with two brackets";
            found.push((span, message.to_owned()));
        }
        None => {}
    }
    found
}

fn unknown_in(table: &DeTable<'_>, kind: Table) -> Found {
    let known = schema::keys(kind);
    let unknown = table.keys().filter(|key| !known.contains(key.get_ref().as_ref()));
    unknown.map(|key| (key.span(), unknown_key(key.get_ref(), kind))).collect()
}

fn unknown_key(key: &str, table: Table) -> String {
    let known = |table| schema::keys(table).iter().map(String::as_str);
    let (other, home) = match table {
        Table::Rule => (Table::Process, "above the first [table]"),
        _ => (Table::Rule, "in a [[rule]] or in [defaults]"),
    };
    let elsewhere = || suggestion(key, known(other)).map(|near| format!("'{near}' belongs {home}"));
    let remedy = suggestion(key, known(table))
        .map(|near| format!("did you mean '{near}'?"))
        .or_else(elsewhere)
        .unwrap_or_else(|| {
            let keys: Vec<&str> = known(table).collect();
            format!("the keys here are '{}'", keys.join("', '"))
        });
    format!("unknown key {}: {remedy}", quoted(key))
}
