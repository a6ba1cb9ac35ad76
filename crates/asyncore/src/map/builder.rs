//! How a map is set up.

use std::io;
use std::time::Duration;

use crate::event_loop::EventLoop;
use crate::map::SocketMap;
use crate::panic;
use crate::poller::{AnyPoller, PollerKind};

/// Settings of a [`SocketMap`], each with a default that is safe.
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

/// What stays as it was set when the map was made.
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

    /// Which system call the map waits with; epoll by default on Linux.
    pub fn poller(mut self, kind: PollerKind) -> Self {
        self.poller = kind;
        self
    }

    /// How many channels besides itself a listener finds in the map before it stops accepting; no
    /// limit by default but the system's on descriptors, at which listeners pause as well.
    ///
    /// Channels that are added by other means than accepting count, but are not refused.
    pub fn max_channels(mut self, limit: usize) -> Self {
        self.settings.max_channels = limit;
        self
    }

    /// How long a connection may take to be made, 30 s by default;
    /// [`Channel::set_connect_timeout`](crate::Channel::set_connect_timeout) sets it for one.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.settings.connect_timeout = limit;
        self
    }

    /// Sets how long the handshakes of a channel's [layers](crate::Layer) may take, 10 s by default;
    /// [`Channel::set_handshake_timeout`](crate::Channel::set_handshake_timeout) sets it for one
    /// channel.
    pub fn handshake_timeout(mut self, limit: Duration) -> Self {
        self.settings.handshake_timeout = limit;
        self
    }

    /// How long a channel that closes when its output is sent waits for a peer that takes
    /// nothing, 30 s by default.
    pub fn send_timeout(mut self, limit: Duration) -> Self {
        self.settings.send_timeout = limit;
        self
    }

    /// How long a channel that closed when its output was sent waits for the peer to close too,
    /// 2 s by default.
    ///
    /// Closing at once, with input on its way, would reset the connection, and the peer could
    /// lose the end of what it was sent.
    pub fn linger(mut self, limit: Duration) -> Self {
        self.settings.linger = limit;
        self
    }

    /// How many pipes the map opens for [`Channel::splice_to`](crate::Channel::splice_to), 64 by
    /// default; each is two descriptors and up to 256 KiB of the kernel's memory.
    pub fn max_pipes(mut self, limit: usize) -> Self {
        self.settings.max_pipes = limit;
        self
    }

    /// Asks all predicates in each pass, and panics, naming the channel, where one answers
    /// differently than when it was asked last; off by default.
    ///
    /// That finds predicates which depend on something that the map cannot know of. It makes
    /// every pass cost what is open: for tests.
    pub fn check_predicates(mut self, check: bool) -> Self {
        self.settings.check_predicates = check;
        self
    }

    /// Has errors and warnings written to standard error too, as long as the program has set no
    /// `tracing` subscriber; off by default.
    ///
    /// For small programs, whose errors would be lost otherwise. [`asyncore::run`](crate::run)
    /// does so.
    pub fn log_to_stderr(mut self, write: bool) -> Self {
        self.settings.log_to_stderr = write;
        self
    }

    /// Installs a panic hook in the process, if it was not installed before: a panic in a callback
    /// prints nothing, since it becomes the error of a channel, and notes its place for that
    /// error. Off by default; [`asyncore::run`](crate::run) does so.
    ///
    /// Every other panic still goes to the hook that was there before, and these do too when a
    /// backtrace was asked for (`RUST_BACKTRACE`).
    pub fn panic_hook(mut self, install: bool) -> Self {
        self.panic_hook = install;
        self
    }

    /// Makes the map.
    ///
    /// # Errors
    /// When the system refuses the poller's own descriptor.
    pub fn build(self) -> io::Result<EventLoop> {
        let poller = self.poller.open()?;
        Ok(self.assemble(poller, None))
    }

    /// Makes a map on a simulated network, whose clock is then the map's.
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
