//! External programs, if they are installed.

use std::path::Path;
use std::process::{Command, Stdio};

/// Returns the command for a script in `tests/peers`. Prints the reason and returns `None` if no
/// Python is installed that still has asyncore.
pub fn python(script: &str, args: &[&str]) -> Option<Command> {
    let python = ["python3.11", "python3"].into_iter().find(|python| {
        let imports = ["-W", "ignore", "-c", "import asyncore, asynchat"];
        succeeds(Command::new(python).args(imports))
    });
    let Some(python) = python else {
        println!("skipped: no Python with asyncore");
        return None;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script);
    let mut command = Command::new(python);
    command.args(["-u", "-W", "ignore"]).arg(script).args(args);
    Some(command)
}

/// Returns the command for curl, quiet and independent of the user's settings. Prints the reason and
/// returns `None` if curl is not installed.
pub fn curl(args: &[&str]) -> Option<Command> {
    if !succeeds(Command::new("curl").arg("--version")) {
        println!("skipped: no curl");
        return None;
    }
    let mut command = Command::new("curl");
    command.args(["--disable", "--silent", "--show-error", "--noproxy", "*", "--max-time", "15"]);
    command.args(args);
    Some(command)
}

fn succeeds(command: &mut Command) -> bool {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
