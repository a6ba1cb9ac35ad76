//! How many connections are open, and how many may be.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::{Clients, Refusal};

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
    draining: AtomicBool,
}

impl ProcessCounts {
    /// No connections yet, and at most `max_connections`.
    pub fn new(max_connections: usize) -> Self {
        ProcessCounts { connections: Count::new(max_connections), draining: AtomicBool::new(false) }
    }

    /// Changes the limit. What is open stays open, also when it is more.
    pub fn set_max_connections(&self, max_connections: usize) {
        self.connections.limit.store(max_connections, Relaxed);
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

/// The connections of one rule, and those it refused. A reload keeps them.
#[derive(Debug)]
pub struct RuleCounts {
    process: Arc<ProcessCounts>,
    connections: Count,
    clients: Clients,
    client_limit: AtomicUsize,
    draining: AtomicBool,
    admitted: AtomicU64,
    refused: [AtomicU64; Refusal::ALL.len()],
}

impl RuleCounts {
    /// No connections yet, at most `max_connections`, and at most `per_client` from one address.
    pub(super) fn new(
        process: Arc<ProcessCounts>,
        max_connections: usize,
        per_client: Option<usize>,
    ) -> Self {
        RuleCounts {
            process,
            connections: Count::new(max_connections),
            clients: Clients::default(),
            client_limit: AtomicUsize::new(per_client.unwrap_or(usize::MAX)),
            draining: AtomicBool::new(false),
            admitted: AtomicU64::new(0),
            refused: Default::default(),
        }
    }

    /// Takes a place for a connection: in the process, in the rule, and under the client's
    /// address if it has one.
    pub(super) fn enter(self: &Arc<Self>, client: Option<IpAddr>) -> Result<Permit, Refusal> {
        if self.is_draining() {
            return Err(Refusal::Draining);
        }
        if !self.process.connections.enter() {
            return Err(Refusal::GlobalLimit);
        }
        if !self.connections.enter() {
            self.process.connections.leave();
            return Err(Refusal::RuleLimit);
        }
        let mut permit = Permit { counts: Arc::clone(self), client: None };
        if let Some(client) = client {
            permit.identify(client)?;
        }
        Ok(permit)
    }

    /// Changes the limits. What is open stays open, also when it is more.
    pub(super) fn set_limits(&self, max_connections: usize, per_client: Option<usize>) {
        self.connections.limit.store(max_connections, Relaxed);
        self.client_limit.store(per_client.unwrap_or(usize::MAX), Relaxed);
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

/// A connection's place in the process, in its rule and under its client's address; dropping it
/// gives back all three.
#[derive(Debug)]
pub struct Permit {
    counts: Arc<RuleCounts>,
    client: Option<IpAddr>,
}

impl Permit {
    /// Counts the connection under `client` and no longer under the address it had before. When
    /// that one has its limit, all stays as it was.
    pub(super) fn identify(&mut self, client: IpAddr) -> Result<(), Refusal> {
        if !self.counts.clients.enter(client, self.counts.client_limit.load(Relaxed)) {
            return Err(Refusal::ClientLimit);
        }
        if let Some(before) = self.client.replace(client) {
            self.counts.clients.leave(before);
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
        if let Some(client) = self.client {
            self.counts.clients.leave(client);
        }
        self.counts.connections.leave();
        self.counts.process.connections.leave();
    }
}

#[cfg(test)]
mod tests;
