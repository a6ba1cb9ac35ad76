//! Single-threaded, callback-per-socket networking: Python's asyncore and asynchat, complete, in
//! Rust.
//!
//! A *channel* is a socket with a handler: an object that overrides a few `handle_*` methods. A
//! [`SocketMap`] owns the channels, and an [`EventLoop`] runs it: it waits for readiness and calls
//! these methods. A program that uses it needs no `async`, no executor, no reference counting and
//! no lock.
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
//! **The loop** is an [`EventLoop`]. It owns a [`SocketMap`], dereferences to it, and runs it:
//! [`run`](EventLoop::run) runs until nothing is left to do, [`poll`](EventLoop::poll) makes one
//! pass. A program with an event loop of its own embeds this one: the outer loop waits until the
//! descriptor ([`as_fd`](EventLoop#method.as_fd)) is readable or until
//! [`next_deadline`](EventLoop::next_deadline), and then calls `poll`.
//!
//! **The map** is a [`SocketMap`]. It owns the channels, each named by a [`Token`], the timers
//! ([`call_later`](SocketMap::call_later)), and values that its channels share
//! ([`insert_state`](SocketMap::insert_state), [`state`](SocketMap::state)). Timers,
//! [triggers](Trigger) and signals receive the map, not the loop, so no callback can run the loop a
//! second time. A trigger runs closures that other threads send. [`drain`](SocketMap::drain) shuts
//! the map down gracefully.
//!
//! **A channel** is a socket with a handler. A [`Socket`] is an open socket on its way into a
//! channel or out of one; a [`FileWrapper`] is a file, a pipe or a terminal in its place. Each
//! callback gets its [`Channel`], which receives, pushes and closes. A `Channel` dereferences to
//! its map, so a callback also adds channels, starts timers, and reaches other channels by their
//! tokens. By default the loop reads a channel while that channel's own output queue has room; a
//! relay calls [`set_sink`](Channel::set_sink), and the loop then reads while the output queue of
//! the sink has room.
//!
//! **The handler** implements one of two traits. [`Dispatcher`] has the events and the predicates.
//! [`AsyncChat`] adds framing: a dialogue of messages that end at a terminator.
//!
//! **Framing** is pure: its types do no I/O. A [`Framer`] splits a stream at its [`Terminator`]. An
//! [`Accumulator`] keeps a message until it is complete, up to a limit. A [`Producer`] produces
//! output piece by piece. A [`Fifo`] is asynchat's queue.
//!
//! **A layer** ([`Layer`]) transforms a channel's bytes between its socket and its handler:
//! encryption, compression, a header. [`insert_layer`](Channel::insert_layer) adds one, also in the
//! middle of a stream (STARTTLS); the handler does not change. `TlsLayer` (feature `tls`) is TLS.
//!
//! **The poller** is the system call that waits for readiness; [`PollerKind`] selects it. A
//! [simulated network](sim) replaces sockets, poller and clock in tests.
//!
//! # Guarantees
//!
//! - Callbacks never nest. An event that a callback causes is delivered after the callback has
//!   returned.
//! - `handle_close` is called exactly once, however a channel ends.
//! - Bytes move whenever they can. The loop notices the end of a connection even while it does not
//!   read it.
//! - The cost of a pass depends on the number of events, not on the number of open channels: the
//!   loop evaluates a predicate again only when its channel, or one that it consulted, was
//!   [touched](Channel::touch).
//! - Every queue, buffer, wait and retry has a bound with a documented default.
//! - An idle channel holds no buffer.
//! - Nothing that a peer sends, and no argument, makes the library panic.
//! - A map changes no global state: it installs no panic hook and writes nothing to standard error,
//!   unless the program enables that in the [`MapBuilder`] or uses the short form [`run`].
//!
//! # Errors
//!
//! Operations on sockets return [`std::io::Result`]. The caller can match on the
//! [kind](std::io::Error::kind) of the error, and `?` turns it into an [`Error`].
//!
//! Callbacks return [`asyncore::Result`](Result). Its [`Error`] is boxed and holds any standard
//! error, because a handler can fail with anything: I/O, parsing, the program's own errors. The
//! loop passes it to [`handle_error`](Dispatcher::handle_error); the default logs it and closes
//! that channel only, or keeps it open if it is a listener.
//! [`WouldBlock`](std::io::ErrorKind::WouldBlock) is not a failure: a callback can return it with
//! `?`, and the loop ignores it, because readiness can be spurious. A panic in a callback becomes
//! an error too ([`Panicked`]).
//!
//! [`ExitNow`] leaves the loop. It is an error so that a callback can return it with `?` from any
//! depth, as Python raised it.
//!
//! Both parameters of `Result` have defaults. A callback returns plain `Result`, because it has no
//! value to return. A function with a value returns `Result<T>`. A module that imports the name can
//! still write the standard `Result<T, E>`.
//!
//! # Features
//!
//! No feature is on by default, and none changes the behaviour of what exists without it.
//!
//! - `signals`: [`on_signal`](SocketMap#method.on_signal), which calls a closure on the loop when a
//!   signal arrives.
//! - `portable`: a poller for systems without epoll (kqueue, event ports), from the `polling`
//!   crate.
//!
//! # Portability
//!
//! The library is tested on Linux, with every poller. Other Unix systems have the poll and select
//! pollers without a feature, and kqueue with `portable`. Windows is not supported, because a
//! channel is a file descriptor.
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

#[cfg(feature = "tls")]
pub use rustls;
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
#[cfg(feature = "tls")]
pub use self::layer::TlsLayer;
pub use self::layer::{Layer, LayerIo};
pub use self::log::LogType;
pub use self::map::{ChannelStats, MapBuilder, SocketMap, Stats};
pub use self::poller::{ParsePollerKindError, PollerKind};
pub use self::socket::Socket;
pub use self::timer::Timer;
pub use self::token::Token;
pub use self::trigger::{NotTaken, Trigger, TriggerCall, TriggerError};

/// Calls `fill` to add channels to a new map, and runs the loop until the map is empty. This is
/// Python's module-level `loop()`, without a map that the whole program shares.
///
/// Errors that no handler deals with are written to standard error, as in Python, unless the
/// program has set a `tracing` subscriber.
///
/// # Errors
/// Returns the error of `fill`, or an error of [`EventLoop::run`].
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
