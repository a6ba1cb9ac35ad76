//! What lies between a host's name and a connection.

mod connect;
#[cfg(target_os = "linux")]
mod pipe;
mod resolve;

pub(crate) use self::connect::HostConnect;
#[cfg(target_os = "linux")]
pub(crate) use self::pipe::{Pipe, PipePool};
pub(crate) use self::resolve::Resolver;
