//! The values that options take, each with one notation for files and the command line.

mod count;
mod expect;
mod net;
mod or_none;
mod period;
mod rate;
mod size;
mod unix;
pub(crate) mod written;

pub use count::Count;
pub use expect::Expect;
pub use net::Net;
pub use or_none::OrNone;
pub use period::Period;
pub use rate::Rate;
pub use size::Size;
pub use unix::UnixMode;
pub(crate) use written::{Written, written};
