//! How many connections are open, and how many may be.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Clients, Refusal};
use crate::config::Limits;

/// How long it is not told again that all places are taken.
const TOLD_FOR: Duration = Duration::from_secs(60);

/// A number of connections and its limit.
#[derive(Debug)]
struct Count {
    open: AtomicUsize,
    limit: AtomicUsize,
}

impl Count {
    fn new(limit: usize) -> Self {
        Count { open: AtomicUsize::new(0), limit: AtomicUsize::new(limit) }
    }

    /// Adds one, if that keeps within the limit.
    fn enter(&self) -> bool {
        let limit = self.limit.load(Relaxed);
        self.open.fetch_update(Relaxed, Relaxed, |open| (open < limit).then(|| open + 1)).is_ok()
    }

    fn leave(&self) {
        self.open.fetch_sub(1, Relaxed);
    }
}

/// What all rules share: the connections of the process, and whether it is about to end.
#[derive(Debug)]
pub struct ProcessCounts {
    connections: Count,
    /// The most connections that there are descriptors for.
    room: AtomicUsize,
    /// When it was said last that all places are taken.
    told_full: Mutex<Option<Instant>>,
    draining: AtomicBool,
}

impl ProcessCounts {
    /// No connections yet, and at most `max_connections`.
    pub fn new(max_connections: usize) -> Self {
        ProcessCounts {
            connections: Count::new(max_connections),
            room: AtomicUsize::new(usize::MAX),
            told_full: Mutex::new(None),
            draining: AtomicBool::new(false),
        }
    }

    /// Keeps the limit, now and whatever it is changed to, at what there are descriptors for.
    pub fn set_room(&self, room: usize) {
        self.room.store(room, Relaxed);
        self.set_max_connections(self.max_connections());
    }

    /// Changes the limit. What is open stays open, also when it is more.
    pub fn set_max_connections(&self, max_connections: usize) {
        self.connections.limit.store(max_connections.min(self.room.load(Relaxed)), Relaxed);
    }

    /// Notes that all places are taken while somebody waits; true if that was not noted in the last
    /// minute, and is worth telling.
    pub fn note_full(&self, now: Instant) -> bool {
        let mut told = self.told_full.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = told.is_none_or(|told| now.saturating_duration_since(told) >= TOLD_FOR);
        if is_news {
            *told = Some(now);
        }
        is_news
    }

    /// From now on nothing new is taken, by any rule.
    pub fn drain(&self) {
        self.draining.store(true, Relaxed);
    }

    /// Whether nothing new is taken.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.connections.open.load(Relaxed)
    }

    /// The most connections that may be open.
    pub fn max_connections(&self) -> usize {
        self.connections.limit.load(Relaxed)
    }
}

fn per_client(limits: &Limits) -> usize {
    limits.max_connections_per_client.unwrap_or(usize::MAX)
}

/// The connections of one rule, and those it refused. A reload keeps them.
#[derive(Debug)]
pub struct RuleCounts {
    process: Arc<ProcessCounts>,
    connections: Count,
    clients: Clients,
    client_limit: AtomicUsize,
    /// How many bits of an IPv6 address tell one client from another.
    client_prefix: AtomicU8,
    draining: AtomicBool,
    admitted: AtomicU64,
    refused: [AtomicU64; Refusal::ALL.len()],
}

impl RuleCounts {
    /// No connections yet.
    pub(super) fn new(process: Arc<ProcessCounts>, limits: &Limits) -> Self {
        RuleCounts {
            process,
            connections: Count::new(limits.max_connections),
            clients: Clients::default(),
            client_limit: AtomicUsize::new(per_client(limits)),
            client_prefix: AtomicU8::new(limits.ipv6_client_prefix),
            draining: AtomicBool::new(false),
            admitted: AtomicU64::new(0),
            refused: Default::default(),
        }
    }

    /// Takes a place in the process, for a connection that may be on its way; `None` when all are
    /// taken.
    pub(super) fn place(self: &Arc<Self>) -> Option<Place> {
        self.process.connections.enter().then(|| Place { counts: Arc::clone(self) })
    }

    /// Changes the limits. What is open stays open, also when it is more.
    pub(super) fn set_limits(&self, limits: &Limits) {
        self.connections.limit.store(limits.max_connections, Relaxed);
        self.client_limit.store(per_client(limits), Relaxed);
        self.client_prefix.store(limits.ipv6_client_prefix, Relaxed);
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

    /// From now on the rule takes nothing new: it was removed, or it moves elsewhere.
    pub fn drain(&self) {
        self.draining.store(true, Relaxed);
    }

    pub(super) fn note_admitted(&self) {
        self.admitted.fetch_add(1, Relaxed);
    }

    pub(super) fn note_refused(&self, refusal: Refusal) {
        self.refused[refusal as usize].fetch_add(1, Relaxed);
    }

    /// Whether the rule or the process takes nothing new.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Relaxed) || self.process.is_draining()
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.connections.open.load(Relaxed)
    }

    /// The most connections that may be open.
    pub fn max_connections(&self) -> usize {
        self.connections.limit.load(Relaxed)
    }

    /// Connections ever admitted.
    pub fn admitted(&self) -> u64 {
        self.admitted.load(Relaxed)
    }

    /// Connections ever refused for this reason.
    pub fn refused(&self, refusal: Refusal) -> u64 {
        self.refused[refusal as usize].load(Relaxed)
    }

    /// Who has connections.
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// What all rules share.
    pub fn process(&self) -> &Arc<ProcessCounts> {
        &self.process
    }
}

/// A place in the process, kept free for a connection of one rule; dropping it gives it back.
#[derive(Debug)]
pub struct Place {
    counts: Arc<RuleCounts>,
}

impl Place {
    /// Takes a place in the rule as well, and under the client's address if it has one.
    pub(super) fn enter(self, client: Option<IpAddr>) -> Result<Permit, Refusal> {
        if self.counts.is_draining() {
            return Err(Refusal::Draining);
        }
        if !self.counts.connections.enter() {
            return Err(Refusal::RuleLimit);
        }
        let mut permit = Permit { place: self, client: None };
        if let Some(client) = client {
            permit.identify(client)?;
        }
        Ok(permit)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.counts.process.connections.leave();
    }
}

/// A connection's place in the process, in its rule and under its client's address; dropping it
/// gives back all three.
#[derive(Debug)]
pub struct Permit {
    place: Place,
    client: Option<IpAddr>,
}

impl Permit {
    /// Counts the connection under `client` and no longer under the address it had before. When
    /// that one has its limit, all stays as it was.
    pub(super) fn identify(&mut self, client: IpAddr) -> Result<(), Refusal> {
        let counts = &self.place.counts;
        let client = counts.counted_as(client);
        if !counts.clients.enter(client, counts.client_limit.load(Relaxed)) {
            return Err(Refusal::ClientLimit);
        }
        if let Some(before) = self.client.replace(client) {
            counts.clients.leave(before);
        }
        Ok(())
    }

    /// The address that the connection is counted under.
    pub fn client(&self) -> Option<IpAddr> {
        self.client
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let counts = &self.place.counts;
        if let Some(client) = self.client {
            counts.clients.leave(client);
        }
        counts.connections.leave();
    }
}

#[cfg(test)]
mod tests;
