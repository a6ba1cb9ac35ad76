//! Where a configuration comes from, to get it again at a reload.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::check::check;
use crate::config::file::File;
use crate::config::model::{Config, Rule};
use crate::config::options::Options;
use crate::config::problem::{Place, Problem};
use crate::config::rule::Route;

use super::option_names::{as_option, in_options};
use super::usage::Usage;

/// A command line, and the file that it names: together they give the configuration.
#[derive(Clone, PartialEq)]
pub struct Source {
    pub(super) file: Option<PathBuf>,
    pub(super) options: Options,
    /// The options that were given, by their names in files.
    pub(super) given: BTreeSet<String>,
    pub(super) routes: Vec<Route>,
    /// The environment's.
    pub(super) token: Option<String>,
}

impl Source {
    /// Reads the file, if there is one, and checks it together with the command line.
    ///
    /// # Errors
    ///
    /// All that is wrong with the file or, when that is well by itself, with the command line.
    pub fn load(&self) -> Result<Config, Usage> {
        let file = self.file.as_deref().map(File::read).transpose().map_err(|e| Usage::file(&e))?;
        let written = file.as_ref().map(|file| file.options.clone()).unwrap_or_default();
        let in_file = written.rule.len();
        let refused = |problems: &[Problem]| self.refused(file.as_ref(), in_file, problems);

        let options = self.options.clone().over(written);
        let mut config =
            options.config(self.token.as_deref()).map_err(|problems| refused(&problems))?;
        let rules = self.routes.iter().map(|route| self.rule(route.clone()));
        config.rules.extend(rules);
        match check(&config) {
            problems if problems.is_empty() => Ok(config),
            problems => Err(refused(&problems)),
        }
    }

    /// The file that is read again at a reload; without one there is nothing to reload.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    fn rule(&self, route: Route) -> Rule {
        self.options.defaults.clone().rule(route.listen, route.targets)
    }

    fn refused(&self, file: Option<&File>, in_file: usize, problems: &[Problem]) -> Usage {
        let is_files = |problem: &Problem| match problem.place {
            Place::Process(table, key) => !self.given.contains(&as_option(table, key)),
            Place::Rule(index, ..) => index < in_file,
        };
        let (files, own): (Vec<_>, Vec<_>) = problems.iter().cloned().partition(is_files);
        match file {
            Some(file) if !files.is_empty() => Usage::file(&file.error(&files)),
            _ => {
                let problems = if own.is_empty() { files } else { own };
                let mut sentences: Vec<String> =
                    problems.iter().map(|problem| self.sentence(in_file, problem)).collect();
                sentences.dedup();
                Usage::new(sentences.join("\n"))
            }
        }
    }

    fn sentence(&self, in_file: usize, problem: &Problem) -> String {
        let sentence = in_options(&problem.sentence);
        let id = match problem.place {
            Place::Process(table, key) => as_option(table, key),
            Place::Rule(index, "name" | "listen" | "targets", _) => {
                return match index.checked_sub(in_file).and_then(|index| self.routes.get(index)) {
                    Some(route) => format!("rule '{route}': {sentence}"),
                    None => sentence,
                };
            }
            Place::Rule(_, key, _) => as_option("", key),
        };
        format!("--{}: {sentence}", id.replace('_', "-"))
    }
}

/// Without what the environment said, which is a secret.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("file", &self.file)
            .field("routes", &self.routes)
            .finish_non_exhaustive()
    }
}
