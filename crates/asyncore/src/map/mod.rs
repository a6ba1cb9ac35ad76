//! The map: channels, timers and queued work of one loop. The map cannot run the loop.

mod buffers;
mod builder;
mod closing;
mod connecting;
mod cork;
mod deadlines;
mod dialing;
mod flow;
mod input;
mod layers;
mod lend;
mod listening;
mod lookup;
mod sending;
#[cfg(feature = "signals")]
mod signals;
#[cfg(target_os = "linux")]
mod splicing;
mod state;
mod stats;
mod timers;
mod unwatched;
mod wake;
mod watching;
mod work;

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::time::Instant;

use slotmap::{SlotMap, SparseSecondaryMap};

pub(crate) use self::buffers::Buffers;
pub use self::builder::MapBuilder;
pub(crate) use self::builder::Settings;
pub(crate) use self::cork::Cork;
pub(crate) use self::deadlines::Deadlines;
pub(crate) use self::flow::Flow;
pub(crate) use self::input::CurrentInput;
use self::state::State;
pub use self::stats::{ChannelStats, Stats};
pub(crate) use self::timers::Task;
use self::unwatched::Unwatched;
pub(crate) use self::work::{Links, WorkQueue};
use crate::channel::Channel;
use crate::dispatcher::{Dispatcher, Handler};
use crate::event_loop::EventLoop;
use crate::file::FileWrapper;
use crate::net::Resolver;
use crate::panic;
use crate::poller::AnyPoller;
use crate::sim;
use crate::slot::Slot;
use crate::socket::Socket;
use crate::timer::{TimerKey, TimerQueue};
use crate::token::{Key, Token};
use crate::wake::Wake;

/// The channels of one loop, with their timers and everything else that they share.
///
/// An [`EventLoop`] owns a map and runs it. Timers, triggers, signals and callbacks receive the
/// map. Through it they reach every channel, but they cannot run the loop a second time. A
/// [`Token`] names a channel. A map and everything in it stay on one thread. To use several cores,
/// run one loop per thread and share the port with [`set_reuse_port`](Channel::set_reuse_port).
/// Other threads reach the loop through a [`Trigger`](crate::Trigger).
///
/// ```
/// use asyncore::{Channel, Dispatcher, Domain, Result, Socket, SocketMap, Type};
/// use std::net::SocketAddr;
///
/// struct Greeter;
///
/// impl Dispatcher for Greeter {
///     fn handle_accepted(&mut self, ch: &mut Channel<'_>, sock: Socket, _: Option<SocketAddr>) -> Result {
///         let token = ch.add(Farewell, sock);
///         if let Some(mut visitor) = ch.channel(token) {
///             visitor.push(b"hello\n");
///             visitor.close_when_done();
///         }
///         Ok(())
///     }
/// }
///
/// struct Farewell;
///
/// impl Dispatcher for Farewell {}
///
/// # fn main() -> std::io::Result<()> {
/// let mut map = SocketMap::new()?;
/// let greeter = map.add_with(|ch| {
///     ch.create_socket(Domain::IPV4, Type::STREAM)?;
///     ch.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
///     ch.listen(64)?;
///     Ok(Greeter)
/// })?;
/// assert!(map.contains(greeter));
/// # map.close_all();
/// map.run() // serves until the map is empty
/// # }
/// ```
///
/// # Differences from Python
/// The map is a type of its own instead of a dictionary by descriptor. There is no default map,
/// because it would be hidden global state; [`asyncore::run`](crate::run) is the short form.
///
/// The type parameter makes the map unsized, so that a callback cannot swap it for another map.
/// Programs never write it.
pub struct SocketMap<Fixed: ?Sized = [Infallible]> {
    pub(crate) slots: SlotMap<Key, Slot>,
    pub(crate) poller: AnyPoller,
    /// The simulated network that new sockets belong to, if any.
    pub(crate) network: Option<sim::Network>,
    pub(crate) settings: Settings,
    pub(crate) work: WorkQueue,
    pub(crate) flow: Flow,
    pub(crate) timers: TimerQueue<Task>,
    pub(crate) buffers: Buffers,
    pub(crate) cork: Cork,
    pub(crate) input: CurrentInput,
    pub(crate) resolver: Resolver,
    /// Handlers that replace that of a channel when its running callback has returned.
    pub(crate) successors: SparseSecondaryMap<Key, Box<dyn Handler>>,
    /// Number of slots that are connection attempts and not channels of the program.
    pub(crate) attempts: usize,
    pub(crate) wake: Option<Wake>,
    pub(crate) stats: Stats,
    state: State,
    /// Listeners that are paused until a channel has ended.
    pub(crate) paused: Vec<Key>,
    /// Channels that are ready without the poller: regular files, and input held in layers.
    pub(crate) self_ready: Vec<Key>,
    /// Channels whose end the poller cannot report now.
    pub(crate) unwatched: Unwatched,
    /// The time at the end of the last wait.
    pub(crate) now: Instant,
    /// Set to leave the loop.
    pub(crate) exit: bool,
    /// The timer of the drain in progress.
    pub(crate) draining: Option<TimerKey>,
    _fixed: Fixed,
}

