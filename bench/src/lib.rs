//! What the comparisons share, and the comparison of relays.

pub mod cargo;
pub mod client;
pub mod host;
pub mod page;
pub mod program;
pub mod relays;
pub mod selection;
pub mod stats;
pub mod turns;
pub mod verdict;
