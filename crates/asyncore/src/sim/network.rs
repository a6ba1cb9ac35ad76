//! The public interface of a simulated network.

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

/// Maximum number of connections that a [`PeerListener`] has not yet accepted: the traditional
/// `SOMAXCONN` of Linux.
const PEER_BACKLOG: i32 = 128;

/// A network and a clock in memory, driven by a seed.
///
/// The seed determines every decision, such as the travel time of a segment, the length of a
/// partial write and the order of ready channels: the same seed and the same calls give the same
/// run, to the byte. Clones refer to the same network.
///
/// Time is virtual. It passes while a map waits, and by [`advance`](Network::advance) and
/// [`step`](Network::step); an hour costs nothing.
///
/// Every address is local: binding to an address succeeds unless it is taken, and an address
/// without a listener refuses connections. Unbound sockets send from the loopback address.
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
    // Not `Rc`, because a socket type that also holds real sockets must be `Send`.
    world: Arc<Mutex<World>>,
}

impl Network {
    /// Creates a network with [mild](Faults::mild) faults.
    pub fn new(seed: u64) -> Network {
        Network::with_faults(seed, Faults::mild())
    }

    /// Creates a network with the given faults.
    pub fn with_faults(seed: u64, faults: Faults) -> Network {
        Network { world: Arc::new(Mutex::new(World::new(seed, faults))) }
    }

    /// Connects a [`Peer`] to `addr`.
    ///
    /// The peer exists at once, the connection only after time has passed; see
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
    /// accepted. Port 0 selects a free port.
    ///
    /// # Errors
    ///
    /// `AddrInUse` if the address is taken.
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

    /// Advances the clock by `span`, and delivers everything that is due by then.
    ///
    /// A span beyond the range of the clock ends at the last arrival.
    pub fn advance(&self, span: Duration) {
        let mut world = self.world();
        match world.time_after(span) {
            Some(to) => world.advance_to(to),
            None => while world.step() {},
        }
    }

    /// Moves the clock to the next arrival and delivers it. Returns `false` if nothing is in
    /// flight.
    pub fn step(&self) -> bool {
        self.world().step()
    }

    /// Sets the addresses that [`resolve`](Network::resolve) returns for `name`, in this order.
    ///
    /// Names are case-insensitive.
    pub fn add_host(&self, name: &str, addrs: impl IntoIterator<Item = IpAddr>) {
        let addrs = addrs.into_iter().collect();
        self.world().hosts.insert(name.to_ascii_lowercase(), addrs);
    }

    /// Returns the addresses of `name`: those set with [`add_host`](Network::add_host), `name`
    /// itself if it is an address, or the loopback addresses for `localhost`.
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
                format!("the simulated network has no host named {name:?}; add it with Network::add_host"),
            )
        })
    }

    /// Refuses every later attempt to connect to `addr`, even if it has a listener.
    pub fn refuse(&self, addr: SocketAddr) {
        self.world().refused.insert(addr);
    }

    /// Leaves every later attempt to connect to `addr` unanswered.
    ///
    /// As on a real network the client repeats the attempt, which fails with `TimedOut` after 127
    /// (virtual) seconds unless the client closes it before.
    pub fn blackhole(&self, addr: SocketAddr) {
        self.world().blackholes.insert(addr);
    }

    /// Makes the next `times` accepts of a pending connection by a channel fail with `errno`, an
    /// error number of the operating system such as that of `EMFILE`.
    ///
    /// The connection stays pending, except with `ECONNABORTED`, which removes it. Several calls
    /// accumulate.
    pub fn fail_accept_with(&self, errno: i32, times: usize) {
        if times > 0 {
            self.world().accept_failures.push_back((errno, times));
        }
    }

    /// Starts to record events as text, for [`trace`](Network::trace).
    pub fn keep_trace(&self) {
        self.world().trace.keep_text();
    }

    /// Returns the events since [`keep_trace`](Network::keep_trace): a line for each arrival, each
    /// reported readiness and each interrupted wait, in order. The trace grows without bound.
    pub fn trace(&self) -> Vec<String> {
        self.world().trace.text()
    }

    /// Returns a hash of all events so far, including bytes and times, which is equal for equal
    /// runs.
    pub fn fingerprint(&self) -> u64 {
        self.world().trace.fingerprint()
    }

    /// Returns the number of connections that the fault [`reset`](Faults::reset) has broken so far.
    pub fn injected_resets(&self) -> u64 {
        self.world().injected_resets
    }

    /// Returns the seed that the network was created with.
    pub fn seed(&self) -> u64 {
        self.world().seed
    }

    /// Returns the virtual time since the network was created.
    pub fn elapsed(&self) -> Duration {
        self.world().wire.now()
    }

    /// Returns the current time of the virtual clock.
    pub fn now(&self) -> Instant {
        self.world().now()
    }

    /// Creates a stream or datagram socket for IPv4 or IPv6.
    pub(crate) fn socket(&self, domain: Domain, kind: Type) -> io::Result<SimSocket> {
        let unspecified = match domain {
            Domain::IPV4 => unspecified(true),
            Domain::IPV6 => unspecified(false),
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    format!("the simulated network supports IPv4 and IPv6 sockets, not {domain:?}"),
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
                format!("the simulated network supports stream and datagram sockets, not {kind:?}"),
            )),
        }
    }

    /// Creates a poller for sockets of this network.
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
