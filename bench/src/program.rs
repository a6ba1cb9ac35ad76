//! What is compared, once it has been built or found.

use std::ffi::OsString;
use std::path::PathBuf;

/// The name of a program in messages and tables.
pub trait Label {
    /// The name.
    fn label(&self) -> &'static str;
}

/// A program that is ready to be started; `P` names those that are compared.
pub struct Program<P> {
    /// Which of them it is.
    pub peer: P,
    /// Empty for what is no program at all.
    pub executable: PathBuf,
    /// What it is started with, before what the comparison adds.
    pub arguments: Vec<OsString>,
    /// Its version, or that of the library it is about.
    pub version: String,
}

/// A program that this machine cannot run.
pub struct Absent<P> {
    /// Which of them it is.
    pub peer: P,
    /// Why, and what would change that.
    pub reason: String,
}
