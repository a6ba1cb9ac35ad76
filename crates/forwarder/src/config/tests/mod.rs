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

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use crate::cli::{self, Command};

use super::Config;

const RULE: &str = "[[rule]]\nlisten = \"80\"\ntargets = [\"a:1\"]\n";

/// What `text` says as a file, or why it is refused.
fn config(text: &str) -> Result<Config, String> {
    let folder = Folder::new();
    let path = folder.path().join("forwarder.toml");
    fs::write(&path, text).unwrap();
    let prefix = format!("{}/", folder.path().display());
    load(&path).map_err(|error| error.replace(&prefix, ""))
}

/// Returns the configuration in the file at `path`, or the error.
fn load(path: &Path) -> Result<Config, String> {
    let arguments = ["forwarder", "--check", "--config"].map(OsString::from);
    match cli::parse(arguments.into_iter().chain([path.into()])) {
        Ok(Command::Check(config)) => Ok(config),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

#[track_caller]
fn refused(text: &str, sentences: &str) {
    assert_eq!(config(text).unwrap_err(), sentences, "\n{text}");
}
