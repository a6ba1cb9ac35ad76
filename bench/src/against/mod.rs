//! Compares the library's echo server with that of an earlier commit.
//!
//! It builds both, measures them in turns under the loads of [`crate::echo`], and prints a report.

mod instructions;
mod report;
mod targets;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Parser;

use self::instructions::Counts;
use self::report::Report;
use crate::cargo::{self, package_dir};
use crate::echo;
use crate::echo::peers::ASYNCORE;
use crate::echo::scenario::Scenario;
use crate::echo::setting::Setting;
use crate::echo::size::Amount;
use crate::git::{self, Commit, WorkTree};
use crate::page;
use crate::program::{self, Label};
use crate::selection::Extent;

/// What starts the program.
const COMMAND: &str = "cargo run --release -p bench --bin against";
/// The directory in the target directory that holds the base's work tree and both servers.
const FOLDER: &str = "against";

/// Compare the library's echo server with that of an earlier commit, the base.
///
/// Checks the base out into target/against/tree, builds its echo server and the present one, removes the
/// tree, and measures the two in turns: base first in one round, present first in the next. The report gives
/// the CPU time of each message and of each accepted connection, the bytes of an idle connection, and the
/// ratio of present to base within each round. Takes some three minutes after the builds; wants a quiet
/// machine with two CPUs. On a busy one, run more rounds.
///
/// With --base HEAD and no changes, both servers are the same program, and the report shows the noise of the
/// machine: run this once before you trust a small difference.
///
/// --instructions also counts the instructions of the hot paths of both, each by its own
/// bench/benches/instructions.rs. A busy machine does not change these counts. It takes some four minutes more
/// on the first run, and needs valgrind and gungraun-runner:
///   cargo install gungraun-runner --version VERSION   (that of gungraun in bench/Cargo.toml)
///
/// Examples:
///   cargo run --release -p bench --bin against -- --base HEAD~1
///   cargo run --release -p bench --bin against -- --base v0.1.0 --instructions --output target/against.md
///   cargo run --release -p bench --bin against -- --base HEAD~1 --scenario fifty,idle --rounds 21
///   cargo run --release -p bench --bin against -- --base HEAD~1 --quick
#[derive(Parser)]
#[command(name = "against", verbatim_doc_comment)]
pub struct Arguments {
    /// The commit to compare with: a hash, branch, tag or expression such as HEAD~1. HEAD compares
    /// uncommitted changes with the last commit
    #[arg(long, value_name = "REV")]
    base: String,

    /// Also count the instructions of the hot paths
    #[arg(long)]
    instructions: bool,

    #[command(flatten)]
    extent: Extent<Scenario, 9>,

    #[command(flatten)]
    amount: Amount,

    /// Also write the report to this file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// One of the two servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    Base,
    Present,
}

impl Label for Side {
    fn label(&self) -> &'static str {
        match self {
            Side::Base => "base",
            Side::Present => "present",
        }
    }
}

type Program = program::Program<Side>;

/// Runs the comparison and prints its report.
///
/// # Errors
/// When a commit cannot be checked out or built, a server cannot be measured, or the report cannot
/// be written.
pub fn compare(arguments: &Arguments) -> Result<()> {
    let setting = Setting::new(COMMAND, &arguments.extent, &arguments.amount)?;
    let (base, base_counts) = prepare_base(arguments)?;
    let manifest = package_dir().join("Cargo.toml");
    let title = git::describe_present()?;
    let (present, present_counts) =
        prepare(Side::Present, title, &manifest, "", arguments.instructions)?;
    let programs = [base, present];
    let report = Report {
        results: &echo::run(&programs, &setting)?,
        setting: &setting,
        programs: &programs,
        counts: base_counts.zip(present_counts),
    };
    let markdown = report.markdown();
    if arguments.output.is_some() {
        println!("{markdown}");
    }
    page::publish(&markdown, &report.targets(), arguments.output.as_deref())
}

/// Builds the base in a work tree that is removed before the measurements begin.
fn prepare_base(arguments: &Arguments) -> Result<(Program, Option<Counts>)> {
    let commit = Commit::find(&arguments.base)?;
    let tree = WorkTree::add(&commit, cargo::target_dir()?.join(FOLDER).join("tree"))?;
    let manifest = tree.path().join("bench/Cargo.toml");
    let folder = format!("{FOLDER}/build");
    prepare(Side::Base, commit.title, &manifest, &folder, arguments.instructions)
}

/// Builds the server of the package `manifest` into `folder` of the target directory, and counts
/// instructions if asked to.
fn prepare(
    side: Side,
    title: String,
    manifest: &Path,
    folder: &str,
    instructions: bool,
) -> Result<(Program, Option<Counts>)> {
    let target = cargo::target_dir()?;
    let built = cargo::build_binary(manifest, folder, ASYNCORE)
        .with_context(|| format!("the {} server cannot be built", side.label()))?;
    // A copy, or a build during the measurements would replace the program.
    let executable = target.join(FOLDER).join(side.label());
    fs::copy(&built, &executable)
        .with_context(|| format!("cannot copy the server to {}", executable.display()))?;
    let counts =
        instructions.then(|| instructions::count(manifest, &target.join(folder))).transpose()?;
    let program = Program { peer: side, executable, arguments: Vec::new(), version: title };
    Ok((program, counts))
}
