//! The page that a comparison generates.

use std::path::Path;
use std::{env, fs};

use anyhow::{Context, Result};

use crate::stats::Summary;
use crate::verdict::{Target, Verdict};

/// Returns the command line of this run; `program` is the command that starts the comparison.
pub fn command(program: &str) -> String {
    let mut words = vec![program.to_owned()];
    let arguments: Vec<String> = env::args().skip(1).collect();
    if !arguments.is_empty() {
        words.push("--".to_owned());
        words.extend(arguments);
    }
    words.join(" ")
}

/// Formats the median and the range for a table, in `unit`, with `decimals` decimal places.
pub fn cells(summary: Option<Summary>, unit: f64, decimals: usize) -> [String; 2] {
    match summary {
        Some(Summary { median, min, max }) => {
            let [median, min, max] = [median, min, max].map(|value| value / unit);
            [format!("{median:.decimals$}"), format!("{min:.decimals$}–{max:.decimals$}")]
        }
        None => ["–".to_owned(), "–".to_owned()],
    }
}

/// Writes `markdown` to `file` and prints how many `targets` are reached; without a file, prints the
/// page.
///
/// # Errors
/// When the file cannot be written.
pub fn publish(markdown: &str, targets: &[Target], file: Option<&Path>) -> Result<()> {
    let Some(file) = file else {
        print!("{markdown}");
        return Ok(());
    };
    fs::write(file, markdown)
        .with_context(|| format!("cannot write the report to {}", file.display()))?;
    let of = |verdict| targets.iter().filter(|target| target.verdict == verdict).count();
    println!(
        "{} of {} targets pass, {} fail; the report is in {}",
        of(Verdict::Pass),
        targets.len(),
        of(Verdict::Fail),
        file.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::cells;
    use crate::stats::Summary;

    #[test]
    fn a_summary_is_told_in_the_unit_of_its_column() {
        let summary = Summary::of(&[1024.0, 3072.0, 2048.0]);
        assert_eq!(cells(summary, 1024.0, 1), ["2.0", "1.0–3.0"]);
        assert_eq!(cells(None, 1.0, 0), ["–", "–"]);
    }
}
