//! What a test needs beyond the Rust toolchain: other programs, root, a free port.
//!
//! A test names its needs first, with [`needs!`]. On a machine that lacks one, the test does not
//! run: it reports its name and the reason on standard error and passes. With
//! `REQUIRE_ALL_TESTS=1`, which `.ci/test` sets, it fails instead.

use std::env;
use std::fmt;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Something that a test needs and a machine may lack.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// A program, and the Debian package that holds it.
    Program(&'static str, &'static str),
    /// A file, and the Debian package or system feature that provides it.
    File(&'static str, &'static str),
    /// A Python that can import these modules, comma-separated.
    Python(&'static str),
    /// The rights of the superuser.
    Root,
    /// A TCP port of 127.0.0.1 on which nothing listens.
    FreePort(u16),
}

impl Need {
    /// Returns whether the machine has it.
    pub fn is_met(self) -> bool {
        match self {
            Need::Program(name, _) => program(name).is_some(),
            Need::File(path, _) => Path::new(path).exists(),
            Need::Python(modules) => python(modules).is_some(),
            Need::Root => rustix::process::geteuid().is_root(),
            Need::FreePort(port) => TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok(),
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Need::Program(name, package) => {
                write!(f, "{name} is not installed; apt-get install {package}")
            }
            Need::File(path, source) => write!(f, "{path} does not exist; it comes with {source}"),
            Need::Python(modules) => write!(f, "no Python here can import {modules}"),
            Need::Root => write!(f, "it needs root"),
            Need::FreePort(port) => write!(f, "port {port} of 127.0.0.1 is in use"),
        }
    }
}

/// Ends the running test unless the machine has everything that is named.
///
/// ```no_run
/// use test_needs::{Need, needs};
///
/// # #[allow(clippy::test_attr_in_doctest)]
/// #[test]
/// fn a_page_is_fetched_by_curl() {
///     needs!(Need::Program("curl", "curl"));
/// }
/// ```
#[macro_export]
macro_rules! needs {
    ($($need:expr),+ $(,)?) => {{
        fn here() {}
        if !$crate::can_run(std::any::type_name_of_val(&here), &[$($need),+]) {
            return;
        }
    }};
}

/// Returns whether the test that contains the function `here` can run, and reports it otherwise.
///
/// # Panics
/// If it cannot, and `REQUIRE_ALL_TESTS=1` is set.
pub fn can_run(here: &str, needs: &[Need]) -> bool {
    let Some(missing) = first_missing(needs) else {
        return true;
    };
    let required = env::var_os("REQUIRE_ALL_TESTS").is_some_and(|value| value == "1");
    assert!(!required, "this test cannot run here: {missing}");
    let test = here.trim_end_matches("::here");
    // The test harness captures what `eprintln!` writes.
    let _ = writeln!(io::stderr(), "not run: {test}: {missing}");
    false
}

fn first_missing(needs: &[Need]) -> Option<&Need> {
    needs.iter().find(|need| !need.is_met())
}

/// Returns the path of a program. Daemons are in folders that are not in the PATH of ordinary
/// users.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Returns the name of a Python that can import `modules`.
pub fn python(modules: &str) -> Option<&'static str> {
    ["python3.11", "python3"].into_iter().find(|python| {
        Command::new(python)
            .args(["-W", "ignore", "-c", &format!("import {modules}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MISSING: Need = Need::Program("a-program-that-no-system-has", "no-package");

    #[test]
    fn the_first_need_that_is_not_met_is_the_reason() {
        const ROOT_FOLDER: Need = Need::File("/", "every system");
        assert!(first_missing(&[ROOT_FOLDER]).is_none());
        let missing = first_missing(&[ROOT_FOLDER, MISSING]).expect("one is missing");
        assert_eq!(
            missing.to_string(),
            "a-program-that-no-system-has is not installed; apt-get install no-package"
        );
    }

    #[test]
    fn a_port_in_use_is_not_free() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(!Need::FreePort(port).is_met());
    }
}
