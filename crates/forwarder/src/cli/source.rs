//! Where a configuration comes from, to get it again at a reload.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};

use crate::config::diagnostic::quoted;
use crate::config::file::{self, File};
use crate::config::options::Options;
use crate::config::target::Route;
use crate::config::validate::check;
use crate::config::{Config, Diagnostic, Rule};

use super::Error;
use super::args::Args;

/// A command line, and the file that it names: together they give the configuration.
#[derive(Clone, PartialEq)]
pub struct Source {
    pub(super) file: Option<PathBuf>,
    /// The options that were given, without those at their defaults.
    pub(super) given: ArgMatches,
    pub(super) routes: Vec<Route>,
    /// The options of the rules for `routes`.
    pub(super) rule: Rule,
    /// The environment's token for the status page.
    pub(super) token: Option<String>,
}

impl Source {
    /// Reads the file, if there is one, and checks it together with the command line.
    ///
    /// # Errors
    /// With all that is wrong with the file or, when the file is right, with the command line.
    pub fn load(&self) -> Result<Config, Error> {
        let file = self.file.as_deref().map(File::read).transpose().map_err(Error::file)?;
        let mut options = file.as_ref().map(|file| file.options.clone()).unwrap_or_default();
        let in_file = options.rule.len();
        let refused = |found: Vec<Diagnostic>| self.refused(file.as_ref(), in_file, &found);

        if self.given.contains_id("status.token_file") {
            options.status.token = None;
        }
        options.update_from_arg_matches(&self.given).map_err(|error| Error::usage(&error))?;
        let status = options.status.status(self.token.as_deref());
        let status = status.map_err(|diagnostic| refused(vec![diagnostic]))?;
        let warnings = if status.is_some() { self.warnings(&options) } else { Vec::new() };
        let own = self.routes.iter().map(|route| self.rule.with_route(route.clone()));
        let rules = options.rule.into_iter().chain(own).collect();
        let config = Config { status, rules, warnings, ..options.config };
        match check(&config) {
            found if found.is_empty() => Ok(config),
            found => Err(refused(found)),
        }
    }

    /// The file that is read again at a reload; without one there is nothing to reload.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Secrets that every user of the machine can read.
    fn warnings(&self, options: &Options) -> Vec<String> {
        let token_file = options.status.token_file.as_deref();
        let with_token = self.file.as_deref().filter(|_| options.status.token.is_some());
        let secrets = token_file.map(|path| ("the token file", path)).into_iter();
        let secrets = secrets.chain(with_token.map(|path| ("the token in", path)));
        let exposed = secrets.filter(|(_, path)| file::is_world_readable(path));
        let warning = |(what, path): (&str, &Path)| {
            let path = path.to_string_lossy();
            let file = quoted(&path);
            format!("every user of this machine can read {what} {file}: chmod o-r {path}")
        };
        exposed.map(warning).collect()
    }

    fn refused(&self, file: Option<&File>, in_file: usize, found: &[Diagnostic]) -> Error {
        let is_files = |diagnostic: &&Diagnostic| match diagnostic.rule {
            // Some keys are no options of the command line.
            None => !self.given.try_contains_id(diagnostic.key).unwrap_or(false),
            Some(index) => index < in_file,
        };
        let (files, own): (Vec<_>, Vec<_>) = found.iter().partition(is_files);
        match file {
            Some(file) if !files.is_empty() => Error::file(file.error(files)),
            _ => {
                let found = if own.is_empty() { files } else { own };
                let lines = found.into_iter().map(|diagnostic| self.line(in_file, diagnostic));
                Error::new(crate::config::Error::new(lines).to_string())
            }
        }
    }

    fn line(&self, in_file: usize, diagnostic: &Diagnostic) -> String {
        let Diagnostic { rule, key, message, .. } = diagnostic;
        let route = rule.and_then(|index| self.routes.get(index.checked_sub(in_file)?));
        let command = Args::command();
        let option = command.get_arguments().find(|option| option.get_id() == key);
        match (option.and_then(clap::Arg::get_long), route) {
            (Some(option), _) => format!("--{option}: {message}"),
            (None, Some(route)) => format!("rule '{route}': {message}"),
            (None, None) => message.clone(),
        }
    }
}

/// Without what the environment contains, which is a secret.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("file", &self.file)
            .field("routes", &self.routes)
            .finish_non_exhaustive()
    }
}
