//! What a connection takes of the limits, and gives back at its end.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::RuleCounts;
use crate::policy::Refusal;

/// Room in the process and in a rule, kept for a connection; dropping it gives it back.
#[derive(Debug)]
pub struct Reservation {
    pub(super) counts: Arc<RuleCounts>,
}

impl Reservation {
    /// Takes a share of the client address's limit as well, if it has one.
    pub(in crate::policy) fn enter(self, client: Option<IpAddr>) -> Result<Permit, Refusal> {
        let mut permit = Permit { reservation: self, client: None };
        if let Some(client) = client {
            permit.identify(client)?;
        }
        Ok(permit)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.counts.connections.leave();
        self.counts.process.connections.leave();
    }
}

/// A connection's share of the limits of the process, of its rule and of its client's address;
/// dropping it gives back all three.
#[derive(Debug)]
pub struct Permit {
    reservation: Reservation,
    client: Option<IpAddr>,
}

impl Permit {
    /// Counts the connection under `client` and no longer under the address it had before. When
    /// that one has its limit, all stays as it was.
    pub(in crate::policy) fn identify(&mut self, client: IpAddr) -> Result<(), Refusal> {
        let counts = &self.reservation.counts;
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
        if let Some(client) = self.client {
            self.reservation.counts.clients.leave(client);
        }
    }
}
