//! Compares echo servers on loopback: this project's library, raw epoll, and the event loops that one might
//! use in its place. It builds them all, measures them in turns, and writes `RESULTS.md`.

mod accepts;
mod build;
mod idle;
mod load;
mod peers;
mod report;
mod results;
mod scenario;
mod server;
mod targets;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use bench::cargo::package_dir;
use bench::host::{self, Cpus};
use bench::verdict::Verdict;
use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use crate::build::Program;
use crate::peers::Peer;
use crate::report::Report;
use crate::results::Results;
use crate::scenario::{Scenario, Size};

/// Descriptors kept for what are not idle connections: the busy ones, the epoll, files of /proc.
const SPARE_DESCRIPTORS: u64 = 150;
/// Messages to a connection of the accept rate, which costs about as much more.
const MESSAGES_PER_CONNECTION: u64 = 20;
/// Bounds the TIME_WAITs of one measurement well below the number of ephemeral ports.
const CONNECTIONS_LIMIT: u64 = 10_000;
/// Bounds the measurements of a slow server.
const BUDGET: Duration = Duration::from_secs(5);

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
struct Arguments {
    /// How often every server is measured; medians are over these rounds [default: 5, or 1 with --quick]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,

    /// Round trips in one measurement; a 20th of that is the number of connections for the accept
    /// rate [default: 100000, or 5000 with --quick]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1000..=10_000_000))]
    messages: Option<u64>,

    /// A run that shows in seconds that everything works: 1 round, 5,000 messages, 1,000 idle connections
    #[arg(long)]
    quick: bool,

    /// Measure only these servers; without raw-epoll there are no ratios to it
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PEER[,PEER]")]
    only: Vec<Peer>,

    /// Measure only under these loads
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SCENARIO[,SCENARIO]")]
    scenario: Vec<Scenario>,

    /// Where the report goes [default: bench/RESULTS.md for a whole run; a run made smaller by --quick, --only
    /// or --scenario prints it instead]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Arguments {
    fn peers(&self) -> Vec<Peer> {
        chosen(&self.only)
    }

    fn scenarios(&self) -> Vec<Scenario> {
        chosen(&self.scenario)
    }

    fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 1 } else { 5 })
    }

    fn size(&self, descriptors: u64) -> Result<Size> {
        let messages = self.messages.unwrap_or(if self.quick { 5_000 } else { 100_000 });
        let wanted = if self.quick { 1_000 } else { 10_000 };
        let idle = wanted.min(descriptors.saturating_sub(SPARE_DESCRIPTORS));
        ensure!(
            idle > 0,
            "the hard descriptor limit is {descriptors}, and the busy connections alone need {SPARE_DESCRIPTORS}: \
             raise it (ulimit -Hn)"
        );
        Ok(Size {
            messages,
            idle: usize::try_from(idle)?,
            connections: (messages / MESSAGES_PER_CONNECTION).min(CONNECTIONS_LIMIT),
            budget: BUDGET,
        })
    }

    /// The file for the report; `None` is standard output.
    fn report_file(&self) -> Option<PathBuf> {
        let whole = !self.quick && self.only.is_empty() && self.scenario.is_empty();
        let default = whole.then(|| package_dir().join("RESULTS.md"));
        self.output.clone().or(default)
    }
}

/// Those of `selection`, or all, in the order of their definition and each once.
fn chosen<T: ValueEnum + PartialEq>(selection: &[T]) -> Vec<T> {
    T::value_variants()
        .iter()
        .filter(|variant| selection.is_empty() || selection.contains(variant))
        .cloned()
        .collect()
}

/// Has every program measured once in each round under each load, beginning with another one each round.
fn run(
    programs: &[Program],
    scenarios: &[Scenario],
    size: &Size,
    rounds: u32,
    cpus: Cpus,
) -> Result<Results> {
    let count = rounds as usize * scenarios.len() * programs.len();
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}, about {eta} left: {wide_msg}")?;
    let progress = ProgressBar::new(count as u64).with_style(style);
    let mut results = Results::default();
    for round in 0..rounds as usize {
        for &scenario in scenarios {
            for turn in 0..programs.len() {
                let program = &programs[(round + turn) % programs.len()];
                progress.set_message(format!(
                    "round {} of {rounds}, {}, {}",
                    round + 1,
                    scenario.title(size),
                    program.peer.label()
                ));
                let measurement = scenario::measure(scenario, program, size, cpus)?;
                results.push(scenario, program.peer, measurement);
                progress.inc(1);
            }
        }
    }
    progress.finish_and_clear();
    Ok(results)
}

fn main() -> ExitCode {
    match compare(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn compare(arguments: &Arguments) -> Result<()> {
    ensure!(
        !cfg!(debug_assertions),
        "this is a debug build, whose figures mean nothing: cargo run --release -p bench"
    );
    let descriptors = host::raise_descriptor_limit()?;
    let size = arguments.size(descriptors)?;
    let scenarios = arguments.scenarios();
    let rounds = arguments.rounds();
    let (programs, absent) = build::build(&arguments.peers())?;
    for absent in &absent {
        eprintln!("{} is left out: {}", absent.peer.label(), absent.reason);
    }
    ensure!(!programs.is_empty(), "there is no server left to measure");

    let cpus = Cpus::choose()?;
    host::pin(None, cpus.client)?;
    let results = run(&programs, &scenarios, &size, rounds, cpus)?;

    let report = Report {
        command: &command(),
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
    match arguments.report_file() {
        None => print!("{}", report.markdown()),
        Some(file) => {
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
        }
    }
    Ok(())
}

/// What was typed to start this run.
fn command() -> String {
    let mut words = vec!["cargo run --release -p bench".to_owned()];
    let arguments: Vec<String> = env::args().skip(1).collect();
    if !arguments.is_empty() {
        words.push("--".to_owned());
        words.extend(arguments);
    }
    words.join(" ")
}
