//! The state behind a `Network`: the endpoints, the deliveries in flight between them, and the
//! rules.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::endpoint::{Datagram, Endpoint, Endpoints, Holder, Listener, Phase, Stream};
use super::faults::Faults;
use super::ports::Ports;
use super::rng::Rng;
use super::trace::Trace;
use super::wire::Wire;

pub(super) struct World {
    pub(super) seed: u64,
    pub(super) rng: Rng,
    pub(super) faults: Faults,
    pub(super) wire: Wire,
    pub(super) endpoints: Endpoints,
    pub(super) ports: Ports,
    pub(super) trace: Trace,
    pub(super) hosts: BTreeMap<String, Vec<IpAddr>>,
    pub(super) refused: BTreeSet<SocketAddr>,
    pub(super) blackholes: BTreeSet<SocketAddr>,
    /// Errors that the next calls of `accept` return, each with its number of times.
    pub(super) accept_failures: VecDeque<(i32, usize)>,
    pub(super) injected_resets: u64,
    base: Instant,
}

impl World {
    pub(super) fn new(seed: u64, faults: Faults) -> World {
        let loopback = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        World {
            seed,
            rng: Rng::new(seed),
            faults: faults.bounded(),
            wire: Wire::default(),
            endpoints: Endpoints::default(),
            ports: Ports::new(),
            trace: Trace::new(),
            hosts: BTreeMap::from([("localhost".to_owned(), loopback)]),
            refused: BTreeSet::new(),
            blackholes: BTreeSet::new(),
            accept_failures: VecDeque::new(),
            injected_resets: 0,
            base: Instant::now(),
        }
    }

    /// Delivers the next arrival. Returns `false` if nothing is in flight.
    pub(super) fn step(&mut self) -> bool {
        let Some(delivery) = self.wire.pop() else {
            return false;
        };
        self.trace.record(self.wire.now(), &delivery);
        self.deliver(delivery);
        true
    }

    /// Delivers everything that is due by `to`, and moves the clock there.
    pub(super) fn advance_to(&mut self, to: Duration) {
        while self.wire.next_at().is_some_and(|at| at <= to) {
            self.step();
        }
        self.wire.move_clock(to);
    }

    pub(super) fn new_stream(&mut self, unspecified: SocketAddr, holder: Holder) -> usize {
        let stream = Stream::new(unspecified, self.faults.window, holder);
        self.endpoints.insert(Endpoint::Stream(Box::new(stream)))
    }

    pub(super) fn new_datagram(&mut self, unspecified: SocketAddr) -> usize {
        let datagram = Datagram::new(unspecified, self.faults.window);
        self.endpoints.insert(Endpoint::Datagram(datagram))
    }

    pub(super) fn bind(&mut self, id: usize, addr: SocketAddr) -> Result<(), Errno> {
        let endpoint = self.endpoints.get_mut(id)?;
        if endpoint.local().is_ipv4() != addr.is_ipv4() {
            return Err(Errno::AFNOSUPPORT);
        }
        if endpoint.local().port() != 0 {
            return Err(Errno::INVAL);
        }
        let claimed = self.ports.claim(endpoint.transport(), addr, id)?;
        match endpoint {
            Endpoint::Stream(stream) => stream.local = claimed,
            Endpoint::Listener(listener) => listener.local = claimed,
            Endpoint::Datagram(datagram) => datagram.local = claimed,
        }
        Ok(())
    }

    /// Converts a stream to a listener. An unbound one gets a port, as on real systems.
    pub(super) fn listen(&mut self, id: usize, backlog: i32) -> Result<(), Errno> {
        let backlog = usize::try_from(backlog).unwrap_or(0).max(1);
        if let Endpoint::Listener(listener) = self.endpoints.get_mut(id)? {
            listener.backlog = backlog;
            return Ok(());
        }
        let stream = self.endpoints.stream(id)?;
        if stream.phase != Phase::Idle {
            return Err(Errno::INVAL);
        }
        if stream.local.port() == 0 {
            let wildcard = stream.local;
            self.bind(id, wildcard)?;
        }
        let local = self.endpoints.stream(id)?.local;
        let listener = Listener { local, backlog, pending: VecDeque::new() };
        self.endpoints.replace(id, Endpoint::Listener(listener));
        Ok(())
    }

