//! The example programs, run as processes with real peers: sockets, curl, and Python's asyncore and
//! asynchat if a Python is installed that still has them.

#![allow(unreachable_pub, reason = "what the modules share is public among them")]

mod arguments;
mod chat_echo;
mod chats;
mod echo;
mod embedding;
mod http;
mod http_client;
mod http_server;
mod http_server_limits;
mod http_server_peers;
mod http_server_simulated;
mod peers;
mod port_forward;
mod process;
mod proxied_echo;
mod timeouts;
