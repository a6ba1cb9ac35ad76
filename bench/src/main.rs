//! Compares echo servers on loopback and writes `RESULTS.md`.

use std::process::ExitCode;

use bench::echo::{Arguments, compare};
use clap::Parser;

fn main() -> ExitCode {
    match compare(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
