//! A test's own ends of connections.

use std::io;
use std::net::SocketAddr;

use rustix::io::Errno;

use super::endpoint::{Fin, Holder, Phase, Stream};
use super::network::Network;

/// The test's own end of a stream: a program at the other side that does what it is told.
///
/// It reads whatever arrives, unless it is paused. Dropping it closes it.
///
/// ```
/// use asyncore::sim::Network;
///
/// let net = Network::new(1);
/// let listener = net.listen("127.0.0.1:7".parse().unwrap())?;
/// let client = net.connect(listener.local_addr());
/// while net.step() {}
/// let server = listener.accept().unwrap();
///
/// client.send(b"question");
/// client.shutdown();
/// while net.step() {}
/// assert_eq!(server.received(), b"question");
/// assert!(server.saw_eof() && server.is_connected());
///
/// server.send(b"answer");
/// server.close();
/// while net.step() {}
/// assert_eq!(client.received(), b"answer");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Peer {
    network: Network,
    id: usize,
}

impl Peer {
    pub(super) fn new(network: Network, id: usize) -> Peer {
        Peer { network, id }
    }

    /// Queues `bytes`, however many. They leave as the connection and the window of the other
    /// side allow, by whole segments while more is queued than fits, and arrive as time passes;
    /// after [`shutdown`](Peer::shutdown) or the end of the connection they go nowhere.
    pub fn send(&self, bytes: &[u8]) {
        let mut world = self.network.world();
        if let Ok(stream) = world.endpoints.stream(self.id) {
            if stream.phase != Phase::Closed && stream.fin == Fin::Open {
                stream.backlog.extend(bytes);
                world.pump(self.id);
            }
        }
    }

    /// Sends one byte as urgent (out-of-band) data, ahead of what is still queued; a second before
    /// the first has left replaces it.
    pub fn send_urgent(&self, byte: u8) {
        let mut world = self.network.world();
        if let Ok(stream) = world.endpoints.stream(self.id) {
            if stream.phase != Phase::Closed && stream.fin == Fin::Open {
                stream.urgent_backlog = Some(byte);
                world.pump(self.id);
            }
        }
    }

    /// Takes what has been read since the last call. Bytes once read survive a later reset.
    pub fn received(&self) -> Vec<u8> {
        match self.network.world().endpoints.stream(self.id) {
            Ok(Stream { holder: Holder::Peer { received, .. }, .. }) => std::mem::take(received),
            _ => Vec::new(),
        }
    }

    /// Takes the urgent byte that has arrived; a newer one replaces one not taken.
    pub fn received_urgent(&self) -> Option<u8> {
        self.network.world().endpoints.stream(self.id).ok()?.urgent.take()
    }

    /// Stops reading: when the window is full, the other side can send no more.
    pub fn pause_reading(&self) {
        self.set_paused(true);
    }

    /// Reads again, beginning with what arrived meanwhile.
    pub fn resume_reading(&self) {
        self.set_paused(false);
    }

    fn set_paused(&self, pause: bool) {
        let mut world = self.network.world();
        if let Ok(Stream { holder: Holder::Peer { paused, .. }, .. }) =
            world.endpoints.stream(self.id)
        {
            *paused = pause;
        }
        world.read_as_peer(self.id);
    }

    /// Ends the outgoing half, after all that is queued; reading goes on.
    pub fn shutdown(&self) {
        let mut world = self.network.world();
        if let Ok(stream) = world.endpoints.stream(self.id) {
            if stream.fin == Fin::Open {
                stream.fin = Fin::Wanted;
                world.pump(self.id);
            }
        }
    }

    /// Resets the connection. What is queued is lost, and so may be what is in flight.
    pub fn reset(&self) {
        self.network.world().abort(self.id);
    }

    /// Closes: end of stream after all that is queued, or a reset if input is unread (which takes
    /// a [pause](Peer::pause_reading)). What arrives afterwards is answered with a reset.
    pub fn close(self) {}

    /// Whether the connection stands: answered, not reset, and not ended in both directions.
    pub fn is_connected(&self) -> bool {
        self.look(|stream| {
            stream.phase == Phase::Connected && !(stream.eof && stream.fin == Fin::Sent)
        })
    }

    /// Whether the other side ended its half and everything before that has been read.
    pub fn saw_eof(&self) -> bool {
        self.look(|stream| stream.eof && stream.inbound.is_empty())
    }

    /// Whether the other side, or the network, reset the connection.
    pub fn was_reset(&self) -> bool {
        self.look(|stream| stream.error == Some(Errno::CONNRESET))
    }

    /// Why the connection failed or broke, if it did: `ConnectionRefused`, `TimedOut` or
    /// `ConnectionReset`, and what connecting to a wrong address answers.
    pub fn error(&self) -> Option<io::Error> {
        self.look(|stream| stream.error).map(io::Error::from)
    }

    /// The address of this end.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.look(|stream| Some(stream.local))
    }

    /// The address of the other end, or the one that was to be connected to.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.look(|stream| stream.remote)
    }

    fn look<T: Default>(&self, at: impl FnOnce(&Stream) -> T) -> T {
        match self.network.world().endpoints.stream(self.id) {
            Ok(stream) => at(stream),
            Err(_) => T::default(),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.network.world().close(self.id);
    }
}

/// The test's own listening end, for channels that connect. Dropping it closes it and resets what
/// it has not accepted.
///
/// ```
/// use asyncore::sim::Network;
///
/// let net = Network::new(1);
/// let listener = net.listen("127.0.0.1:0".parse().unwrap())?;
/// let client = net.connect(listener.local_addr());
/// assert!(listener.accept().is_none());
/// while net.step() {}
/// assert!(listener.accept().is_some());
/// # let _ = client;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct PeerListener {
    network: Network,
    id: usize,
    local: SocketAddr,
}

impl PeerListener {
    pub(super) fn new(network: Network, id: usize, local: SocketAddr) -> PeerListener {
        PeerListener { network, id, local }
    }

    /// The oldest connection not yet accepted. It reads from now on; until accepted it is stalled.
    pub fn accept(&self) -> Option<Peer> {
        let mut world = self.network.world();
        let (id, _) = world.accept(self.id).ok()?;
        world.endpoints.stream(id).ok()?.holder =
            Holder::Peer { paused: false, received: Vec::new() };
        world.read_as_peer(id);
        Some(Peer::new(self.network.clone(), id))
    }

    /// The address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

impl Drop for PeerListener {
    fn drop(&mut self) {
        self.network.world().close(self.id);
    }
}
