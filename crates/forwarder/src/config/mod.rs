//! The configuration: from a file and the command line to a checked [`Config`].
//!
//! [`Rule`] and [`Config`] are the tables of all options. clap, serde and schemars derive the command
//! line, the file format and the schema from them, and the defaults in their attributes are the only
//! ones. A file's `[defaults]` and rules are merged key by key before they are read, and the command
//! line overrides the options that it contains. The result is checked as a whole. It is plain data,
//! and two configurations can be compared, so that a reload can find what has changed.

pub mod address;
pub mod capture;
pub(crate) mod diagnostic;
pub mod file;
mod host_port;
pub(crate) mod listeners;
mod loops;
pub mod notation;
pub mod options;
pub mod process;
pub mod rule;
pub mod schema;
pub mod status;
pub mod target;
pub mod validate;
pub mod value;

#[cfg(test)]
pub(crate) mod tests;

use clap::Command;

pub use self::address::{Endpoint, Listen};
pub use self::capture::{Capture, CaptureFilter};
pub use self::diagnostic::{Diagnostic, Error, ParseError};
pub use self::listeners::arrives_at;
pub use self::process::{Config, Log, LogFormat, LogLevel};
pub use self::rule::{Balance, Check, ProxyVersion, Rule};
pub use self::status::Status;
pub use self::target::Target;
pub use self::value::UnixOwner;

/// All options at the defaults that their attributes name.
fn defaults<T: clap::Args>() -> T {
    let command = T::augment_args(Command::new("defaults").no_binary_name(true));
    let parsed = command.try_get_matches_from([""; 0]);
    // INVARIANT: every default can be parsed; the tests build each table.
    parsed.and_then(|matches| T::from_arg_matches(&matches)).expect("valid defaults")
}
