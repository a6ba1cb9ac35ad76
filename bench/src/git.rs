//! The commits compared, and a work tree of the earlier one.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cargo::package_dir;

/// A commit that git found.
pub(crate) struct Commit {
    hash: String,
    /// Its short hash and subject.
    pub(crate) title: String,
}

impl Commit {
    /// Looks up `revision`: a hash, branch, tag or expression such as `HEAD~1`.
    pub(crate) fn find(revision: &str) -> Result<Self> {
        let commit = format!("{revision}^{{commit}}");
        let hash = git(["rev-parse", "--verify", "--end-of-options", &commit])
            .with_context(|| format!("this repository has no commit {revision:?}"))?;
        let title = git(["show", "--no-patch", "--format=%h \"%s\"", &hash])?;
        Ok(Commit { hash, title })
    }
}

/// Describes the tree that this program was built from.
pub(crate) fn describe_present() -> Result<String> {
    let title = Commit::find("HEAD")?.title;
    let changes = git(["status", "--porcelain"])?;
    Ok(if changes.is_empty() { title } else { format!("{title} with uncommitted changes") })
}

/// A temporary work tree; dropping it removes it.
pub(crate) struct WorkTree {
    path: PathBuf,
}

impl WorkTree {
    /// Checks `commit` out at `path`, where an interrupted run may have left a work tree.
    pub(crate) fn add(commit: &Commit, path: PathBuf) -> Result<Self> {
        if path.exists() {
            remove(&path)?;
        }
        // Forced, since git may still list a directory that is gone.
        let add = ["worktree", "add", "--quiet", "--force", "--detach"].map(OsStr::new);
        git(add.into_iter().chain([path.as_os_str(), OsStr::new(&commit.hash)]))
            .with_context(|| format!("cannot check {} out", commit.title))?;
        Ok(WorkTree { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for WorkTree {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            eprintln!("{error:#}");
        }
    }
}

fn remove(path: &Path) -> Result<()> {
    let arguments = ["worktree", "remove", "--force"].map(OsStr::new);
    git(arguments.into_iter().chain([path.as_os_str()]))
        .with_context(|| format!("cannot remove the work tree; delete {}", path.display()))?;
    Ok(())
}

/// Runs git in this repository and returns what it printed, without the final newline.
fn git(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<String> {
    let mut command = Command::new("git");
    command.arg("-C").arg(package_dir()).args(arguments);
    let output = command.output().context("cannot run git")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git failed: {}", error.trim_end());
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}
