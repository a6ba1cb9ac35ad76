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
//! # The parts
//!
//! **The loop** is an [`EventLoop`]: [`run`](EventLoop::run), [`poll`](EventLoop::poll). It owns a
//! [`SocketMap`] and dereferences to it. It runs alone or inside another loop, which waits for its
//! descriptor and its [`next_deadline`](EventLoop::next_deadline).
//!
//! **The map** ([`SocketMap`]) owns the channels and names them by [`Token`]s. Calls are put off
//! with [`call_later`](SocketMap::call_later), a [`Trigger`] runs closures from other threads, and
//! [`drain`](SocketMap::drain) ends in good order. Values that all channels share are its
//! [`state`](SocketMap::state). Timers, triggers and signals are handed the map; they cannot run
//! the loop a second time.
//!
//! **A channel** is a socket with a handler. A callback is given its [`Channel`]: it receives,
//! pushes, closes, and through the map, to which it dereferences, reaches other channels by their
//! tokens. A channel is read while its output has room, or while that of its
//! [sink](Channel::set_sink) has.
//!
//! **The handler** implements one of two traits. [`Dispatcher`] has the events and the predicates;
//! [`AsyncChat`] is a dialogue of messages.
//!
//! **Framing** is pure and knows no socket. A [`Framer`] splits a stream at its [`Terminator`]; an
//! [`Accumulator`] keeps a message until it is complete, up to a limit; a [`Producer`] makes
//! output piece by piece; a [`Fifo`] is asynchat's.
//!
//! **A layer** ([`Layer`]) transforms a channel's bytes between socket and handler: encryption,
//! compression, a header. Handlers are the same with and without.
//!
//! **The poller** is the system call that waits for readiness, chosen by [`PollerKind`]. On a
//! [simulated network](sim) tests need none.
//!
//! # Guarantees
//!
//! - Callbacks never nest. What one brings about is noted and delivered after it has returned.
//! - `handle_close` is called exactly once, however a channel ends.
//! - Whenever bytes can move, they move; whatever ends is noticed, also while nothing is read.
//! - A pass of the loop costs what happened, not what is open: a predicate is asked again only
//!   when its channel, or one that it consulted, was touched.
//! - Every queue, buffer, wait and retry has a bound with a documented default.
//! - An idle channel holds no buffer.
//! - Nothing that a peer sends, and no argument, makes the library panic.
//! - A map changes nothing outside of itself: no panic hook, no line on standard error, unless the
//!   program [asks](MapBuilder) for it or uses the short form [`run`].
//!
//! # Errors
//!
//! Operations on sockets return [`std::io::Result`], whose kind a program can match. Callbacks
//! return [`asyncore::Result`](Result) with a boxed [`Error`], since a handler fails with anything;
//! `?` turns every standard error into one. It goes to
//! [`handle_error`](Dispatcher::handle_error), whose default logs it and closes that channel only.
//! [`ExitNow`] leaves the loop; it is an error because that is how a callback leaves from any depth
//! with `?`, as Python raised it. `Result` has both its parameters defaulted, so that the name
//! serves for `Result<T>` and for the standard `Result<T, E>` too.
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
//! [`recipes`] has worked examples of common tasks. [`migration`] lists each name of Python's
//! modules with its counterpart.

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

pub mod recipes;

// The server in it uses signals.
#[cfg(all(doctest, feature = "signals"))]
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
/// The error of `fill`, and as [`EventLoop::run`].
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
