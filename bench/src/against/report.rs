//! The report, in Markdown.

use std::fmt::{self, Write};

use crate::against::instructions::{Counts, rows};
use crate::against::{Program, Side, targets};
use crate::echo::results::{Cost, Results};
use crate::echo::scenario::Scenario;
use crate::echo::setting::Setting;
use crate::page::cells;
use crate::program::Label;
use crate::stats::median_interval;
use crate::verdict::Target;

const READING: &str = "\
## How to read this

- **CPU** is the time that the scheduler charged to the server process, user and system, divided by the
  messages answered or connections served. The kernel's work for TCP is most of it.
- **Bytes** is the growth of the server's anonymous resident memory, divided by the idle connections.
- **Present ÷ base** is the median of the ratios within each round. What slows a whole round down cancels out.
- **Spread** is the range that holds the true median ratio with a probability of at least 95 %, whatever the
  noise is like. It needs 6 rounds, and becomes narrower with more. A difference is smaller than the spread
  when this range contains 1: the run then shows no difference.
- **Least ÷ least** is the ratio of the least values of all rounds. Noise only adds, so the least value is
  the one with the least noise. Where it contradicts the median, run more rounds.
- **Instructions** are those in user space, of one run of each hot path. The machine's load does not change
  them, but where the buffers lie does: the same program counts up to 0.6 % more or less. Each commit runs
  its own benchmark, so a commit that changes the benchmark compares different work.
";

/// A row of both tables: its name, the cost, and its digits after the point.
type Row = (String, Cost, usize);

/// All that the report tells of.
pub(crate) struct Report<'a> {
    pub(crate) setting: &'a Setting,
    pub(crate) programs: &'a [Program],
    pub(crate) results: &'a Results<Side>,
    /// The base's instruction counts and the present ones.
    pub(crate) counts: Option<(Counts, Counts)>,
}

impl Report<'_> {
    /// Judges the targets by this run's figures.
    pub(crate) fn targets(&self) -> Vec<Target> {
        targets::judge(self.setting, self.results, self.counts.as_ref())
    }

    /// Writes it all out.
    pub(crate) fn markdown(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "# The echo server compared with an earlier commit\n")?;
        self.setting.write(out)?;
        for program in self.programs {
            writeln!(out, "- The {} server: {}.", program.peer.label(), program.version)?;
        }
        writeln!(out)?;
        Target::write_table(&self.targets(), "Target", out)?;
        self.write_costs(out)?;
        self.write_ratios(out)?;
        self.write_instructions(out)?;
        out.write_str(READING)
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for &scenario in &self.setting.scenarios {
            let name =
                format!("CPU µs per {} at {}", scenario.unit(), self.setting.title(scenario));
            rows.push((name, Cost::Cpu(scenario), 3));
        }
        if self.setting.scenarios.contains(&Scenario::Idle) {
            rows.push(("bytes per idle connection".to_owned(), Cost::IdleBytes, 1));
        }
        rows
    }

    fn write_costs(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "## Medians\n")?;
        writeln!(out, "| Cost | Base | min–max | Present | min–max |\n|---|--:|--:|--:|--:|")?;
        for (name, cost, decimals) in self.rows() {
            let of = |side| cells(self.results.cost(cost, side), 1.0, decimals);
            let ([base, base_range], [present, range]) = (of(Side::Base), of(Side::Present));
            writeln!(out, "| {name} | {base} | {base_range} | {present} | {range} |")?;
        }
        writeln!(out)
    }

    fn write_ratios(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "## Differences\n")?;
        writeln!(
            out,
            "| Cost | Present ÷ base | min–max | Spread | Least ÷ least | The difference is |\n\
             |---|--:|--:|--:|--:|---|"
        )?;
        for (name, cost, _) in self.rows() {
            let [ratio, range] = cells(self.results.ratio(cost, Side::Present, Side::Base), 1.0, 3);
            let least = |side| self.results.cost(cost, side).map(|summary| summary.min);
            let least = least(Side::Present).zip(least(Side::Base));
            let least = least.map_or("–".to_owned(), |(a, b)| format!("{:.3}", a / b));
            let ratios = self.results.ratios(cost, Side::Present, Side::Base).unwrap_or_default();
            let [spread, reading] = judge_spread(&ratios);
            writeln!(out, "| {name} | {ratio} | {range} | {spread} | {least} | {reading} |")?;
        }
        writeln!(out)
    }

    fn write_instructions(&self, out: &mut String) -> fmt::Result {
        let Some((base, present)) = &self.counts else { return Ok(()) };
        writeln!(out, "## Instructions of the hot paths\n")?;
        writeln!(out, "| Hot path | Base | Present | Difference |\n|---|--:|--:|--:|")?;
        for (name, base, present) in rows(base, present) {
            let cell = |count: Option<u64>| count.map_or("–".to_owned(), |it| it.to_string());
            let difference = base.zip(present).map_or("–".to_owned(), |(base, present)| {
                format!("{:+.2} %", (present as f64 / base as f64 - 1.0) * 100.0)
            });
            writeln!(out, "| {name} | {} | {} | {difference} |", cell(base), cell(present))?;
        }
        writeln!(out)
    }
}

/// The range of the median of `ratios`, and what it says of the difference.
fn judge_spread(ratios: &[f64]) -> [String; 2] {
    let Some((low, high)) = median_interval(ratios) else {
        return ["–".to_owned(), "not judged: fewer than 6 rounds".to_owned()];
    };
    let reading = match (low > 1.0, high < 1.0) {
        (true, _) => "an increase",
        (_, true) => "a decrease",
        _ => "smaller than the spread",
    };
    [format!("{low:.3}–{high:.3}"), reading.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::judge_spread;

    #[test]
    fn a_difference_counts_when_the_spread_excludes_one() {
        let reading = |from: f64| {
            let ratios: Vec<f64> = (0..9).map(|round| from + f64::from(round) * 0.01).collect();
            judge_spread(&ratios)
        };
        assert_eq!(reading(1.00), ["1.010–1.070", "an increase"]);
        assert_eq!(reading(0.96), ["0.970–1.030", "smaller than the spread"]);
        assert_eq!(reading(0.90), ["0.910–0.970", "a decrease"]);
        assert_eq!(judge_spread(&[1.1; 5])[1], "not judged: fewer than 6 rounds");
    }
}
