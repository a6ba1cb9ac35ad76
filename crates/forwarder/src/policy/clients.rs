//! The number of connections of each client.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::hash;

/// Locks to share the clients among; more than workers there usually are.
const SHARDS: usize = 16;
/// A shard below this many clients keeps its memory when they leave.
const SMALL: usize = 64;

/// How many connections each client address has, for a rule.
///
/// An address is forgotten when its last connection ends, so there are never more entries than
/// connections; the memory of a crowd that left is given back. An IPv4 address and its IPv4-mapped
/// IPv6 address are one client.
#[derive(Debug, Default)]
pub struct Clients {
    shards: [Mutex<HashMap<IpAddr, usize>>; SHARDS],
}

impl Clients {
    /// Counts a connection of `client`, unless it has `limit` or more.
    pub(super) fn enter(&self, client: IpAddr, limit: usize) -> bool {
        let client = client.to_canonical();
        let mut shard = self.shard(client);
        match shard.entry(client) {
            Entry::Occupied(mut entry) if *entry.get() < limit => *entry.get_mut() += 1,
            Entry::Vacant(entry) if limit > 0 => _ = entry.insert(1),
            _ => return false,
        }
        true
    }

    /// A connection that was counted has ended.
    pub(super) fn leave(&self, client: IpAddr) {
        let client = client.to_canonical();
        let mut shard = self.shard(client);
        if let Entry::Occupied(mut entry) = shard.entry(client) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
        if shard.capacity() > SMALL && shard.len() < shard.capacity() / 4 {
            let room = shard.len() * 2;
            shard.shrink_to(room);
        }
    }

    /// How many connections `client` has.
    pub fn open(&self, client: IpAddr) -> usize {
        let client = client.to_canonical();
        self.shard(client).get(&client).copied().unwrap_or(0)
    }

    /// How many clients have connections. Takes every lock, one after the other.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Returns whether no client has a connection.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, client: IpAddr) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        lock(&self.shards[hash::client(client) as usize % SHARDS])
    }

    #[cfg(test)]
    fn capacity(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).capacity()).sum()
    }
}

fn lock<T>(shard: &Mutex<T>) -> MutexGuard<'_, T> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
