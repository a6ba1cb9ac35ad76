//! A folder for the files of one test.

use std::fs;
use std::path::{Path, PathBuf};

/// Gone when the test is over.
pub struct Folder(PathBuf);

impl Folder {
    /// An empty one; no two tests use the same `name`.
    pub fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("forwarder-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in it, as an argument.
    pub fn arg(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("a plain name").to_owned()
    }

    /// Writes a file, and gives its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        fs::write(self.0.join(name), content).expect("written");
        self.arg(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
