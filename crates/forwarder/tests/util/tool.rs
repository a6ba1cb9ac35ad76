//! Programs of other people that tests talk to.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The command for a program that the tests need, which is in this Debian package.
#[track_caller]
pub fn tool(program: &str, package: &str) -> Command {
    match find(program) {
        Some(path) => Command::new(path),
        None => {
            panic!("this test needs {program}, which is not installed: apt-get install {package}")
        }
    }
}

/// Daemons are where the PATH of ordinary users does not reach.
fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|path| Path::is_file(path))
}
