//! Single-threaded, callback-per-socket networking: Python's asyncore and asynchat, complete, in
//! Rust.
//!
//! A *channel* is a socket with a handler: an object that overrides a few `handle_*` methods. A
//! [`SocketMap`] owns the channels, and its loop calls the methods when something happens. There
//! is no `async`, no executor, no reference counting and no lock in a program that uses it.
//!
//! ```
//! use asyncore::{Channel, Dispatcher, Domain, Result, Socket, Type};
//! use std::net::SocketAddr;
//!
//! struct EchoHandler;
//!
//! impl Dispatcher for EchoHandler {
//!     fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
//!         let mut buf = [0; 8192];
//!         let n = ch.recv(&mut buf)?;
//!         ch.push(&buf[..n]);
//!         Ok(())
//!     }
//! }
//!
//! struct EchoServer;
//!
//! impl Dispatcher for EchoServer {
//!     fn handle_accepted(&mut self, ch: &mut Channel<'_>, sock: Socket, _: Option<SocketAddr>) -> Result {
//!         ch.add(EchoHandler, sock);
//!         Ok(())
//!     }
//! }
//!
//! fn serve(addr: SocketAddr) -> Result {
//!     asyncore::run(|map| {
//!         map.add_with(|ch| {
//!             ch.create_socket(Domain::for_address(addr), Type::STREAM)?;
//!             ch.set_reuse_addr();
//!             ch.bind(addr)?;
//!             ch.listen(1024)?;
//!             Ok(EchoServer)
//!         })?;
//!         Ok(())
//!     })
//! }
//! ```
//!
//! # Layer by layer
//!
//! **Framing** is pure and knows no socket. A [`Framer`] splits a stream at its [`Terminator`]; an
//! [`Accumulator`] keeps a message until it is complete, up to a limit; a [`Producer`] makes
//! output piece by piece; a [`Fifo`] is asynchat's.
//!
//! **The socket** is a [`Socket`] on its way between channels, or a [`FileWrapper`]. Which system
//! call waits for readiness is chosen by [`PollerKind`]; on a [simulated network](sim) none does.
//!
//! **The map** ([`SocketMap`]) owns the channels, names them by [`Token`]s, and runs the loop:
//! [`run`](SocketMap::run), [`poll`](SocketMap::poll), [`drain`](SocketMap::drain). Time is the
//! map's too: [`call_later`](SocketMap::call_later) and its kin. A [`Trigger`] wakes it from other
//! threads, and signals can.
//!
//! **A callback** is given its [`Channel`], which is all it can do: receive, push, close, reach
//! another channel by its token. What it returns is a [`Result`]; an error costs that channel.
//!
//! **The face** is two traits. [`Dispatcher`] has the events and the predicates; [`AsyncChat`] is
//! a dialogue of messages on top of it.
//!
//! # What holds
//!
//! - Callbacks never nest. What one brings about is noted and delivered after it has returned.
//! - `handle_close` is called exactly once, however a channel ends.
//! - A pass of the loop costs what happened, not what is open: a predicate is asked again only
//!   when its channel, or one that it consulted, was touched.
//! - Every queue, buffer, wait and retry has a bound, and its documentation tells the default.
//! - An idle channel holds no buffer.
//! - Nothing that a peer sends, and no argument, makes the library panic.
//!
//! # Features
//!
//! None is on by default, and none changes what is there without it.
//!
//! - `signals`: [`on_signal`](SocketMap#method.on_signal).
//! - `portable`: a poller for systems without epoll (kqueue, event ports), from the `polling`
//!   crate.
//!
//! # Portability
//!
//! Linux is what this is tested on, with every poller. The other Unix systems have the poll and
//! select pollers without a feature, and kqueue with `portable`. Windows is not supported: a
//! channel is a file descriptor here.
//!
//! Whoever comes from Python finds each name in [`migration`].

mod address;
mod channel;
mod chat;
mod connection;
mod defaults;
mod dispatcher;
mod error;
mod event_loop;
mod events;
mod file;
mod framing;
mod layer;
mod log;
mod map;
mod net;
mod output;
mod panic;
mod poller;
#[cfg(feature = "signals")]
mod signals;
pub mod sim;
mod slot;
mod socket;
mod timer;
mod token;
mod traffic;
mod transport;
mod trigger;
mod wake;

#[doc = include_str!("../MIGRATION.md")]
pub mod migration {}

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod readme {}

pub use socket2::{Domain, Type};

pub use self::address::Address;
pub use self::channel::Channel;
pub use self::chat::AsyncChat;
pub use self::dispatcher::Dispatcher;
pub use self::error::{Error, ExitNow, Panicked, Result};
pub use self::event_loop::{EventLoop, LoopOptions, Pass};
pub use self::file::FileWrapper;
pub use self::framing::{
    Accumulator, BodyProducer, Fifo, FileProducer, Framer, IterProducer, Producer, ReaderProducer,
    SimpleProducer, Step, Terminator, TooLong, find_prefix_at_end,
};
pub use self::layer::{Layer, LayerIo};
pub use self::log::LogType;
pub use self::map::{ChannelStats, MapBuilder, SocketMap, Stats};
pub use self::poller::{ParsePollerKindError, PollerKind};
pub use self::socket::Socket;
pub use self::timer::Timer;
pub use self::token::Token;
pub use self::trigger::{Trigger, TriggerCall, TriggerError};

/// Lets `fill` add channels to a new map, and runs that until it is empty: Python's module-level
/// `loop()`, without a map that the whole program shares.
///
/// Errors that no handler takes are written to standard error, as in Python, unless the program
/// has set a `tracing` subscriber.
///
/// # Errors
/// What `fill` fails with, and as [`SocketMap::run`].
///
/// ```
/// use std::time::Duration;
///
/// # fn main() -> asyncore::Result {
/// asyncore::run(|map| {
///     map.call_later(Duration::from_millis(1), |_| Ok(()));
///     Ok(())
/// })
/// # }
/// ```
pub fn run(fill: impl FnOnce(&mut SocketMap) -> Result) -> Result {
    let mut event_loop = SocketMap::builder().log_to_stderr(true).panic_hook(true).build()?;
    fill(&mut event_loop)?;
    Ok(event_loop.run()?)
}