impl SocketMap {
    /// Creates a map with the default settings, and the loop that runs it.
    ///
    /// # Errors
    /// Fails if the system refuses the poller's own descriptor.
    #[allow(clippy::new_ret_no_self, reason = "a map comes with its loop, which owns it")]
    pub fn new() -> io::Result<EventLoop> {
        SocketMap::builder().build()
    }

    /// Returns a builder for a map with other settings.
    pub fn builder() -> MapBuilder {
        MapBuilder::new()
    }

    /// Creates a map on a simulated network, for tests; see [`sim`](crate::sim).
    pub fn simulated(network: &sim::Network) -> EventLoop {
        SocketMap::builder().build_simulated(network)
    }

    pub(crate) fn assemble(
        poller: AnyPoller,
        network: Option<sim::Network>,
        settings: Settings,
    ) -> Box<Self> {
        let now = poller.now();
        let map: Box<SocketMap<[Infallible; 0]>> = Box::new(SocketMap {
            slots: SlotMap::with_key(),
            poller,
            network,
            settings,
            work: WorkQueue::default(),
            flow: Flow::default(),
            timers: TimerQueue::new(),
            buffers: Buffers::new(&settings),
            cork: Cork::default(),
            input: CurrentInput::default(),
            resolver: Resolver::new(),
            successors: SparseSecondaryMap::new(),
            attempts: 0,
            wake: None,
            stats: Stats::default(),
            state: State::default(),
            paused: Vec::new(),
            self_ready: Vec::new(),
            unwatched: Unwatched::default(),
            now,
            exit: false,
            draining: None,
            _fixed: [],
        });
        map
    }

    /// Adds a channel for an open socket, such as an accepted one.
    ///
    /// If the poller refuses the socket, the error goes to the channel's `handle_error`, and the
    /// channel closes.
    pub fn add<T: Dispatcher>(&mut self, handler: T, sock: Socket) -> Token<T> {
        let Ok(token) = self.insert(|ch| {
            ch.set_socket(sock);
            Ok::<_, Infallible>(handler)
        });
        token
    }

    /// Adds a channel with the handler that `make` returns. `make` first prepares the socket, as a
    /// constructor does in Python.
    ///
    /// # Errors
    /// Returns the error of `make`; the channel is then not added, and its socket is closed.
    pub fn add_with<T: Dispatcher>(
        &mut self,
        make: impl FnOnce(&mut Channel<'_>) -> io::Result<T>,
    ) -> io::Result<Token<T>> {
        self.insert(make)
    }

    /// Adds a channel for a file, a pipe or a terminal: Python's `file_dispatcher`.
    pub fn add_file<T: Dispatcher>(&mut self, handler: T, file: FileWrapper) -> Token<T> {
        self.add(handler, file.into())
    }

    /// Returns the channel that `token` names, to use its socket and queue.
    pub fn channel<T: ?Sized>(&mut self, token: Token<T>) -> Option<Channel<'_>> {
        self.touch_unsettled(token.key);
        self.slots.contains_key(token.key).then(|| self.channel_mut(token.key))
    }

    /// Returns the handler of the channel that `token` names, to change its fields.
    pub fn get_mut<T: Dispatcher>(&mut self, token: Token<T>) -> Option<&mut T> {
        self.touch(token.key);
        self.slots.get_mut(token.key)?.handler.as_mut()?.as_any_mut().downcast_mut()
    }

