//! How many connections are open, and how many may be.

mod permit;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

pub use self::permit::{Permit, Reservation};
use super::count::{Count, News};
use super::{Clients, DatagramDrop, EndReason, Refusal, Waiter};
use crate::config::Rule;

/// Something counted for each refusal there is.
type ByRefusal = [AtomicU64; Refusal::ALL.len()];

/// What all rules share: the connections of the process, and whether it is about to end.
#[derive(Debug)]
pub struct ProcessCounts {
    connections: Count,
    /// The most connections that there are descriptors for.
    room: AtomicUsize,
    draining: AtomicBool,
    exhaustion: News,
}

impl ProcessCounts {
    /// No connections yet, and at most `max_connections`.
    pub fn new(max_connections: usize) -> Self {
        ProcessCounts {
            connections: Count::new(max_connections, Refusal::GlobalLimit),
            room: AtomicUsize::new(usize::MAX),
            draining: AtomicBool::new(false),
            exhaustion: News::default(),
        }
    }

    /// Notes that this machine is short of something; true if that is worth a line of the log.
    pub fn shortage_is_news(&self, now: Instant) -> bool {
        self.exhaustion.is_news(now)
    }

    /// Keeps the limit, now and whatever it is changed to, at what there are descriptors for.
    pub fn set_room(&self, room: usize) {
        self.room.store(room, Relaxed);
        self.set_max_connections(self.max_connections());
    }

    /// Changes the limit. What is open stays open, also when it is more.
    pub fn set_max_connections(&self, max_connections: usize) {
        self.connections.set_limit(max_connections.min(self.room.load(Relaxed)));
    }

    /// From now on no rule lets clients of datagrams in that are new. Listeners close instead.
    pub fn drain(&self) {
        self.draining.store(true, Relaxed);
    }

    /// Whether nothing new is taken.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.connections.open()
    }

    /// The most connections that may be open.
    pub fn max_connections(&self) -> usize {
        self.connections.limit()
    }
}

fn per_client(rule: &Rule) -> usize {
    rule.max_connections_per_client.unwrap_or(usize::MAX)
}

/// The connections of one rule, those it refused, and how often clients had to wait. A reload keeps
/// them.
#[derive(Debug)]
pub struct RuleCounts {
    process: Arc<ProcessCounts>,
    connections: Count,
    clients: Clients,
    client_limit: AtomicUsize,
    /// How many bits of an IPv6 address tell one client from another.
    client_prefix: AtomicU8,
    admitted: AtomicU64,
    refused: ByRefusal,
    waits: ByRefusal,
    ended: [AtomicU64; EndReason::ALL.len()],
    dropped: [AtomicU64; DatagramDrop::ALL.len()],
    connect_time: Histogram,
    duration: Histogram,
}

impl RuleCounts {
    /// No connections yet.
    pub(super) fn new(process: Arc<ProcessCounts>, rule: &Rule) -> Self {
        RuleCounts {
            process,
            connections: Count::new(rule.max_connections, Refusal::RuleLimit),
            clients: Clients::default(),
            client_limit: AtomicUsize::new(per_client(rule)),
            client_prefix: AtomicU8::new(rule.ipv6_client_prefix),
            admitted: AtomicU64::new(0),
            refused: ByRefusal::default(),
            waits: ByRefusal::default(),
            ended: Default::default(),
            dropped: Default::default(),
            connect_time: Histogram::new(exponential_buckets(0.001, 4.0, 8)),
            duration: Histogram::new(exponential_buckets(0.01, 10.0, 8)),
        }
    }

    /// Reserves room for a connection that may be on its way.
    ///
    /// # Errors
    /// With the limit that leaves none.
    pub(super) fn reserve(self: &Arc<Self>) -> Result<Reservation, Refusal> {
        self.take().map_err(|full| full.refusal)
    }

    /// As [`reserve`](Self::reserve); without room, `waiter` is woken when there may be some.
    pub(super) fn reserve_or_wait(
        self: &Arc<Self>,
        waiter: &Arc<Waiter>,
        now: Instant,
    ) -> Result<Reservation, AtCapacity> {
        loop {
            let full = match self.take() {
                Ok(reservation) => return Ok(reservation),
                Err(full) => full,
            };
            // Room may have come before the waiter was queued.
            if !full.queue(waiter) {
                self.waits[full.refusal as usize].fetch_add(1, Relaxed);
                return Err(AtCapacity { refusal: full.refusal, is_news: full.full.is_news(now) });
            }
        }
    }