    /// Takes the oldest pending connection.
    pub(super) fn accept(&mut self, id: usize) -> Result<(usize, SocketAddr), Errno> {
        let accepted = self.endpoints.listener(id)?.pending.pop_front().ok_or(Errno::AGAIN)?;
        let remote = self.endpoints.stream(accepted)?.remote.ok_or(Errno::CONNABORTED)?;
        Ok((accepted, remote))
    }

    /// Returns the error that `accept` must return for a pending connection, if any.
    ///
    /// `ECONNABORTED` removes the connection; it stays pending after every other error.
    pub(super) fn accept_failure(&mut self, id: usize) -> Option<i32> {
        if self.endpoints.listener(id).ok()?.pending.is_empty() {
            return None;
        }
        let (errno, left) = self.accept_failures.front_mut()?;
        let errno = *errno;
        *left -= 1;
        if *left == 0 {
            self.accept_failures.pop_front();
        }
        if errno == Errno::CONNABORTED.raw_os_error() {
            if let Ok((aborted, _)) = self.accept(id) {
                self.abort(aborted);
                self.remove(aborted);
            }
        }
        Some(errno)
    }

    /// Closes the endpoint of a dropped handle.
    pub(super) fn close(&mut self, id: usize) {
        match self.endpoints.get_mut(id) {
            Ok(Endpoint::Stream(_)) => self.close_stream(id),
            Ok(Endpoint::Listener(listener)) => {
                for pending in std::mem::take(&mut listener.pending) {
                    self.abort(pending);
                    self.remove(pending);
                }
                self.remove(id);
            }
            Ok(Endpoint::Datagram(_)) => self.remove(id),
            Err(_) => {}
        }
    }

    pub(super) fn remove(&mut self, id: usize) {
        if let Some(endpoint) = self.endpoints.remove(id) {
            self.ports.release(endpoint.transport(), endpoint.local().port(), id);
        }
    }

    /// Returns the address that the other end sees. Binds an unbound endpoint to the loopback
    /// address and a free port; a wildcard-bound one sends from the loopback address.
    pub(super) fn source_addr(&mut self, id: usize) -> Result<SocketAddr, Errno> {
        let endpoint = self.endpoints.get_mut(id)?;
        let mut local = endpoint.local();
        if local.ip().is_unspecified() {
            local.set_ip(loopback(local));
        }
        if local.port() == 0 {
            local = self.ports.claim(endpoint.transport(), local, id)?;
            match endpoint {
                Endpoint::Stream(stream) => stream.local = local,
                Endpoint::Listener(listener) => listener.local = local,
                Endpoint::Datagram(datagram) => datagram.local = local,
            }
        }
        Ok(local)
    }

    /// Returns the arrival time of something sent now that may overtake earlier deliveries.
    pub(super) fn arrival(&mut self) -> Duration {
        self.wire.now() + self.rng.duration(&self.faults.latency)
    }

    /// Returns the time after `span`, or `None` if it is beyond the range of the clock.
    pub(super) fn time_after(&self, span: Duration) -> Option<Duration> {
        let at = self.wire.now().checked_add(span)?;
        self.base.checked_add(at).map(|_| at)
    }

    pub(super) fn now(&self) -> Instant {
        self.base + self.wire.now()
    }
}

/// Converts `addr` to a destination: sending to the wildcard address reaches this host, as on real
/// systems.
pub(super) fn destination(mut addr: SocketAddr) -> SocketAddr {
    if addr.ip().is_unspecified() {
        addr.set_ip(loopback(addr));
    }
    addr
}

fn loopback(addr: SocketAddr) -> IpAddr {
    if addr.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() }
}
