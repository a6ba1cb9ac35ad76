//! Who may connect.

use std::net::IpAddr;

use super::NetSet;
use crate::config::Access;

/// A rule's [`Access`] made ready for look-ups: denied first, then allowed, and an empty `allow`
/// is everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessList {
    allow: NetSet,
    deny: NetSet,
}

impl AccessList {
    /// The list that `access` describes.
    pub fn new(access: &Access) -> Self {
        AccessList { allow: NetSet::new(&access.allow), deny: NetSet::new(&access.deny) }
    }

    /// Whether a client at `address` may connect.
    pub fn permits(&self, address: IpAddr) -> bool {
        !self.deny.contains(address) && (self.allow.is_empty() || self.allow.contains(address))
    }
}

#[cfg(test)]
mod tests;
