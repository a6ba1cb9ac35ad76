//! What the forwarder is told to do: from a file and from the command line to a checked
//! [`Config`].
//!
//! A text becomes [`Options`](options::Options) (what was said), that becomes a `Config` (with
//! everything that was not said), and that is checked as a whole. All three are plain data, and two
//! configurations can be compared, so that a reload can tell what has changed.

pub mod address;
pub mod capture;
pub mod check;
mod check_rule;
pub mod error;
pub mod file;
mod host;
pub mod invalid;
pub mod log;
mod loops;
pub mod model;
pub(crate) mod nearest;
pub mod options;
pub mod problem;
pub mod proxy_send;
pub mod reach;
pub mod rule;
pub mod rule_options;
pub mod schema;
pub mod status;
pub mod target;
mod toml_error;
pub mod value;

#[cfg(test)]
pub(crate) mod tests;

pub use self::model::*;
