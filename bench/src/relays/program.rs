//! From the table of relays to programs that can be started.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::cargo::{self, first_line, locked_version, package_dir};
use crate::git::{Commit, WorkTree};
use crate::relays::launch::SOCKET_PROXYD;
use crate::relays::peer::{Origin, Peer};

/// The directory in the target directory that holds the work tree and the build of `--base`.
const FOLDER: &str = "relays";

/// A relay that is ready to be started.
pub(crate) type Program = crate::program::Program<Peer>;
/// A relay that this machine cannot run.
pub(crate) type Absent = crate::program::Absent<Peer>;

/// Builds or finds `peers`, in their order; one that is not there is absent. [`Peer::Base`] is the
/// forwarder at the commit `base`.
pub(crate) fn find(peers: &[Peer], base: Option<&Commit>) -> Result<(Vec<Program>, Vec<Absent>)> {
    let mut programs = Vec::new();
    let mut absent = Vec::new();
    let own = cargo::build_binaries(&package_dir().join("Cargo.toml"), "")?;
    for &peer in peers {
        let found = match peer.origin() {
            Origin::Forwarder => {
                let manifest = package_dir().with_file_name("crates").join("forwarder/Cargo.toml");
                let directory = cargo::build_binaries(&manifest, "")?;
                Ok(program(peer, directory.join("forwarder"), locked_version("forwarder")?))
            }
            Origin::Base => match base {
                Some(commit) => Ok(at_commit(peer, commit)?),
                None => Err("--base names its commit".to_owned()),
            },
            Origin::Rust { binary, package } => {
                let version = format!("{package} {}", locked_version(package)?);
                Ok(program(peer, own.join(binary), version))
            }
            Origin::Apart { name, package } => {
                apart(peer, name, package).map_err(|error| format!("it does not build: {error:#}"))
            }
            Origin::Installed { program, version, remedy } => {
                installed(peer, program, version).ok_or(format!("there is no {program}; {remedy}"))
            }
            Origin::Python { script, module } => python(peer, script).ok_or(format!(
                "no Python here has the module {module}; Python 3.11 is the last that does"
            )),
            Origin::Nothing => Ok(program(peer, PathBuf::new(), "–".to_owned())),
        };
        match found {
            Ok(program) => programs.push(program),
            Err(reason) => absent.push(Absent { peer, reason }),
        }
    }
    Ok((programs, absent))
}

fn program(peer: Peer, executable: PathBuf, version: String) -> Program {
    Program { peer, executable, arguments: Vec::new(), version }
}

/// Builds the forwarder in a work tree that is removed before the measurements begin.
fn at_commit(peer: Peer, commit: &Commit) -> Result<Program> {
    let tree = WorkTree::add(commit, cargo::target_dir()?.join(FOLDER).join("tree"))?;
    let manifest = tree.path().join("crates/forwarder/Cargo.toml");
    let directory = cargo::build_binaries(&manifest, &format!("{FOLDER}/build"))?;
    Ok(program(peer, directory.join("forwarder"), commit.title.clone()))
}

/// Builds a package of `peers`, which is in no workspace, so that what it depends on is its own.
fn apart(peer: Peer, name: &str, package: &str) -> Result<Program> {
    let folder = package_dir().join("peers").join(name);
    let binaries = cargo::build_binaries(&folder.join("Cargo.toml"), name)?;
    let version = cargo::locked_version_in(&folder.join("Cargo.lock"), package)?;
    Ok(program(peer, binaries.join(name), format!("{package} {version}")))
}

/// Daemons lie where a user's search path does not look.
fn installed(peer: Peer, name: &str, version: &str) -> Option<Program> {
    if peer == Peer::SocketProxyd && !Path::new(SOCKET_PROXYD).exists() {
        return None;
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let folders =
        env::split_paths(&path).chain(["/usr/local/sbin", "/usr/sbin"].map(PathBuf::from));
    let executable = folders.map(|folder| folder.join(name)).find(|path| path.is_file())?;
    let answer = Command::new(&executable).arg(version).stdin(Stdio::null()).output().ok()?;
    // socat's version is on its second line, below its address; the others' on the first.
    let line = match peer {
        Peer::Socat => String::from_utf8_lossy(&answer.stdout)
            .lines()
            .find(|line| line.starts_with("socat version"))?
            .to_owned(),
        _ => first_line(&answer),
    };
    Some(program(peer, executable, line))
}

/// Takes the first interpreter that still has the module the script imports.
fn python(peer: Peer, script: &str) -> Option<Program> {
    let script = package_dir().join("peers").join(script);
    ["python3", "python3.11", "python3.10", "python3.9"].into_iter().find_map(|interpreter| {
        let arguments: Vec<OsString> =
            vec!["-W".into(), "ignore".into(), script.clone().into_os_string()];
        let answer = Command::new(interpreter)
            .args(&arguments)
            .arg("--version")
            .stderr(Stdio::null())
            .output()
            .ok()
            .filter(|answer| answer.status.success())?;
        let version = first_line(&answer);
        Some(Program { peer, executable: interpreter.into(), arguments, version })
    })
}

/// A folder for what relays need while they run; removed when dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Result<Self> {
        let path = env::temp_dir().join(format!("relays-{}", std::process::id()));
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(Folder(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind is small and in a folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
