//! What lies between a host's name and a connection.

mod connect;
mod resolve;

pub(crate) use self::connect::HostConnect;
pub(crate) use self::resolve::Resolver;
