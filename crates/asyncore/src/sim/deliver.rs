//! The effect of each arrival on its endpoint.

use std::net::SocketAddr;
use std::time::Duration;

use rustix::io::Errno;

use super::datagram::{MAX_QUEUED_DATAGRAMS, charge};
use super::endpoint::{Endpoint, Holder, Phase};
use super::ports::Transport;
use super::wire::Delivery;
use super::world::World;

/// Maximum number of repetitions of an unanswered request to connect, as on Linux. They follow
/// after 1, 2, 4, … seconds, and the attempt fails after 127 seconds in total.
const MAX_SYN_RETRIES: u32 = 6;

impl World {
    pub(super) fn deliver(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Syn { from, to, attempt } => self.deliver_syn(from, to, attempt),
            Delivery::Established { to, peer } => self.deliver_established(to, peer),
            Delivery::Failed { to, error } => self.deliver_failure(to, error),
            Delivery::Data { to, from, bytes } => self.deliver_data(to, from, &bytes),
            Delivery::Urgent { to, from, byte } => self.deliver_urgent(to, from, byte),
            Delivery::Fin { to } => self.deliver_fin(to),
            Delivery::Reset { to } => self.deliver_reset(to),
            Delivery::Window { to, bytes } => self.deliver_window(to, bytes),
            Delivery::Datagram { sender, source, to, bytes } => {
                self.deliver_datagram(sender, source, to, bytes)
            }
        }
    }

    fn deliver_syn(&mut self, from: usize, to: SocketAddr, attempt: u32) {
        let source = match self.endpoints.stream(from) {
            Ok(stream) if stream.phase == Phase::Connecting => stream.local,
            // The client closed its socket or stopped connecting.
            _ => return,
        };
        let owner = self.ports.owner(Transport::Stream, to).filter(|_| !self.refused.contains(&to));
        let listener = owner.and_then(|id| self.endpoints.listener(id).ok());
        let is_full =
            listener.as_ref().is_some_and(|listener| listener.pending.len() >= listener.backlog);
        if self.blackholes.contains(&to) || is_full {
            self.retry_syn(from, to, attempt);
            return;
        }
        let (Some(owner), true) = (owner, listener.is_some()) else {
            let at = self.arrival();
            self.wire.schedule(at, Delivery::Failed { to: from, error: Errno::CONNREFUSED });
            return;
        };
        let accepted = self.new_stream(to, Holder::Socket);
        if let Ok(stream) = self.endpoints.stream(accepted) {
            stream.remote = Some(source);
            stream.peer = Some(from);
            stream.phase = Phase::Connected;
        }
        if let Ok(listener) = self.endpoints.listener(owner) {
            listener.pending.push_back(accepted);
        }
        let at = self.arrival_in_order(accepted);
        self.wire.schedule(at, Delivery::Established { to: from, peer: accepted });
    }

    fn retry_syn(&mut self, from: usize, to: SocketAddr, attempt: u32) {
        let at = self.wire.now() + Duration::from_secs(1 << attempt);
        let delivery = if attempt < MAX_SYN_RETRIES {
            Delivery::Syn { from, to, attempt: attempt + 1 }
        } else {
            Delivery::Failed { to: from, error: Errno::TIMEDOUT }
        };
        self.wire.schedule(at, delivery);
    }

    fn deliver_established(&mut self, to: usize, peer: usize) {
        match self.endpoints.stream(to) {
            Ok(stream) if stream.phase == Phase::Connecting => {
                stream.phase = Phase::Connected;
                stream.peer = Some(peer);
                self.pump(to);
            }
            _ => self.reply_with_reset(peer),
        }
    }

    fn deliver_failure(&mut self, to: usize, error: Errno) {
        match self.endpoints.get_mut(to) {
            Ok(Endpoint::Stream(stream)) if stream.phase == Phase::Connecting => {
                stream.close(Some(error));
                if matches!(stream.holder, Holder::Orphaned) {
                    self.remove(to);
                }
            }
            Ok(Endpoint::Datagram(datagram)) => datagram.error = Some(error),
            _ => {}
        }
    }

    fn deliver_data(&mut self, to: usize, from: usize, bytes: &[u8]) {
        if !self.reaches(to, from) {
            return;
        }
        if self.rng.chance(self.faults.reset) {
            self.injected_resets += 1;
            self.deliver_reset(to);
            self.reply_with_reset(from);
            return;
        }
        if let Ok(stream) = self.endpoints.stream(to) {
            stream.inbound.extend(bytes);
            self.read_as_peer(to);
        }
    }

    fn deliver_urgent(&mut self, to: usize, from: usize, byte: u8) {
        if !self.reaches(to, from) {
            return;
        }
        if let Ok(stream) = self.endpoints.stream(to) {
            stream.urgent = Some(byte);
            self.free_window(to, 1);
        }
    }

    /// Returns `true` if `to` still accepts data. A closed end replies with a reset, as on real
    /// systems.
    fn reaches(&mut self, to: usize, from: usize) -> bool {
        match self.endpoints.stream(to) {
            Ok(stream) if matches!(stream.holder, Holder::Orphaned) => {
                self.abort(to);
                self.remove(to);
                false
            }
            Ok(stream) => stream.phase == Phase::Connected,
            Err(_) => {
                self.reply_with_reset(from);
                false
            }
        }
    }

    /// Reads the input of a `Peer` that is not paused.
    pub(super) fn read_as_peer(&mut self, id: usize) {
        let Ok(stream) = self.endpoints.stream(id) else {
            return;
        };
        if let Holder::Peer { paused: false, received } = &mut stream.holder {
            let taken = stream.inbound.len();
            let (front, back) = stream.inbound.as_slices();
            received.extend_from_slice(front);
            received.extend_from_slice(back);
            stream.inbound.clear();
            if taken > 0 {
                self.free_window(id, taken);
            }
        }
    }

    fn deliver_fin(&mut self, to: usize) {
        if let Ok(stream) = self.endpoints.stream(to) {
            stream.eof = true;
        }
    }

    fn deliver_reset(&mut self, to: usize) {
        if let Ok(stream) = self.endpoints.stream(to) {
            if stream.phase == Phase::Closed {
                return;
            }
            stream.close(Some(Errno::CONNRESET));
            if matches!(stream.holder, Holder::Orphaned) {
                self.remove(to);
            }
        }
    }

    fn deliver_window(&mut self, to: usize, bytes: usize) {
        if let Ok(stream) = self.endpoints.stream(to) {
            stream.credit += bytes;
            self.pump(to);
        }
    }

    fn deliver_datagram(
        &mut self,
        sender: usize,
        source: SocketAddr,
        to: SocketAddr,
        bytes: Vec<u8>,
    ) {
        let owner = self.ports.owner(Transport::Datagram, to);
        if let Ok(origin) = self.endpoints.datagram(sender) {
            origin.in_flight -= charge(&bytes);
            if owner.is_none() && origin.remote == Some(to) {
                let at = self.arrival();
                self.wire.schedule(at, Delivery::Failed { to: sender, error: Errno::CONNREFUSED });
            }
        }
        if self.rng.chance(self.faults.loss) {
            return;
        }
        let Some(Ok(receiver)) = owner.map(|id| self.endpoints.datagram(id)) else {
            return;
        };
        let is_expected = receiver.remote.is_none_or(|remote| remote == source);
        if is_expected && receiver.inbound.len() < MAX_QUEUED_DATAGRAMS {
            receiver.inbound.push_back((source, bytes));
        }
    }

    fn reply_with_reset(&mut self, to: usize) {
        let at = self.arrival();
        self.wire.schedule(at, Delivery::Reset { to });
    }
}
