//! Tests of the configuration, a file for each part of it.

mod addresses;
mod checks;
mod example;
mod files;
mod folder;
mod loops;
mod reading;
mod unknown;
mod values;

pub(crate) use folder::Folder;

use std::fs;

use super::file::load;
use super::model::Config;

const RULE: &str = "[[rule]]\nlisten = \"80\"\ntargets = [\"a:1\"]\n";

/// What `text` says as a file, or why it is refused.
fn config(text: &str) -> Result<Config, String> {
    let folder = Folder::new();
    let path = folder.path().join("forwarder.toml");
    fs::write(&path, text).unwrap();
    let prefix = format!("{}/", folder.path().display());
    load(&path, None).map_err(|error| error.to_string().replace(&prefix, ""))
}

#[track_caller]
fn refused(text: &str, sentences: &str) {
    assert_eq!(config(text).unwrap_err(), sentences, "\n{text}");
}
