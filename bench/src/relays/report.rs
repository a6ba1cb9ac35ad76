//! The report, in Markdown.

use std::fmt::Write;

use crate::host::Cpus;
use crate::page::cells;
use crate::relays::program::{Absent, Program};
use crate::relays::reading::{READING, purpose};
use crate::relays::results::{Metric, Results};
use crate::relays::scenario::{BUSY, BUSY_AMONG_IDLE, CONCURRENT, Scenario, Size};
use crate::relays::syscalls::Calls;
use crate::relays::targets::{self, OWN, SHARED};
use crate::verdict::Target;

/// All that the report tells of.
pub(crate) struct Report<'a> {
    pub(crate) command: &'a str,
    pub(crate) machine: &'a str,
    pub(crate) cpus: Cpus,
    pub(crate) rounds: u32,
    pub(crate) size: Size,
    pub(crate) programs: &'a [Program],
    pub(crate) absent: &'a [Absent],
    pub(crate) results: &'a Results,
    pub(crate) calls: Option<&'a Calls>,
}

/// A column: its heading, what is in it, by what that is divided, and its digits after the point.
type Column = (&'static str, Metric, f64, usize);

impl Report<'_> {
    /// Judges the targets by this run's figures.
    pub(crate) fn targets(&self) -> Vec<Target> {
        targets::judge(self.results)
    }

    /// Writes it all out.
    pub(crate) fn markdown(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "# Relays compared\n")?;
        self.write_setting(out)?;
        Target::write_table(&self.targets(), "Target for the forwarder", out)?;
        for scenario in OWN {
            let title = format!("{}, the relay on a CPU of its own", capital(scenario.title()));
            self.write_table(out, &title, &streams(scenario))?;
        }
        for scenario in SHARED {
            self.write_table(out, &capital(scenario.title()), &streams(scenario))?;
        }
        let title = format!("Short connections, {CONCURRENT} at a time");
        let columns = [
            ("CPU µs each", Metric::CpuPerConnection, 1.0, 2),
            ("Connections/s", Metric::ConnectionsPerSecond, 1.0, 0),
        ];
        self.write_table(out, &title, &columns)?;
        let columns = [
            ("CPU µs each", Metric::CpuPerRoundTrip, 1.0, 2),
            ("Round trips/s", Metric::RoundTripsPerSecond, 1.0, 0),
            ("99th percentile, µs", Metric::NinetyNinthPercentile, 1.0, 0),
        ];
        self.write_table(out, &format!("Round trips on {BUSY} connections"), &columns)?;
        let rate = "Round trips/s among them ÷ without";
        let columns = [
            ("Bytes each", Metric::BytesPerIdle, 1.0, 0),
            ("Connections", Metric::IdleConnections, 1.0, 0),
            (rate, Metric::RateAmongIdle, 1.0, 3),
        ];
        let title = format!("Idle connections, with {BUSY_AMONG_IDLE} busy ones");
        self.write_table(out, &title, &columns)?;
        let columns = [("Growth, KiB", Metric::StallGrowth, 1024.0, 0)];
        self.write_table(out, "A reader that stalls", &columns)?;
        self.write_calls(out)?;
        self.write_versions(out)?;
        out.write_str(READING)
    }

    fn write_setting(&self, out: &mut String) -> std::fmt::Result {
        let Size { flow, messages, connections, idle, stalled, budget } = self.size;
        let placement = match (self.cpus.server, self.cpus.client) {
            (Some(relay), Some(ends)) => {
                format!("the relay on CPU {relay} alone, client and target on CPU {ends}")
            }
            _ => "all share one CPU, which no figure here is meant for".to_owned(),
        };
        writeln!(out, "`{}` wrote this page.\n", self.command)?;
        writeln!(
            out,
            "- Machine: {}; {placement}, unless a heading says otherwise.",
            self.machine
        )?;
        writeln!(
            out,
            "- Rounds: {}. Streams flow for {} s; {messages} round trips, {connections} short and {idle} idle \
             connections, {} MiB for the reader that stalls; {} s into a measurement no more are begun.\n",
            self.rounds,
            flow.as_secs_f64(),
            stalled >> 20,
            budget.as_secs()
        )
    }

    /// A table sorted by its first column, without what was not measured.
    fn write_table(&self, out: &mut String, title: &str, columns: &[Column]) -> std::fmt::Result {
        let mut rows: Vec<_> = self.programs.iter().map(|program| program.peer).collect();
        rows.retain(|peer| {
            columns.iter().any(|column| self.results.summary(column.1, *peer).is_some())
        });
        if rows.is_empty() {
            return Ok(());
        }
        let median = |peer| self.results.summary(columns[0].1, peer).map_or(0.0, |it| it.median);
        rows.sort_by(|a, b| median(*a).total_cmp(&median(*b)));
        writeln!(out, "## {title}\n")?;
        write!(out, "| Relay |")?;
        for (heading, ..) in columns {
            write!(out, " {heading} | min–max |")?;
        }
        writeln!(out, "\n|---|{}", "--:|--:|".repeat(columns.len()))?;
        for peer in rows {
            write!(out, "| {} |", peer.label())?;
            for (_, metric, unit, decimals) in columns {
                let [median, range] = cells(self.results.summary(*metric, peer), *unit, *decimals);
                write!(out, " {median} | {range} |")?;
            }
            writeln!(out)?;
        }
        writeln!(out)
    }

    fn write_calls(&self, out: &mut String) -> std::fmt::Result {
        let Some(Calls { connection, round_trip }) = self.calls else {
            return Ok(());
        };
        writeln!(out, "## System calls of the forwarder\n")?;
        writeln!(
            out,
            "| System call | a connection | a round trip | what for |\n|---|--:|--:|---|"
        )?;
        let mut names: Vec<_> = connection.keys().chain(round_trip.keys()).collect();
        names.sort_unstable();
        names.dedup();
        let cell = |calls: Option<&f64>| calls.map_or("–".to_owned(), |it| format!("{it:.2}"));
        for name in names {
            let (one, other) = (cell(connection.get(name)), cell(round_trip.get(name)));
            let purpose = purpose(name).unwrap_or("–");
            writeln!(out, "| {name} | {one} | {other} | {purpose} |")?;
        }
        let (all, each): (f64, f64) = (connection.values().sum(), round_trip.values().sum());
        writeln!(out, "| **all** | {all:.2} | {each:.2} | |\n")
    }

    fn write_versions(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "## Versions\n")?;
        for program in self.programs {
            writeln!(out, "- {}: {}", program.peer.label(), program.version)?;
        }
        for failure in &self.results.failures {
            writeln!(out, "- Not measured: {failure}.")?;
        }
        for absent in self.absent {
            writeln!(out, "- {}: left out ({})", absent.peer.label(), absent.reason)?;
        }
        writeln!(out)
    }
}

fn streams(scenario: Scenario) -> [Column; 2] {
    [
        ("CPU s per GB", Metric::CpuPerGigabyte(scenario), 1.0, 3),
        ("GB/s", Metric::GigabytesPerSecond(scenario), 1.0, 2),
    ]
}

fn capital(title: &str) -> String {
    let mut letters = title.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}
