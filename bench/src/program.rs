//! The programs that are compared, built or found on the system.

use std::ffi::OsString;
use std::path::PathBuf;

/// The name of a program in messages and tables.
pub trait Label {
    /// Returns the name.
    fn label(&self) -> &'static str;
}

/// A program that is ready to start; `P` identifies the compared programs.
pub struct Program<P> {
    /// Identifies the program.
    pub peer: P,
    /// Empty for an entry that is not a program.
    pub executable: PathBuf,
    /// Arguments that precede those of the comparison.
    pub arguments: Vec<OsString>,
    /// The version of the program, or of the library that it measures.
    pub version: String,
}

/// A program that this machine cannot run.
pub struct Absent<P> {
    /// Identifies the program.
    pub peer: P,
    /// The reason, and how to make the program available.
    pub reason: String,
}
