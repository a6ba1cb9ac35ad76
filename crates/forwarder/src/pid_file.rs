//! The file that holds the process's number while it runs.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The written file; dropping this removes it.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    text: String,
}

impl PidFile {
    /// Writes the process's number to a new file, which takes the place of an earlier process's.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn write(path: &Path) -> anyhow::Result<Self> {
        let text = format!("{}\n", std::process::id());
        create(path, 0o644)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("cannot write the process's number to {}", path.display()))?;
        Ok(PidFile { path: path.to_owned(), text })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // A process that has taken over from this one has written its own number there.
        if fs::read_to_string(&self.path).is_ok_and(|text| text == self.text) {
            if let Err(error) = fs::remove_file(&self.path) {
                tracing::warn!("cannot remove {}: {error}", self.path.display());
            }
        }
    }
}

/// A new file with exactly this mode. A file or a link that was at `path` is removed first, so
/// nothing is written through a link and a process that has the old file open keeps it.
pub(crate) fn create(path: &Path, mode: u32) -> io::Result<File> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_file() || there.is_symlink() => fs::remove_file(path)?,
        _ => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    // Whatever the umask.
    file.set_permissions(Permissions::from_mode(mode))?;
    Ok(file)
}

#[cfg(test)]
mod tests;
