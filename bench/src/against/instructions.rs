//! Instruction counts of the hot paths, by `benches/instructions.rs` of each commit.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use crate::cargo;

/// The name and the instruction count of each hot path, in the order of the benchmark.
pub(crate) type Counts = Vec<(String, u64)>;

/// Runs the benchmark of the package `manifest` with the target directory `target`.
pub(crate) fn count(manifest: &Path, target: &Path) -> Result<Counts> {
    let output = cargo::command("bench", manifest, target)
        .args(["--bench", "instructions"])
        // Each commit keeps its own record, or one would be shown as a change of the other.
        .env("GUNGRAUN_HOME", target.join("gungraun"))
        .env("GUNGRAUN_COLOR", "never")
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    // A hot path above its limit fails the benchmark, but its count is printed all the same.
    let counts = parse(&String::from_utf8_lossy(&output.stdout));
    ensure!(
        !counts.is_empty(),
        "cargo bench of {} counted no instructions ({}); it needs valgrind, and gungraun-runner in \
         the version of gungraun in bench/Cargo.toml: cargo install gungraun-runner --version VERSION",
        manifest.display(),
        output.status
    );
    Ok(counts)
}

/// Finds the counts in the output of gungraun: a line that names the benchmark, and below it an
/// indented line for each metric.
fn parse(output: &str) -> Counts {
    let mut name = String::new();
    let mut counts = Counts::new();
    for line in output.lines() {
        if let Some(metric) = line.strip_prefix("  Instructions:") {
            let digits = metric.trim_start().split(|it: char| !it.is_ascii_digit()).next();
            let count = digits.and_then(|digits| digits.parse().ok());
            counts.extend(count.map(|count| (name.clone(), count)));
        } else if let Some((path, case)) = line.split_once(' ').filter(|(path, _)| !path.is_empty())
        {
            let function = path.rsplit("::").next().unwrap_or(path);
            let id = case.split(':').next().unwrap_or(case);
            name = format!("{function} {id}");
        }
    }
    counts
}

/// A hot path of both commits: its name, the base's count and the present one.
pub(crate) type Row<'a> = (&'a str, Option<u64>, Option<u64>);

/// The hot paths of both, first those of `present` in their order.
pub(crate) fn rows<'a>(base: &'a Counts, present: &'a Counts) -> Vec<Row<'a>> {
    let find = |counts: &Counts, name: &str| {
        counts.iter().find(|(it, _)| it == name).map(|(_, count)| *count)
    };
    let removed = base.iter().filter(|(name, _)| find(present, name).is_none());
    let names = present.iter().chain(removed).map(|(name, _)| name.as_str());
    names.map(|name| (name, find(base, name), find(present, name))).collect()
}

#[cfg(test)]
mod tests {
    use super::{parse, rows};

    const OUTPUT: &str = "\
instructions::passes::dispatch fifty_ready:(echoes(| | Echo, 50, 0))
  Instructions:                       28400|N/A                  (*********)
  L1 Hits:                            40849|N/A                  (*********)
instructions::input::framing lines_at_once:(lines(\"\\r\\n\"), SIZE)
  Instructions:                      670717|670000               (+0.10701%) [+1.00107x]
  RAM Hits:                              53|N/A                  (*********)

Gungraun result: Ok. 2 without regressions; 0 regressed; 0 filtered; 2 benchmarks finished in 6.01256s
";

    #[test]
    fn each_benchmark_has_its_new_count() {
        let expected = [("dispatch fifty_ready", 28_400), ("framing lines_at_once", 670_717)];
        assert_eq!(parse(OUTPUT), expected.map(|(name, count)| (name.to_owned(), count)));
        assert!(parse("error: cannot find gungraun-runner\n").is_empty());
    }

    #[test]
    fn added_and_removed_benchmarks_have_one_count() {
        let counts = |all: &[(&str, u64)]| -> super::Counts {
            all.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
        };
        let (base, present) =
            (counts(&[("old", 1), ("both", 2)]), counts(&[("both", 3), ("new", 4)]));
        let expected = [("both", Some(2), Some(3)), ("new", None, Some(4)), ("old", Some(1), None)];
        assert_eq!(rows(&base, &present), expected);
    }
}
