//! Compares echo servers on loopback: this project's library, raw epoll, and the event loops that one might
//! use in its place.
//!
//! It builds them all, measures them in turns, and writes `RESULTS.md`.

mod accepts;
mod build;
mod idle;
mod load;
mod peers;
mod report;
mod results;
mod scenario;
mod server;
mod size;
mod targets;

use anyhow::{Result, ensure};
use clap::Parser;

use self::build::Program;
use self::peers::Peer;
use self::report::Report;
use self::results::Results;
use self::scenario::Scenario;
use self::size::{Amount, Size};
use crate::cargo;
use crate::host::{self, Cpus};
use crate::page;
use crate::selection::Selection;
use crate::turns::{self, Turn};

/// What starts this program.
const COMMAND: &str = "cargo run --release -p bench";

/// Compare TCP echo servers on loopback and write bench/RESULTS.md.
///
/// Builds every server, then measures them in turns: the CPU time of the server for each message with 1 busy
/// connection, with 50, and with 50 among 10,000 idle ones; the same for each short connection; and the
/// memory that an idle connection takes. Takes some ten minutes; wants a quiet machine with two CPUs.
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
/// When a server cannot be built, started or measured, or the report cannot be written.
pub fn compare(arguments: &Arguments) -> Result<()> {
    cargo::ensure_release(COMMAND)?;
    let descriptors = host::raise_descriptor_limit()?;
    let selection = &arguments.selection;
    let size = arguments.amount.size(selection.extent.quick, descriptors)?;
    let (scenarios, rounds) = (selection.extent.scenarios(), selection.extent.rounds());
    let (programs, absent) = build::build(&selection.peers())?;
    for absent in &absent {
        eprintln!("{} is left out: {}", absent.peer.label(), absent.reason);
    }
    ensure!(!programs.is_empty(), "there is no server left to measure");

    let cpus = Cpus::choose()?;
    host::pin(None, cpus.client)?;
    let results = run(&programs, &scenarios, &size, rounds, cpus)?;

    let report = Report {
        command: &page::command(COMMAND),
        machine: &host::description(),
        cpus,
        descriptors,
        rounds,
        size,
        scenarios: &scenarios,
        programs: &programs,
        absent: &absent,
        results: &results,
    };
    let file = selection.output("RESULTS.md");
    page::publish(&report.markdown(), &report.targets(), file.as_deref())
}

/// Has every program measured once in each round under each load.
fn run(
    programs: &[Program],
    scenarios: &[Scenario],
    size: &Size,
    rounds: u32,
    cpus: Cpus,
) -> Result<Results> {
    let turns = turns::turns(rounds, scenarios, programs);
    let progress = turns::progress(&turns)?;
    let mut results = Results::default();
    for Turn { round, scenario, program } in turns {
        let (title, label) = (scenario.title(size), program.peer.label());
        progress.set_message(format!("round {round} of {rounds}, {title}, {label}"));
        results.push(scenario, program.peer, scenario::measure(scenario, program, size, cpus)?);
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(results)
}
