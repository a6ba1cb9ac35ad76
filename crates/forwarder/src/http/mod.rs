//! A small HTTP/1.1 server on the library's dialogues; the status page and the built-in site are
//! served by it.
//!
//! A [`Server`] accepts, a [`Connection`] holds the dialogue with one client, and a [`Service`]
//! answers, at once or later, so that it can ask other threads first. Pages and JSON fit into
//! memory, and nothing here takes what a request carries, so bodies are read past.

mod connection;
mod request;
mod response;
mod server;
mod service;

pub(crate) use self::connection::Connection;
pub(crate) use self::request::{Refusal, Request};
pub(crate) use self::response::Response;
pub(crate) use self::server::{MAX_CONNECTIONS, Server, listen};
pub(crate) use self::service::{Answer, Reply, Service};

#[cfg(test)]
mod tests;
