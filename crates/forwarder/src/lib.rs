//! `forwarder`, the port forwarder on asyncore: what its binary is made of.
//!
//! [`program::main`] is all of the binary. [`cli`] and [`config`] say what there is to do,
//! [`policy`] who is let in and where it goes, and [`server`] does it.

pub mod cli;
pub mod config;
pub mod policy;
pub mod program;
pub mod reload;
pub mod server;
pub mod site;
pub mod top;

mod bind;
mod capture;
mod descriptors;
mod exhaustion;
mod handover;
mod health_check;
mod inherited;
mod listener_handle;
mod logging;
mod pid_file;
mod privileges;
mod registry;
mod relay;
mod resolver;
mod shared;
mod status;
mod systemd;
mod udp;
mod unix;
mod worker;
mod worker_rule;
