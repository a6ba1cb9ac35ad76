//! A port forwarder on asyncore.

pub mod config;
pub mod policy;

mod bind;
mod http;
mod relay;
pub mod server;
mod serving;
mod signals;
pub mod site;
mod status;
pub mod top;
mod worker;
pub mod cli;
mod logging;
pub mod program;
