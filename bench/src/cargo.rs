//! Builds the Rust programs and looks up their versions.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};

/// Returns the directory of this package, which holds the sources of the peers in other languages.
pub fn package_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Checks that this is a release build; the error suggests `command`.
///
/// # Errors
/// In a debug build.
pub fn ensure_release(command: &str) -> Result<()> {
    ensure!(
        !cfg!(debug_assertions),
        "this is a debug build, whose figures mean nothing: {command}"
    );
    Ok(())
}

/// Returns the cargo target directory that contains this program.
///
/// # Errors
/// When the program is not in a target directory.
pub fn target_dir() -> Result<PathBuf> {
    let executable = env::current_exe().context("cannot tell where this program lies")?;
    let target = executable.parent().and_then(Path::parent);
    Ok(target.context("this program does not lie in a cargo target directory")?.to_owned())
}

/// Returns a cargo command, such as `build`, for the package `manifest` and the target directory
/// `target`.
pub fn command(name: &str, manifest: &Path, target: &Path) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.arg(name).arg("--manifest-path").arg(manifest).arg("--target-dir").arg(target);
    cargo
}

/// Builds all binaries of the package `manifest` in release mode, into [`target_dir`] or into
/// `folder` below it, and returns their directory.
///
/// # Errors
/// When cargo cannot be run or fails.
pub fn build_binaries(manifest: &Path, folder: &str) -> Result<PathBuf> {
    build(manifest, folder, &["--bins"])
}

/// Builds the binary `name` in the same way, and returns its path.
///
/// # Errors
/// As [`build_binaries`].
pub fn build_binary(manifest: &Path, folder: &str, name: &str) -> Result<PathBuf> {
    Ok(build(manifest, folder, &["--bin", name])?.join(name))
}

fn build(manifest: &Path, folder: &str, binaries: &[&str]) -> Result<PathBuf> {
    let target = target_dir()?.join(folder);
    let status = command("build", manifest, &target)
        .arg("--release")
        .args(binaries)
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "cargo build of {} failed: {status}", manifest.display());
    Ok(target.join("release"))
}

/// Returns the version of `package` in the workspace's `Cargo.lock`; all versions if there are
/// several.
///
/// # Errors
/// When the file cannot be read or does not contain the package.
pub fn locked_version(package: &str) -> Result<String> {
    locked_version_in(&package_dir().with_file_name("Cargo.lock"), package)
}

/// Like [`locked_version`], with the lock file at `path`.
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

/// Returns the first line of a program's output.
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
