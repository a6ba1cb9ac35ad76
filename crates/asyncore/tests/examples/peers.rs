//! External programs.

use std::path::Path;
use std::process::Command;

use test_needs::Need;

/// The need of the scripts in `tests/peers`.
pub const PYTHON: Need = Need::Python("asyncore, asynchat");
pub const CURL: Need = Need::Program("curl", "curl");

/// Returns the command for a script in `tests/peers`.
pub fn python(script: &str, args: &[&str]) -> Command {
    let python = test_needs::python("asyncore, asynchat").expect("the test names this need");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script);
    let mut command = Command::new(python);
    command.args(["-u", "-W", "ignore"]).arg(script).args(args);
    command
}

/// Returns the command for curl, quiet and independent of the user's settings.
pub fn curl(args: &[&str]) -> Command {
    let mut command = Command::new("curl");
    command.args(["--disable", "--silent", "--show-error", "--noproxy", "*", "--max-time", "15"]);
    command.args(args);
    command
}
