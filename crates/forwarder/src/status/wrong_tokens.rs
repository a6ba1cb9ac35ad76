//! Wrong tokens, counted by address, so that the token cannot be guessed by trying many.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Maximum number of wrong tokens from one address in a [`PERIOD`]. Until the period ends, further
/// tokens from there are refused unchecked, the right one too: a guesser must not learn whether a
/// guess was right. Other addresses are not affected.
pub(super) const MAX_WRONG_TOKENS: u32 = 20;
/// The time for which an address is remembered, and in which one line is logged.
pub(super) const PERIOD: Duration = Duration::from_secs(60);
/// Maximum number of addresses to remember; beyond it the oldest one is forgotten.
pub(super) const MAX_ADDRESSES: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct WrongTokens {
    pub(super) by_address: HashMap<Option<IpAddr>, Tries>,
    total: u64,
    logged: Option<Instant>,
    unlogged: u64,
}

/// Wrong tokens from one address.
#[derive(Debug)]
pub(super) struct Tries {
    since: Instant,
    count: u32,
}

impl WrongTokens {
    /// Returns how long tokens from `client` will be refused, if it has shown too many wrong ones.
    pub(super) fn locked_out(&self, client: Option<IpAddr>, now: Instant) -> Option<Duration> {
        let tries = self.by_address.get(&client.map(counted_as))?;
        let left = PERIOD.checked_sub(now.saturating_duration_since(tries.since))?;
        (tries.count >= MAX_WRONG_TOKENS && !left.is_zero()).then_some(left)
    }

    /// Counts a wrong token, and logs it unless one was logged in this period.
    pub(super) fn note(&mut self, client: Option<IpAddr>, now: Instant) {
        let is_recent = |since: Instant| now.saturating_duration_since(since) < PERIOD;
        self.total += 1;
        let key = client.map(counted_as);
        if self.by_address.len() >= MAX_ADDRESSES && !self.by_address.contains_key(&key) {
            self.by_address.retain(|_, tries| is_recent(tries.since));
            if self.by_address.len() >= MAX_ADDRESSES {
                let oldest = self.by_address.iter().min_by_key(|(_, tries)| tries.since);
                oldest.map(|(key, _)| *key).and_then(|key| self.by_address.remove(&key));
            }
        }
        let tries = self.by_address.entry(key).or_insert(Tries { since: now, count: 0 });
        if !is_recent(tries.since) {
            *tries = Tries { since: now, count: 0 };
        }
        tries.count += 1;
        if self.logged.is_some_and(is_recent) {
            self.unlogged += 1;
            return;
        }
        let (client, unlogged) = (client.map(tracing::field::display), self.unlogged);
        tracing::warn!(client, unlogged, "a client showed the status page a wrong token");
        (self.logged, self.unlogged) = (Some(now), 0);
    }

    /// Returns the number of wrong tokens so far.
    pub(super) fn total(&self) -> u64 {
        self.total
    }
}

/// Returns the address that a client is counted under: that of its network for IPv6, in which a
/// site has at least 2^64 addresses.
fn counted_as(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(ip) if !ip.is_unicast_link_local() => {
            Ipv6Addr::from_bits(ip.to_bits() & u128::MAX << (128 - 56)).into()
        }
        other => other,
    }
}