    /// Calls `act` with the handler and the channel that `token` names, as a callback is called.
    ///
    /// A panic in `act` propagates to the caller, and the handler stays in the map.
    pub fn with<T: Dispatcher, R>(
        &mut self,
        token: Token<T>,
        act: impl FnOnce(&mut T, &mut Channel<'_>) -> R,
    ) -> Option<R> {
        self.touch(token.key);
        let handler = self.slots.get_mut(token.key)?.handler.take();
        panic::with_cleanup(
            &mut (self, handler),
            |(map, handler)| {
                let peer = handler.as_mut()?.as_any_mut().downcast_mut()?;
                Some(act(peer, &mut map.channel_mut(token.key)))
            },
            |(map, handler)| map.put_back(token.key, handler.take()),
        )
    }

    /// Sets the maximum number of other channels before a listener pauses; see
    /// [`MapBuilder::max_channels`].
    pub fn set_max_channels(&mut self, limit: usize) {
        self.settings.max_channels = limit;
        self.resume_listeners();
    }

    /// Returns the handler of the channel that `token` names.
    pub fn get<T: Dispatcher>(&self, token: Token<T>) -> Option<&T> {
        self.work.consult(token.key);
        self.slots.get(token.key)?.handler.as_ref()?.as_any().downcast_ref()
    }

    /// Returns whether the channel is still in the map.
    pub fn contains<T: ?Sized>(&self, token: Token<T>) -> bool {
        self.work.consult(token.key);
        self.slots.contains_key(token.key)
    }

    /// Returns the tokens of all channels.
    pub fn tokens(&self) -> impl Iterator<Item = Token> {
        self.slots.iter().filter(|(_, slot)| !slot.is_attempt()).map(|(key, _)| Token::new(key))
    }

    /// Returns the number of channels.
    pub fn len(&self) -> usize {
        self.slots.len() - self.attempts
    }

    /// Returns whether the map has no channel.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Returns the map's counters.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Returns the counters of one channel and the length of its queue; `None` if the channel is
    /// gone.
    pub fn channel_stats<T: ?Sized>(&self, token: Token<T>) -> Option<ChannelStats> {
        self.slots.get(token.key).map(|slot| ChannelStats {
            bytes_in: slot.traffic.bytes_in,
            bytes_out: slot.traffic.bytes_out,
            events: slot.traffic.events,
            output_len: slot.output_len(),
            idle: self.now.saturating_duration_since(slot.traffic.last),
        })
    }

    /// Returns the time of the map's clock, which a simulated network drives in tests.
    pub fn now(&self) -> Instant {
        self.poller.now()
    }

    pub(crate) fn channel_mut(&mut self, key: Key) -> Channel<'_> {
        Channel { map: self, key }
    }

    fn insert_slot(&mut self) -> Key {
        self.stats.opened += 1;
        let now = self.now;
        self.slots.insert(Slot::new(now))
    }

    /// Adds a channel, and removes it again if it gets no handler, because `make` failed or
    /// panicked.
    fn insert<T: Dispatcher, E>(
        &mut self,
        make: impl FnOnce(&mut Channel<'_>) -> Result<T, E>,
    ) -> Result<Token<T>, E> {
        let key = self.insert_slot();
        panic::with_cleanup(
            self,
            |map| {
                let handler = make(&mut map.channel_mut(key))?;
                Ok(map.set_handler(key, handler))
            },
            |map| {
                if map.slots.get(key).is_some_and(|slot| slot.handler.is_none()) {
                    map.discard_slot(key);
                }
            },
        )
    }

    fn set_handler<T: Dispatcher>(&mut self, key: Key, handler: T) -> Token<T> {
        let slot = &mut self.slots[key];
        slot.adapt_to(&handler);
        slot.handler = Some(Box::new(handler));
        self.touch(key);
        tracing::debug!(target: "asyncore", channel = ?self.channel_mut(key), "channel opened");
        Token::new(key)
    }
}

impl fmt::Debug for SocketMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketMap")
            .field("channels", &self.len())
            .field("timers", &self.timers.len())
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}
