//! A small HTTP/1.1 server on the library's dialogues. It serves the pages of the forwarder, and the
//! library's example `http_server`.
//!
//! A [`Server`] accepts clients, a [`Connection`] handles one of them, and a [`Service`] answers, at
//! once or later, so that it can ask other threads first. Request bodies are collected up to a
//! limit; responses are bytes, or are produced while the client takes them.

mod connection;
mod request;
mod response;
mod server;
mod service;

pub use self::connection::Connection;
pub use self::request::{Refusal, Request};
pub use self::response::Response;
pub use self::server::Server;
pub use self::service::{Answer, Reply, Service};

#[cfg(test)]
mod tests;
