//! The face of a simulated network.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use socket2::{Domain, Type};

use super::endpoint::Holder;
use super::faults::Faults;
use super::peer::{Peer, PeerListener};
use super::poller::SimPoller;
use super::socket::SimSocket;
use super::world::World;

/// How many connections wait for a [`PeerListener`] to accept them.
const PEER_BACKLOG: i32 = 128;

/// A network and a clock that exist in memory only, driven by a seed.
///
/// Every decision (how long a segment travels, how much a write takes, which of several ready
/// channels comes first) is drawn from the seed: the same seed and the same calls give the same
/// run, to the byte. Clones name the same network.
///
/// Time is virtual. It passes while a map waits, and by [`advance`](Network::advance) and
/// [`step`](Network::step); an hour costs nothing.
///
/// Every address is local: binding to any succeeds unless it is taken, and one that nobody
/// listens on refuses. Sockets that are not bound speak from the loopback address.
///
/// ```
/// use asyncore::sim::Network;
///
/// let net = Network::new(42);
/// let addr = "192.0.2.1:80".parse().unwrap();
/// let listener = net.listen(addr)?;
/// let client = net.connect(addr);
/// client.send(b"hello");
/// while net.step() {}
///
/// let server = listener.accept().unwrap();
/// while net.step() {}
/// assert_eq!(server.received(), b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Network {
    // Not `Rc`: a socket type that also holds real sockets must be able to move between threads.
    world: Arc<Mutex<World>>,
}

impl Network {
    /// A network with [mild](Faults::mild) faults.
    pub fn new(seed: u64) -> Network {
        Network::with_faults(seed, Faults::mild())
    }

    /// A network with the given faults.
    pub fn with_faults(seed: u64, faults: Faults) -> Network {
        Network { world: Arc::new(Mutex::new(World::new(seed, faults))) }
    }

    /// Connects a [`Peer`] to `addr`.
    ///
    /// The peer is there at once, the connection when time has passed; see
    /// [`is_connected`](Peer::is_connected) and [`error`](Peer::error).
    pub fn connect(&self, addr: SocketAddr) -> Peer {
        let mut world = self.world();
        let id = world.new_stream(
            unspecified(addr.is_ipv4()),
            Holder::Peer { paused: false, received: Vec::new() },
        );
        if let Err(error) = world.connect(id, addr) {
            if let Ok(stream) = world.endpoints.stream(id) {
                stream.close(Some(error));
            }
        }
        Peer::new(self.clone(), id)
    }

    /// Listens on `addr` with a [`PeerListener`], which holds up to 128 connections not yet
    /// accepted; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// `AddrInUse` when the address is taken.
    pub fn listen(&self, addr: SocketAddr) -> io::Result<PeerListener> {
        let mut world = self.world();
        let id = world.new_stream(unspecified(addr.is_ipv4()), Holder::Socket);
        let bound = world.bind(id, addr).and_then(|()| world.listen(id, PEER_BACKLOG));
        match bound.and_then(|()| world.endpoints.get_mut(id)) {
            Ok(listener) => Ok(PeerListener::new(self.clone(), id, listener.local())),
            Err(error) => {
                world.close(id);
                Err(error.into())
            }
        }
    }

    /// Moves the clock on by `span`, and lets arrive all that is due on the way.
    ///
    /// A span beyond what the clock can show is cut to the last arrival.
    pub fn advance(&self, span: Duration) {
        let mut world = self.world();
        match world.time_after(span) {
            Some(to) => world.advance_to(to),
            None => while world.step() {},
        }
    }

    /// Moves the clock to the next arrival and lets it arrive; false when nothing is in flight.
    pub fn step(&self) -> bool {
        self.world().step()
    }

    /// Gives `name` the addresses that [`resolve`](Network::resolve) answers with, in this order.
    ///
    /// Names are compared without regard to case.
    pub fn add_host(&self, name: &str, addrs: impl IntoIterator<Item = IpAddr>) {
        let addrs = addrs.into_iter().collect();
        self.world().hosts.insert(name.to_ascii_lowercase(), addrs);
    }

