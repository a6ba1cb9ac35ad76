//! What the comparisons share, and the comparison of relays.

pub mod cargo;
pub mod client;
pub mod host;
pub mod relays;
pub mod stats;
pub mod verdict;
