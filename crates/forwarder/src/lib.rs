//! A port forwarder on asyncore.

pub mod config;
pub mod policy;

mod bind;
mod capture;
mod check;
pub mod cli;
mod fault;
mod handover;
mod http;
mod inherited;
mod listening;
mod logging;
mod pid_file;
pub mod program;
mod relay;
pub mod server;
mod serving;
mod signals;
pub mod site;
mod status;
mod systemd;
pub mod top;
mod udp;
mod worker;
