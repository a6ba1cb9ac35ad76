//! Compares echo servers on loopback: this project's library, raw epoll, and alternative event loops.
//!
//! Builds all servers, measures them in turns, and writes `RESULTS.md`.

mod accepts;
mod build;
mod idle;
mod load;
pub(crate) mod peers;
mod report;
pub(crate) mod results;
pub(crate) mod scenario;
mod server;
pub(crate) mod setting;
pub(crate) mod size;
mod targets;

use std::hash::Hash;

use anyhow::{Result, ensure};
use clap::Parser;

use self::peers::Peer;
use self::report::Report;
use self::results::Results;
use self::scenario::Scenario;
use self::setting::Setting;
use self::size::Amount;
use crate::host;
use crate::page;
use crate::program::{Label, Program};
use crate::selection::Selection;
use crate::turns::{self, Turn};

/// The command that starts this program.
const COMMAND: &str = "cargo run --release -p bench";

/// Compare TCP echo servers on loopback and write bench/RESULTS.md.
///
/// Builds every server, then measures them in turns: the CPU time of the server for each message with 1 busy
/// connection, with 50, and with 50 among 10,000 idle ones; the same for each short connection; and the
/// memory that an idle connection takes. Takes about ten minutes and needs an idle machine with two CPUs.
///
/// Examples:
///   cargo run --release -p bench
///   cargo run --release -p bench -- --quick
///   cargo run --release -p bench -- --only asyncore,raw-epoll --scenario fifty --rounds 9
#[derive(Parser)]
#[command(name = "bench", verbatim_doc_comment)]
pub struct Arguments {
    #[command(flatten)]
    selection: Selection<Peer, Scenario>,

    #[command(flatten)]
    amount: Amount,
}

/// Runs the comparison and writes its report.
///
/// # Errors
/// When a server cannot be built, started or measured, or when the report cannot be written.
pub fn compare(arguments: &Arguments) -> Result<()> {
    let selection = &arguments.selection;
    let setting = Setting::new(COMMAND, &selection.extent, &arguments.amount)?;
    let (programs, absent) = build::build(&selection.peers())?;
    for absent in &absent {
        eprintln!("{} is left out: {}", absent.peer.label(), absent.reason);
    }
    ensure!(!programs.is_empty(), "there is no server left to measure");
    let report = Report {
        results: &run(&programs, &setting)?,
        setting: &setting,
        programs: &programs,
        absent: &absent,
    };
    let file = selection.output("RESULTS.md");
    page::publish(&report.markdown(), &report.targets(), file.as_deref())
}

/// Measures every program once in each round under each load.
pub(crate) fn run<P: Copy + Eq + Hash + Label>(
    programs: &[Program<P>],
    setting: &Setting,
) -> Result<Results<P>> {
    let Setting { cpus, scenarios, rounds, size, .. } = setting;
    host::pin(None, cpus.client)?;
    let turns = turns::turns(*rounds, scenarios, programs);
    let progress = turns::progress(&turns)?;
    let mut results = Results::default();
    for Turn { round, scenario, program } in turns {
        let (title, label) = (scenario.title(size), program.peer.label());
        progress.set_message(format!("round {round} of {rounds}, {title}, {label}"));
        results.push(scenario, program.peer, scenario::measure(scenario, program, size, *cpus)?);
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(results)
}
