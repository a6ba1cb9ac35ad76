//! Compares the forwarder with other relays on loopback and writes `RELAYS.md`.

use std::process::ExitCode;

use bench::relays::{Arguments, compare};
use clap::Parser;

fn main() -> ExitCode {
    match compare(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("relays: {error:#}");
            ExitCode::FAILURE
        }
    }
}
