//! Builds the peers into programs that can be started.
//!
//! Each server is a separate binary instead of a subcommand, so that no server's memory figures
//! include another's code, statics or allocations.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::cargo::{self, first_line, locked_version, package_dir};
use crate::echo::peers::{Origin, Peer};
use crate::program::{self, Label};
use anyhow::{Context, Result, bail, ensure};

/// A server that is ready to start.
pub(crate) type Program = program::Program<Peer>;
/// A server that this machine cannot run.
pub(crate) type Absent = program::Absent<Peer>;

enum Outcome {
    Ready(Program),
    Absent(String),
}

/// Builds `peers` in order. A missing toolchain, header or interpreter makes a peer absent; source
/// that does not compile is an error.
pub(crate) fn build(peers: &[Peer]) -> Result<(Vec<Program>, Vec<Absent>)> {
    let directory = cargo::build_binaries(&package_dir().join("Cargo.toml"), "")?;
    let mut programs = Vec::new();
    let mut absent = Vec::new();
    for &peer in peers {
        let outcome = match peer.origin() {
            Origin::Rust { binary, package } => {
                rust_program(peer, &directory.join(binary), package)
            }
            Origin::C { program, header, library, debian_package } => {
                if has_header(header) {
                    compile_c(peer, program, library, &directory)
                } else {
                    Ok(Outcome::Absent(format!(
                        "no C compiler finds {header}; on Debian: apt-get install gcc {debian_package}"
                    )))
                }
            }
            Origin::Python { script, module } => python_program(peer, script, module),
        };
        match outcome.with_context(|| format!("the {} server cannot be built", peer.label()))? {
            Outcome::Ready(program) => programs.push(program),
            Outcome::Absent(reason) => absent.push(Absent { peer, reason }),
        }
    }
    Ok((programs, absent))
}

fn rust_program(peer: Peer, executable: &Path, package: &str) -> Result<Outcome> {
    ensure!(
        executable.exists(),
        "cargo build succeeded, and yet there is no {}",
        executable.display()
    );
    Ok(Outcome::Ready(Program {
        peer,
        executable: executable.to_owned(),
        arguments: Vec::new(),
        version: format!("{package} {}", locked_version(package)?),
    }))
}

/// Returns whether a C compiler is installed and its preprocessor finds `header`.
fn has_header(header: &str) -> bool {
    Command::new("cc")
        .args(["-E", "-x", "c", "-include", header, "/dev/null"])
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success())
}

fn compile_c(peer: Peer, program: &str, library: &str, directory: &Path) -> Result<Outcome> {
    let executable = directory.join(program);
    let source = package_dir().join("peers").join(program).with_extension("c");
    let compiled = Command::new("cc")
        .args(["-O2", "-Wall", "-Wextra", "-o"])
        .arg(&executable)
        .arg(&source)
        .arg(format!("-l{library}"))
        .output()
        .context("cannot run cc")?;
    if !compiled.status.success() {
        bail!(
            "cc did not compile {}:\n{}",
            source.display(),
            String::from_utf8_lossy(&compiled.stderr).trim_end()
        );
    }
    let version = Command::new(&executable)
        .arg("--version")
        .output()
        .with_context(|| format!("cannot run {}", executable.display()))?;
    Ok(Outcome::Ready(Program {
        peer,
        version: first_line(&version),
        executable,
        arguments: Vec::new(),
    }))
}

/// Returns the first interpreter that has `module`.
fn python_program(peer: Peer, script: &str, module: &str) -> Result<Outcome> {
    let script = package_dir().join("peers").join(script);
    for interpreter in ["python3", "python3.11", "python3.10", "python3.9"] {
        let arguments = vec!["-W".into(), "ignore".into(), script.clone().into_os_string()];
        let answer = Command::new(interpreter)
            .args(&arguments)
            .arg("--version")
            .stderr(Stdio::null())
            .output();
        match answer {
            Ok(answer) if answer.status.success() => {
                return Ok(Outcome::Ready(Program {
                    peer,
                    executable: interpreter.into(),
                    arguments,
                    version: first_line(&answer),
                }));
            }
            Ok(_) | Err(_) => {}
        }
    }
    Ok(Outcome::Absent(format!(
        "no Python here has the module {module}; Python 3.11 is the last that does"
    )))
}
