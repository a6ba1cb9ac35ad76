//! Compares the library's echo server with that of an earlier commit.

use std::process::ExitCode;

use bench::against::{Arguments, compare};
use clap::Parser;

fn main() -> ExitCode {
    match compare(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("against: {error:#}");
            ExitCode::FAILURE
        }
    }
}
