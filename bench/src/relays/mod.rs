//! Compares relays on loopback: the forwarder, and the programs that one might use in its place.
//!
//! It builds or finds them all, measures them in turns, and writes `RELAYS.md`.

mod bulk;
mod ends;
mod events;
mod launch;
mod peer;
mod process;
mod program;
mod reading;
mod report;
mod results;
mod scenario;
mod stall;
mod syscalls;
mod targets;

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;

use self::peer::Peer;
use self::program::{Folder, Program};
use self::report::Report;
use self::results::Results;
use self::scenario::{Place, Scenario, Size};
use crate::cargo;
use crate::git::Commit;
use crate::host::{self, Cpus};
use crate::page;
use crate::selection::Selection;
use crate::turns::{self, Turn};

/// What starts the program.
const COMMAND: &str = "cargo run --release -p bench --bin relays";
/// Descriptors kept for what are not the two ends of idle connections.
const SPARE_DESCRIPTORS: u64 = 400;

/// Compare TCP relays on loopback and write bench/RELAYS.md.
///
/// Builds or finds every relay, then measures them in turns: CPU time and throughput of streams, of
/// short connections and of round trips, the memory of idle connections, and what a reader that
/// stalls costs. Takes some 15 minutes; wants a quiet machine with two CPUs.
///
/// Examples:
///   cargo run --release -p bench --bin relays
///   cargo run --release -p bench --bin relays -- --quick
///   cargo run --release -p bench --bin relays -- --only forwarder,haproxy --scenario connections --rounds 9
///   cargo run --release -p bench --bin relays -- --only forwarder --base v0.1.0 --rounds 9 --output target/relays.md
#[derive(Parser)]
#[command(name = "relays", verbatim_doc_comment)]
pub struct Arguments {
    /// Also measure the forwarder of this commit, and judge the present one against it
    #[arg(long, value_name = "REV")]
    base: Option<String>,

    #[command(flatten)]
    selection: Selection<Peer, Scenario>,
}

impl Arguments {
    fn size(&self, descriptors: u64) -> Result<Size> {
        let quick = self.selection.extent.quick;
        // Client and target have an end each of every connection, in this process.
        let fit = descriptors.saturating_sub(SPARE_DESCRIPTORS) / 2;
        let wanted = if quick { 1_000 } else { 5_000 };
        let idle = usize::try_from(fit)?.min(wanted);
        ensure!(idle > 0, "the hard descriptor limit is {descriptors}: raise it (ulimit -Hn)");
        Ok(Size {
            flow: Duration::from_millis(if quick { 200 } else { 800 }),
            messages: if quick { 5_000 } else { 50_000 },
            connections: if quick { 500 } else { 6_000 },
            idle,
            stalled: if quick { 128 << 20 } else { 1 << 30 },
            budget: Duration::from_secs(2),
        })
    }
}

/// Runs the comparison and writes its report.
///
/// # Errors
/// When a relay cannot be built, started or measured, or the report cannot be written.
pub fn compare(arguments: &Arguments) -> Result<()> {
    cargo::ensure_release(COMMAND)?;
    let size = arguments.size(host::raise_descriptor_limit()?)?;
    let selection = &arguments.selection;
    let (scenarios, rounds) = (selection.extent.scenarios(), selection.extent.rounds());
    let base = arguments.base.as_deref().map(Commit::find).transpose()?;
    let mut peers = selection.peers();
    peers.extend(base.as_ref().map(|_| Peer::Base));
    let (programs, absent) = program::find(&peers, base.as_ref())?;
    for absent in &absent {
        eprintln!("{} is left out: {}", absent.peer.label(), absent.reason);
    }
    ensure!(!programs.is_empty(), "there is no relay left to measure");

    let cpus = Cpus::choose()?;
    host::pin(None, cpus.client)?;
    let folder = Folder::new()?;
    let place = Place { folder: folder.path(), cpus };
    let results = run(&programs, &scenarios, &size, rounds, place)?;
    let forwarder = programs.iter().find(|program| program.peer == Peer::Forwarder);
    let calls = forwarder.map(|forwarder| syscalls::count(forwarder, place)).transpose()?.flatten();

    let report = Report {
        command: &page::command(COMMAND),
        machine: &host::description(),
        cpus,
        rounds,
        size,
        programs: &programs,
        absent: &absent,
        results: &results,
        calls: calls.as_ref(),
    };
    let file = selection.output("RELAYS.md");
    page::publish(&report.markdown(), &report.targets(), file.as_deref())
}

/// Has every program measured once in each round under each load.
fn run(
    programs: &[Program],
    scenarios: &[Scenario],
    size: &Size,
    rounds: u32,
    place: Place<'_>,
) -> Result<Results> {
    let turns = turns::turns(rounds, scenarios, programs);
    let progress = turns::progress(&turns)?;
    let mut results = Results::default();
    for Turn { round, scenario, program } in turns {
        let (title, label) = (scenario.title(), program.peer.label());
        progress.set_message(format!("round {round} of {rounds}, {title}, {label}"));
        match scenario::measure(scenario, program, size, place) {
            Ok(found) => results.extend(program.peer, found),
            // That one of the others does not stand a load is a result too.
            Err(error) if program.peer != Peer::Forwarder => {
                progress.suspend(|| eprintln!("{error:#}"));
                results.failures.push(format!("round {round}: {error:#}"));
            }
            Err(error) => return Err(error),
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(results)
}
