//! The comparisons of echo servers, of commits and of relays, and their shared code.

pub mod against;
pub mod cargo;
pub mod client;
pub mod echo;
mod git;
pub mod host;
pub mod page;
pub mod program;
pub mod relays;
pub mod selection;
pub mod stats;
pub mod turns;
pub mod verdict;