    /// Wakes the next waiter instead of one that was woken and is no longer there.
    pub fn pass_on(self: &Arc<Self>) {
        // A reservation that is given back does that.
        drop(self.take());
    }

    fn take(self: &Arc<Self>) -> Result<Reservation, &Count> {
        let process = &self.process.connections;
        if !process.enter() {
            return Err(process);
        }
        if !self.connections.enter() {
            process.leave();
            return Err(&self.connections);
        }
        Ok(Reservation { counts: Arc::clone(self) })
    }

    /// Changes the limits. What is open stays open, also when it is more.
    pub(super) fn set_limits(&self, rule: &Rule) {
        self.connections.set_limit(rule.max_connections);
        self.client_limit.store(per_client(rule), Relaxed);
        self.client_prefix.store(rule.ipv6_client_prefix, Relaxed);
    }

    /// The address that a client is counted under: that of its network, if it is IPv6.
    fn counted_as(&self, client: IpAddr) -> IpAddr {
        let bits = match client.to_canonical() {
            // Neighbours share the network fe80::/64, so each of them is a client.
            IpAddr::V6(ip) if !ip.is_unicast_link_local() => ip.to_bits(),
            other => return other,
        };
        let host = 128 - u32::from(self.client_prefix.load(Relaxed));
        let network = u128::MAX.checked_shl(host).unwrap_or(0);
        Ipv6Addr::from_bits(bits & network).into()
    }

    pub(super) fn note_admitted(&self) {
        self.admitted.fetch_add(1, Relaxed);
    }

    pub(super) fn note_refused(&self, refusal: Refusal) {
        self.refused[refusal as usize].fetch_add(1, Relaxed);
    }

    /// Counts a connection to a target, which took this long to make.
    pub fn note_connected(&self, time: Duration) {
        self.connect_time.observe(time.as_secs_f64());
    }

    /// Counts a connection that has ended after this long.
    pub fn note_ended(&self, reason: Option<EndReason>, duration: Duration) {
        if let Some(reason) = reason {
            self.ended[reason as usize].fetch_add(1, Relaxed);
        }
        self.duration.observe(duration.as_secs_f64());
    }

    /// Counts a datagram that was not passed on.
    pub fn note_dropped(&self, reason: DatagramDrop) {
        self.dropped[reason as usize].fetch_add(1, Relaxed);
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.connections.open()
    }

    /// The most connections that may be open.
    pub fn max_connections(&self) -> usize {
        self.connections.limit()
    }

    /// Connections ever admitted.
    pub fn admitted(&self) -> u64 {
        self.admitted.load(Relaxed)
    }

    /// Connections ever refused for this reason.
    pub fn refused(&self, refusal: Refusal) -> u64 {
        self.refused[refusal as usize].load(Relaxed)
    }

    /// How often clients had to wait in the backlog for this reason.
    pub fn waits(&self, refusal: Refusal) -> u64 {
        self.waits[refusal as usize].load(Relaxed)
    }

    /// Connections that ended for this reason.
    pub fn ended(&self, reason: EndReason) -> u64 {
        self.ended[reason as usize].load(Relaxed)
    }

    /// Datagrams that were not passed on for this reason.
    pub fn dropped(&self, reason: DatagramDrop) -> u64 {
        self.dropped[reason as usize].load(Relaxed)
    }

    /// How many seconds it took to connect to targets: buckets from 1 ms to 16 s.
    pub fn connect_time(&self) -> &Histogram {
        &self.connect_time
    }

    /// How many seconds connections lasted: buckets from 10 ms to 28 hours.
    pub fn duration(&self) -> &Histogram {
        &self.duration
    }

    /// The clients that have connections.
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// What all rules share.
    pub fn process(&self) -> &Arc<ProcessCounts> {
        &self.process
    }
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtCapacity {
    /// The limit that is reached.
    pub refusal: Refusal,
    /// Whether that was not logged in the last minute, and is worth a line.
    pub is_news: bool,
}

#[cfg(test)]
mod tests;
