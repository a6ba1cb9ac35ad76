//! Targets, and whether they are reached.

use std::fmt::{self, Write};

/// Whether a target is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Pass,
    /// It is not.
    Fail,
    /// What it needs was left out of the run.
    NotMeasured,
}

impl Verdict {
    /// How a table says it.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "**fail**",
            Verdict::NotMeasured => "not measured",
        }
    }
}

/// One target: what it is, what was measured, and whether that is enough.
pub struct Target {
    /// What is to be reached.
    pub name: String,
    /// What was.
    pub measured: String,
    /// Whether that is enough.
    pub verdict: Verdict,
}

impl Target {
    /// One that is reached by at most `limit`.
    pub fn at_most(
        name: impl Into<String>,
        measured: Option<f64>,
        limit: f64,
        format: impl Fn(f64) -> String,
    ) -> Self {
        let name = format!("{}: at most {limit}", name.into());
        Target::judged(name, measured, |measured| measured <= limit, format)
    }

    /// One that is reached by at least `limit`.
    pub fn at_least(
        name: impl Into<String>,
        measured: Option<f64>,
        limit: f64,
        format: impl Fn(f64) -> String,
    ) -> Self {
        let name = format!("{}: at least {limit}", name.into());
        Target::judged(name, measured, |measured| measured >= limit, format)
    }

    /// Writes the section of `targets`, whose first column is `heading`.
    ///
    /// # Errors
    /// Never: writing to a string cannot fail.
    pub fn write_table(targets: &[Target], heading: &str, out: &mut String) -> fmt::Result {
        writeln!(out, "## Targets\n")?;
        writeln!(out, "| {heading} | Measured | Verdict |\n|---|---|---|")?;
        for Target { name, measured, verdict } in targets {
            writeln!(out, "| {name} | {measured} | {} |", verdict.word())?;
        }
        writeln!(out)
    }

    fn judged(
        name: String,
        measured: Option<f64>,
        passes: impl Fn(f64) -> bool,
        format: impl Fn(f64) -> String,
    ) -> Self {
        let verdict = match measured {
            None => Verdict::NotMeasured,
            Some(measured) if passes(measured) => Verdict::Pass,
            Some(_) => Verdict::Fail,
        };
        Target { name, measured: measured.map_or("–".to_owned(), format), verdict }
    }
}
