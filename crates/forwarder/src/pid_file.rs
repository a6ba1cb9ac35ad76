//! The file that holds the process's number while it runs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The written file; dropping this removes it.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    text: String,
}

impl PidFile {
    /// Writes the process's number, over that of an earlier process.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn write(path: &Path) -> anyhow::Result<Self> {
        let text = format!("{}\n", std::process::id());
        fs::write(path, &text)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("forwarder-{name}-{}", std::process::id()))
    }

    #[test]
    fn the_file_holds_the_number_while_the_process_runs() {
        let path = path("pid");
        let file = PidFile::write(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn the_number_of_a_process_that_took_over_stays() {
        let path = path("pid-of-another");
        let file = PidFile::write(&path).unwrap();
        fs::write(&path, "1\n").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_folder_that_does_not_exist_is_named() {
        let error = PidFile::write(&path("nowhere").join("pid")).unwrap_err();
        assert!(format!("{error:#}").contains("nowhere"), "{error:#}");
    }
}
