//! The report, in Markdown.

use std::fmt::Write;

use crate::echo::build::{Absent, Program};
use crate::echo::peers::Peer;
use crate::echo::results::{Cost, Results};
use crate::echo::scenario::Scenario;
use crate::echo::setting::Setting;
use crate::echo::targets;
use crate::page::cells;
use crate::program::Label;
use crate::verdict::Target;

const READING: &str = "\
## How to read this

Every server is the same single-threaded program, an echo with a buffer of 8 KiB, written as its
library's users would; the sources are in `src/bin` and `peers`. In every round every server is
started afresh for every load, and the order in which they take their turns moves on by one from
round to round, so that what disturbs the machine for a while disturbs all of them. Under the first
three loads the client sends a message on every busy connection, waits until all are answered, and
begins again. Figures are medians over the rounds, with the least and the greatest beside them.

- **CPU µs** is the time the scheduler charged to the server process, user and system, divided by the messages
  answered (or connections served). It holds the kernel's work for both directions of TCP, which is most
  of it and the same for all; what the libraries add is the difference to raw epoll.
- **raw epoll** and asyncore receive and send without the C library. All others go through it, and
  **raw epoll in C**, which is the same program, tells what that costs: hardly an instruction, but a
  return from a function that was called before the system call, which the processor seems to predict wrongly.
- **CPU ÷ raw epoll** is the median of the ratios within each round, not the ratio of the medians. A
  difference smaller than its min–max is noise.
- **Round trips/s** depends on the client as well, which spins on a CPU of its own. With one busy connection it
  is mostly the time to wake a sleeping server.
- **The accept load** connects, gets one message echoed and closes, 16 connections at a time.
- **Bytes in user space** is the growth of the server's anonymous resident memory, divided by the idle
  connections that caused it, each of which had one message echoed. The kernel's memory for sockets is not in it.

How the forwarder compares with other relays is in [RELAYS.md](RELAYS.md).
";

/// The contents of the report.
pub(crate) struct Report<'a> {
    pub(crate) setting: &'a Setting,
    pub(crate) programs: &'a [Program],
    pub(crate) absent: &'a [Absent],
    pub(crate) results: &'a Results<Peer>,
}

impl Report<'_> {
    /// Judges the targets by the figures of this run.
    pub(crate) fn targets(&self) -> Vec<Target> {
        targets::judge(self.results, |scenario| self.setting.title(scenario))
    }

    /// Returns the report as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "# Echo servers compared\n")?;
        self.setting.write(out)?;
        writeln!(out)?;
        Target::write_table(&self.targets(), "Target", out)?;
        for &scenario in &self.setting.scenarios {
            self.write_cpu_table(out, scenario)?;
        }
        if self.setting.scenarios.contains(&Scenario::Idle) {
            self.write_memory_table(out)?;
        }
        self.write_versions(out)?;
        out.write_str(READING)
    }

    fn write_cpu_table(&self, out: &mut String, scenario: Scenario) -> std::fmt::Result {
        let unit = scenario.unit();
        let rate = match scenario {
            Scenario::Accept => "Connections/s",
            Scenario::One | Scenario::Fifty | Scenario::Idle => "Round trips/s",
        };
        let cost = Cost::Cpu(scenario);
        writeln!(out, "## {}\n", self.setting.title(scenario))?;
        writeln!(
            out,
            "| Server | CPU µs per {unit} | min–max | CPU ÷ raw epoll | min–max | {rate} | min–max |"
        )?;
        writeln!(out, "|---|--:|--:|--:|--:|--:|--:|")?;
        for peer in self.sorted_by(cost) {
            let [cpu, cpu_range] = cells(self.results.cost(cost, peer), 1.0, 2);
            let ratio = self.results.ratio(cost, peer, Peer::RawEpoll);
            let [ratio, ratio_range] = cells(ratio, 1.0, 3);
            let [rate, rate_range] = cells(self.results.rate(scenario, peer), 1.0, 0);
            writeln!(
                out,
                "| {} | {cpu} | {cpu_range} | {ratio} | {ratio_range} | {rate} | {rate_range} |",
                peer.label()
            )?;
        }
        self.write_absent(out, 6)
    }

    fn write_memory_table(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "## Memory of an idle connection\n")?;
        writeln!(out, "| Server | Bytes in user space | min–max |")?;
        writeln!(out, "|---|--:|--:|")?;
        for peer in self.sorted_by(Cost::IdleBytes) {
            let [bytes, range] = cells(self.results.cost(Cost::IdleBytes, peer), 1.0, 0);
            writeln!(out, "| {} | {bytes} | {range} |", peer.label())?;
        }
        self.write_absent(out, 2)
    }

    fn write_absent(&self, out: &mut String, columns: usize) -> std::fmt::Result {
        for absent in self.absent {
            let blank = " – |".repeat(columns - 1);
            writeln!(out, "| {} | not installed |{blank}", absent.peer.label())?;
        }
        writeln!(out)
    }

    fn write_versions(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "## Versions\n")?;
        for program in self.programs {
            writeln!(out, "- {}: {}", program.peer.label(), program.version)?;
        }
        for absent in self.absent {
            writeln!(out, "- {}: not installed ({})", absent.peer.label(), absent.reason)?;
        }
        writeln!(out)
    }

    /// Returns the servers with a value for `cost`, the cheapest first.
    fn sorted_by(&self, cost: Cost) -> Vec<Peer> {
        let mut costs: Vec<(f64, Peer)> = self
            .programs
            .iter()
            .filter_map(|program| {
                let summary = self.results.cost(cost, program.peer)?;
                Some((summary.median, program.peer))
            })
            .collect();
        costs.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        costs.into_iter().map(|(_, peer)| peer).collect()
    }
}
