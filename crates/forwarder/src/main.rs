//! `forwarder`: see its `--help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    forwarder::program::main()
}
