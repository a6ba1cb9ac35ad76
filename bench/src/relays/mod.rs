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

use std::path::PathBuf;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use self::peer::Peer;
use self::program::{Folder, Program};
use self::report::Report;
use self::results::Results;
use self::scenario::{Place, Scenario, Size};
use crate::cargo::package_dir;
use crate::host::{self, Cpus};
use crate::verdict::Verdict;

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
#[derive(Parser)]
#[command(name = "relays", verbatim_doc_comment)]
pub struct Arguments {
    /// How often every relay is measured; medians are over these rounds [default: 5, or 1 with --quick]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,

    /// A run that shows in a minute that everything works
    #[arg(long)]
    quick: bool,

    /// Measure only these relays
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PEER[,PEER]")]
    only: Vec<Peer>,

    /// Measure only under these loads
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SCENARIO[,SCENARIO]")]
    scenario: Vec<Scenario>,

    /// Where the report goes [default: bench/RELAYS.md for a whole run; a run made smaller by --quick,
    /// --only or --scenario prints it instead]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Arguments {
    fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 1 } else { 5 })
    }

    fn size(&self, descriptors: u64) -> Result<Size> {
        // Client and target have an end each of every connection, in this process.
        let fit = descriptors.saturating_sub(SPARE_DESCRIPTORS) / 2;
        let wanted = if self.quick { 1_000 } else { 5_000 };
        let idle = usize::try_from(fit)?.min(wanted);
        ensure!(idle > 0, "the hard descriptor limit is {descriptors}: raise it (ulimit -Hn)");
        Ok(Size {
            flow: Duration::from_millis(if self.quick { 200 } else { 800 }),
            messages: if self.quick { 5_000 } else { 50_000 },
            connections: if self.quick { 500 } else { 6_000 },
            idle,
            stalled: if self.quick { 128 << 20 } else { 1 << 30 },
            budget: Duration::from_secs(2),
        })
    }

    /// The file for the report; `None` is standard output.
    fn report_file(&self) -> Option<PathBuf> {
        let whole = !self.quick && self.only.is_empty() && self.scenario.is_empty();
        let default = whole.then(|| package_dir().join("RELAYS.md"));
        self.output.clone().or(default)
    }
}

/// Those of `selection`, or all, in the order of their definition and each once.
fn chosen<T: ValueEnum + PartialEq>(selection: &[T]) -> Vec<T> {
    let all = T::value_variants().iter();
    all.filter(|it| selection.is_empty() || selection.contains(it)).cloned().collect()
}

/// Runs the comparison and writes its report.
///
/// # Errors
/// When a relay cannot be built, started or measured, or the report cannot be written.
pub fn compare(arguments: &Arguments) -> Result<()> {
    ensure!(
        !cfg!(debug_assertions),
        "this is a debug build, whose figures mean nothing: cargo run --release -p bench --bin relays"
    );
    let size = arguments.size(host::raise_descriptor_limit()?)?;
    let scenarios = chosen(&arguments.scenario);
    let rounds = arguments.rounds();
    let (programs, absent) = program::find(&chosen(&arguments.only))?;
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
        command: &command(),
        machine: &host::description(),
        cpus,
        rounds,
        size,
        programs: &programs,
        absent: &absent,
        results: &results,
        calls: calls.as_ref(),
    };
    let Some(file) = arguments.report_file() else {
        print!("{}", report.markdown());
        return Ok(());
    };
    fs::write(&file, report.markdown())
        .with_context(|| format!("cannot write the report to {}", file.display()))?;
    let targets = report.targets();
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

/// Has every program measured once in each round under each load, beginning with another one each round.
fn run(
    programs: &[Program],
    scenarios: &[Scenario],
    size: &Size,
    rounds: u32,
    place: Place<'_>,
) -> Result<Results> {
    let count = rounds as usize * scenarios.len() * programs.len();
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}, about {eta} left: {wide_msg}")?;
    let progress = ProgressBar::new(count as u64).with_style(style);
    let mut results = Results::default();
    for round in 0..rounds as usize {
        for &scenario in scenarios {
            for turn in 0..programs.len() {
                let program = &programs[(round + turn) % programs.len()];
                let (title, label) = (scenario.title(), program.peer.label());
                progress.set_message(format!("round {} of {rounds}, {title}, {label}", round + 1));
                match scenario::measure(scenario, program, size, place) {
                    Ok(found) => results.extend(program.peer, found),
                    // That one of the others does not stand a load is a result too.
                    Err(error) if program.peer != Peer::Forwarder => {
                        progress.suspend(|| eprintln!("{error:#}"));
                        results.failures.push(format!("round {}: {error:#}", round + 1));
                    }
                    Err(error) => return Err(error),
                }
                progress.inc(1);
            }
        }
    }
    progress.finish_and_clear();
    Ok(results)
}

/// What was typed to start this run.
fn command() -> String {
    let mut words = vec!["cargo run --release -p bench --bin relays".to_owned()];
    let arguments: Vec<String> = env::args().skip(1).collect();
    if !arguments.is_empty() {
        words.push("--".to_owned());
        words.extend(arguments);
    }
    words.join(" ")
}
