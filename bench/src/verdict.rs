//! Targets and their verdicts.

use std::fmt::{self, Write};

/// The verdict on a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The target is reached.
    Pass,
    /// The target is not reached.
    Fail,
    /// The run omitted a measurement that the target needs.
    NotMeasured,
}

impl Verdict {
    /// Returns the verdict as it appears in a table.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "**fail**",
            Verdict::NotMeasured => "not measured",
        }
    }
}

/// One target with the measured value and the verdict.
pub struct Target {
    /// The target in words.
    pub name: String,
    /// The measured value.
    pub measured: String,
    /// The verdict.
    pub verdict: Verdict,
}

impl Target {
    /// Creates a target that values up to `limit` reach.
    pub fn at_most(
        name: impl Into<String>,
        measured: Option<f64>,
        limit: f64,
        format: impl Fn(f64) -> String,
    ) -> Self {
        let name = format!("{}: at most {limit}", name.into());
        Target::judged(name, measured, |measured| measured <= limit, format)
    }

    /// Creates a target that values from `limit` reach.
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