    /// The addresses of `name`: those given to [`add_host`](Network::add_host), itself if it is an
    /// address, the loopback addresses for `localhost`.
    ///
    /// # Errors
    ///
    /// `NotFound` for any other name.
    pub fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        if let Ok(addr) = name.parse() {
            return Ok(vec![addr]);
        }
        let world = self.world();
        world.hosts.get(&name.to_ascii_lowercase()).cloned().ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("the simulated network has no host named {name:?}: add it with Network::add_host"),
            )
        })
    }

    /// Refuses every later attempt to connect to `addr`, even when somebody listens there.
    pub fn refuse(&self, addr: SocketAddr) {
        self.world().refused.insert(addr);
    }

    /// Leaves every later attempt to connect to `addr` without an answer.
    ///
    /// As with a real network the attempt is repeated, and fails with `TimedOut` after 127
    /// (virtual) seconds if nobody gave up before.
    pub fn blackhole(&self, addr: SocketAddr) {
        self.world().blackholes.insert(addr);
    }

    /// Lets the next `times` accepts of a pending connection by a channel fail with `errno`, an
    /// error number of the operating system such as that of `EMFILE`.
    ///
    /// The connection stays pending, except with `ECONNABORTED`, which takes it away. Calls add up.
    pub fn fail_accept_with(&self, errno: i32, times: usize) {
        if times > 0 {
            self.world().accept_failures.push_back((errno, times));
        }
    }

    /// Keeps the text of everything that happens from now on, for [`trace`](Network::trace).
    pub fn keep_trace(&self) {
        self.world().trace.keep_text();
    }

    /// What happened since [`keep_trace`](Network::keep_trace), a line for each arrival,
    /// each reported readiness and each interrupted wait, in order; it grows without bound.
    pub fn trace(&self) -> Vec<String> {
        self.world().trace.text()
    }

    /// A hash of everything that happened so far, bytes and times included: equal for equal runs.
    pub fn fingerprint(&self) -> u64 {
        self.world().trace.fingerprint()
    }

    /// How many connections the fault [`reset`](Faults::reset) broke so far.
    pub fn injected_resets(&self) -> u64 {
        self.world().injected_resets
    }

    /// The seed that the network was made with.
    pub fn seed(&self) -> u64 {
        self.world().seed
    }

    /// The virtual time since the network was made.
    pub fn elapsed(&self) -> Duration {
        self.world().wire.now()
    }

    /// The present on the virtual clock.
    pub fn now(&self) -> Instant {
        self.world().now()
    }

    /// A new socket; streams and datagrams over IPv4 and IPv6.
    pub(crate) fn socket(&self, domain: Domain, kind: Type) -> io::Result<SimSocket> {
        let unspecified = match domain {
            Domain::IPV4 => unspecified(true),
            Domain::IPV6 => unspecified(false),
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    format!("the simulated network has IPv4 and IPv6 sockets only, not {domain:?}"),
                ));
            }
        };
        let mut world = self.world();
        match kind {
            Type::STREAM => {
                let id = world.new_stream(unspecified, Holder::Socket);
                Ok(SimSocket::stream(self.clone(), id))
            }
            Type::DGRAM => {
                let id = world.new_datagram(unspecified);
                Ok(SimSocket::datagram(self.clone(), id))
            }
            _ => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("the simulated network has stream and datagram sockets only, not {kind:?}"),
            )),
        }
    }

    /// A poller for sockets of this network.
    pub(crate) fn poller(&self) -> SimPoller {
        SimPoller::new(self.clone())
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let world = self.world();
        let (seed, elapsed) = (world.seed, world.wire.now());
        f.debug_struct("Network")
            .field("seed", &seed)
            .field("elapsed", &elapsed)
            .finish_non_exhaustive()
    }
}

fn unspecified(is_ipv4: bool) -> SocketAddr {
    let ip = if is_ipv4 { Ipv4Addr::UNSPECIFIED.into() } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    SocketAddr::new(ip, 0)
}
