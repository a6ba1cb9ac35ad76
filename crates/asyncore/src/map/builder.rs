//! Setting up a map.

use std::io;
use std::time::Duration;

use crate::event_loop::EventLoop;
use crate::map::SocketMap;
use crate::panic;
use crate::poller::{AnyPoller, PollerKind};

/// Settings of a [`SocketMap`], each with a safe default.
///
/// ```
/// use asyncore::{PollerKind, SocketMap};
///
/// # fn main() -> std::io::Result<()> {
/// let map = SocketMap::builder().poller(PollerKind::Poll).max_channels(10_000).build()?;
/// assert!(map.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct MapBuilder {
    pub(crate) poller: PollerKind,
    pub(crate) settings: Settings,
    panic_hook: bool,
}

/// Settings that are fixed when the map is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) max_channels: usize,
    pub(crate) connect_timeout: Duration,
    pub(crate) handshake_timeout: Duration,
    pub(crate) send_timeout: Duration,
    pub(crate) linger: Duration,
    pub(crate) max_pipes: usize,
    pub(crate) check_predicates: bool,
    pub(crate) log_to_stderr: bool,
}

impl MapBuilder {
    pub(crate) fn new() -> Self {
        MapBuilder {
            poller: PollerKind::default(),
            settings: Settings {
                max_channels: usize::MAX,
                connect_timeout: Duration::from_secs(30),
                handshake_timeout: Duration::from_secs(10),
                send_timeout: Duration::from_secs(30),
                linger: Duration::from_secs(2),
                max_pipes: 64,
                check_predicates: false,
                log_to_stderr: false,
            },
            panic_hook: false,
        }
    }

    /// Sets the system call that the map waits with; epoll by default on Linux.
    pub fn poller(mut self, kind: PollerKind) -> Self {
        self.poller = kind;
        self
    }

    /// Sets the maximum number of other channels before a listener pauses. By default the only
    /// limit is the system's on descriptors, at which listeners pause as well.
    ///
    /// Channels that are added by other means than accepting count too, but are never refused.
    pub fn max_channels(mut self, limit: usize) -> Self {
        self.settings.max_channels = limit;
        self
    }

    /// Sets the time limit for connecting, 30 s by default;
    /// [`Channel::set_connect_timeout`](crate::Channel::set_connect_timeout) sets it for one
    /// channel.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.settings.connect_timeout = limit;
        self
    }

    /// Sets the time limit for the handshakes of a channel's [layers](crate::Layer), 10 s by
    /// default; [`Channel::set_handshake_timeout`](crate::Channel::set_handshake_timeout) sets it
    /// for one channel.
    pub fn handshake_timeout(mut self, limit: Duration) -> Self {
        self.settings.handshake_timeout = limit;
        self
    }

    /// Sets how long a channel that closes when its output is sent waits while the peer takes
    /// nothing, 30 s by default.
    pub fn send_timeout(mut self, limit: Duration) -> Self {
        self.settings.send_timeout = limit;
        self
    }

    /// Sets how long a closing channel that has sent its output waits until the peer closes too, 2
    /// s by default.
    ///
    /// Closing at once, with input on its way, would reset the connection, and the peer could lose
    /// the end of the output.
    pub fn linger(mut self, limit: Duration) -> Self {
        self.settings.linger = limit;
        self
    }

    /// Sets the maximum number of pipes for [`Channel::splice_to`](crate::Channel::splice_to), 64
    /// by default. Each pipe takes two descriptors and up to 256 KiB of kernel memory.
    pub fn max_pipes(mut self, limit: usize) -> Self {
        self.settings.max_pipes = limit;
        self
    }

    /// Evaluates all predicates in each pass, and panics with the name of the channel if an answer
    /// has changed since its last evaluation; off by default.
    ///
    /// This finds predicates that depend on something that the map cannot observe. It is for tests,
    /// because the cost of each pass then grows with the number of channels.
    pub fn check_predicates(mut self, check: bool) -> Self {
        self.settings.check_predicates = check;
        self
    }

    /// Sets whether errors and warnings are also written to standard error, as long as the program
    /// has set no `tracing` subscriber; off by default.
    ///
    /// This is for small programs, whose errors would be lost otherwise.
    /// [`asyncore::run`](crate::run) enables it.
    pub fn log_to_stderr(mut self, write: bool) -> Self {
        self.settings.log_to_stderr = write;
        self
    }

    /// Sets whether to install a panic hook in the process, once; off by default. With the hook, a
    /// panic in a callback prints nothing, because it becomes the error of a channel, and that
    /// error contains the location of the panic. [`asyncore::run`](crate::run) enables it.
    ///
    /// Every other panic still goes to the previous hook, and so do panics in callbacks if
    /// `RUST_BACKTRACE` asks for a backtrace.
    pub fn panic_hook(mut self, install: bool) -> Self {
        self.panic_hook = install;
        self
    }

    /// Creates the map and the loop that runs it.
    ///
    /// # Errors
    /// Fails if the system refuses the poller's own descriptor.
    pub fn build(self) -> io::Result<EventLoop> {
        let poller = self.poller.open()?;
        Ok(self.assemble(poller, None))
    }

    /// Creates a map on a simulated network, whose clock the map uses.
    pub fn build_simulated(self, network: &crate::sim::Network) -> EventLoop {
        let poller = AnyPoller::other(network.poller());
        self.assemble(poller, Some(network.clone()))
    }

    fn assemble(self, poller: AnyPoller, network: Option<crate::sim::Network>) -> EventLoop {
        if self.panic_hook {
            panic::install_hook();
        }
        EventLoop::new(SocketMap::assemble(poller, network, self.settings))
    }
}
