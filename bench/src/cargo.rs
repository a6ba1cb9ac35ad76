//! Building the programs that are Rust, and what is known of them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};

/// The package's folder, where the sources of the peers that are not Rust lie.
pub fn package_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Has cargo build every binary of the package `manifest` in release mode, into the target
/// directory that this program is from or into `folder` in it, and tells where they are.
///
/// # Errors
/// When cargo cannot be run, or does not succeed.
pub fn build_binaries(manifest: &Path, folder: &str) -> Result<PathBuf> {
    let executable = env::current_exe().context("cannot tell where this program lies")?;
    let directory = executable.parent().context("this program lies in no directory")?;
    let target = directory
        .parent()
        .context("this program does not lie in a cargo target directory")?
        .join(folder);
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(&cargo)
        .args(["build", "--release", "--bins", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(&target)
        .status()
        .with_context(|| format!("cannot run {}", Path::new(&cargo).display()))?;
    ensure!(status.success(), "cargo build of {} failed: {status}", manifest.display());
    Ok(target.join("release"))
}

/// The version that the workspace's `Cargo.lock` names for `package`; all of them, if there are
/// several.
///
/// # Errors
/// When the file cannot be read or does not name the package.
pub fn locked_version(package: &str) -> Result<String> {
    locked_version_in(&package_dir().with_file_name("Cargo.lock"), package)
}

/// The same from the lock file at `path`.
///
/// # Errors
/// As [`locked_version`].
pub fn locked_version_in(path: &Path, package: &str) -> Result<String> {
    let lock =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let versions = versions_in(&lock, package);
    ensure!(!versions.is_empty(), "{} names no {package}", path.display());
    Ok(versions.join(" and "))
}

fn versions_in<'a>(lock: &'a str, package: &str) -> Vec<&'a str> {
    let name = format!("name = \"{package}\"");
    lock.split("[[package]]")
        .filter(|entry| entry.lines().any(|line| line == name))
        .flat_map(|entry| entry.lines())
        .filter_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
        .collect()
}

/// The first line that a program printed.
pub fn first_line(output: &Output) -> String {
    let printed = if output.stdout.is_empty() { &output.stderr } else { &output.stdout };
    String::from_utf8_lossy(printed).lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::versions_in;

    const LOCK: &str = "version = 4\n\n[[package]]\nname = \"mio\"\nversion = \"1.2.4\"\n\n\
        [[package]]\nname = \"mio-extras\"\nversion = \"2.0.0\"\n\n\
        [[package]]\nname = \"twice\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"twice\"\nversion = \"2.0.0\"\n";

    #[test]
    fn a_locked_version_is_that_of_the_very_package() {
        assert_eq!(versions_in(LOCK, "mio"), ["1.2.4"]);
        assert_eq!(versions_in(LOCK, "twice"), ["1.0.0", "2.0.0"]);
        assert!(versions_in(LOCK, "calloop").is_empty());
    }
}
