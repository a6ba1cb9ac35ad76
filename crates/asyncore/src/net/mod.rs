//! Name resolution, connections in progress, and pipes between sockets.

mod dial;
#[cfg(target_os = "linux")]
mod pipe;
pub(crate) mod resolve;

pub(crate) use self::dial::{Dial, HostConnect, Prepare, PreparedSocket};
#[cfg(target_os = "linux")]
pub(crate) use self::pipe::{Pipe, PipePool};
pub(crate) use self::resolve::Resolver;
