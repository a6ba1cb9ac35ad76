//! The test's ends of connections.

use std::io;
use std::net::SocketAddr;

use rustix::io::Errno;

use super::endpoint::{Fin, Holder, Phase, Stream};
use super::network::Network;

/// The test's end of a stream: the remote program, under the control of the test.
///
/// A peer reads all input unless it is paused. Dropping it closes it.
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

    /// Queues any number of `bytes`. The peer sends them as the connection and the window of the
    /// other side allow, in whole segments while more is queued than fits, and they arrive as time
    /// passes. After [`shutdown`](Peer::shutdown) or the end of the connection they are dropped.
    pub fn send(&self, bytes: &[u8]) {
        let mut world = self.network.world();
        if let Ok(stream) = world.endpoints.stream(self.id) {
            if stream.phase != Phase::Closed && stream.fin == Fin::Open {
                stream.backlog.extend(bytes);
                world.pump(self.id);
            }
        }
    }

    /// Sends one byte as urgent (out-of-band) data, ahead of the queued bytes. A second urgent byte
    /// replaces one that is not yet sent.
    pub fn send_urgent(&self, byte: u8) {
        let mut world = self.network.world();
        if let Ok(stream) = world.endpoints.stream(self.id) {
            if stream.phase != Phase::Closed && stream.fin == Fin::Open {
                stream.urgent_backlog = Some(byte);
                world.pump(self.id);
            }
        }
    }

    /// Takes the bytes read since the last call. Bytes that were read survive a later reset.
    pub fn received(&self) -> Vec<u8> {
        match self.network.world().endpoints.stream(self.id) {
            Ok(Stream { holder: Holder::Peer { received, .. }, .. }) => std::mem::take(received),
            _ => Vec::new(),
        }
    }

    /// Takes the urgent byte that has arrived. A newer one replaces one not yet taken.
    pub fn received_urgent(&self) -> Option<u8> {
        self.network.world().endpoints.stream(self.id).ok()?.urgent.take()
    }

    /// Stops reading. Once the window is full, the other side can send no more.
    pub fn pause_reading(&self) {
        self.set_paused(true);
    }

    /// Resumes reading, beginning with the input that arrived in the meantime.
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

    /// Ends the outgoing half after all queued bytes, and continues reading.
    pub fn shutdown(&self) {
        let mut world = self.network.world();
        if let Ok(stream) = world.endpoints.stream(self.id) {
            if stream.fin == Fin::Open {
                stream.fin = Fin::Wanted;
                world.pump(self.id);
            }
        }
    }

    /// Resets the connection. Queued bytes are lost, and bytes in flight may be lost.
    pub fn reset(&self) {
        self.network.world().abort(self.id);
    }

    /// Closes the connection: with an end of stream after all queued bytes, or with a reset if
    /// input is unread (only possible after a [pause](Peer::pause_reading)). Data that arrives
    /// afterwards causes a reset.
    pub fn close(self) {}

    /// Returns `true` if the connection is established, not reset, and not ended in both
    /// directions.
    pub fn is_connected(&self) -> bool {
        self.inspect(|stream| {
            stream.phase == Phase::Connected && !(stream.eof && stream.fin == Fin::Sent)
        })
    }

    /// Returns `true` if the other side ended its half and all bytes before that have been read.
    pub fn saw_eof(&self) -> bool {
        self.inspect(|stream| stream.eof && stream.inbound.is_empty())
    }

    /// Returns `true` if the other side, or the network, reset the connection.
    pub fn was_reset(&self) -> bool {
        self.inspect(|stream| stream.error == Some(Errno::CONNRESET))
    }

    /// Returns the error that ended the connection, if any: `ConnectionRefused`, `TimedOut`,
    /// `ConnectionReset`, or the error of connecting to an invalid address.
    pub fn error(&self) -> Option<io::Error> {
        self.inspect(|stream| stream.error).map(io::Error::from)
    }

    /// Returns the address of this end.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.inspect(|stream| Some(stream.local))
    }

    /// Returns the address of the other end, or the address of the attempt to connect.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.inspect(|stream| stream.remote)
    }

    fn inspect<T: Default>(&self, at: impl FnOnce(&Stream) -> T) -> T {
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

/// The test's listener, for channels that connect. Dropping it closes it and resets the connections
/// not yet accepted.
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

    /// Accepts the oldest pending connection. The peer reads from now on; before, the connection
    /// was stalled.
    pub fn accept(&self) -> Option<Peer> {
        let mut world = self.network.world();
        let (id, _) = world.accept(self.id).ok()?;
        world.endpoints.stream(id).ok()?.holder =
            Holder::Peer { paused: false, received: Vec::new() };
        world.read_as_peer(id);
        Some(Peer::new(self.network.clone(), id))
    }

    /// Returns the address of the listener.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

impl Drop for PeerListener {
    fn drop(&mut self) {
        self.network.world().close(self.id);
    }
}
