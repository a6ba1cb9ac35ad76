//! The operations of a stream's holder: connecting, sending, receiving, closing.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::io::Errno;

use super::endpoint::{Fin, Holder, Phase};
use super::wire::Delivery;
use super::world::{World, destination};

impl World {
    /// Sends the request to connect; the reply arrives later.
    pub(super) fn connect(&mut self, id: usize, addr: SocketAddr) -> Result<(), Errno> {
        let stream = match self.endpoints.stream(id) {
            Err(Errno::NOTCONN) => return Err(Errno::ISCONN),
            other => other?,
        };
        match stream.phase {
            Phase::Connecting => return Err(Errno::ALREADY),
            Phase::Connected => return Err(Errno::ISCONN),
            Phase::Closed if stream.peer.is_some() => return Err(Errno::ISCONN),
            Phase::Idle | Phase::Closed => {}
        }
        if stream.local.is_ipv4() != addr.is_ipv4() {
            return Err(Errno::AFNOSUPPORT);
        }
        let local = match self.source_addr(id) {
            Err(Errno::ADDRINUSE) => return Err(Errno::ADDRNOTAVAIL),
            other => other?,
        };
        let to = destination(addr);
        let at = self.arrival();
        let stream = self.endpoints.stream(id)?;
        stream.local = local;
        stream.remote = Some(to);
        stream.phase = Phase::Connecting;
        stream.error = None;
        self.wire.schedule(at, Delivery::Syn { from: id, to, attempt: 0 });
        Ok(())
    }

    /// Sends as many bytes as the window and the faults allow, and returns their number.
    pub(super) fn send(&mut self, id: usize, bytes: &[u8]) -> Result<usize, Errno> {
        let room = self.room_to_send(id)?;
        if bytes.is_empty() {
            return Ok(0);
        }
        if room == 0 {
            return Err(Errno::AGAIN);
        }
        let taken = self.rng.part(bytes.len().min(room), self.faults.partial);
        self.transmit(id, &bytes[..taken]);
        Ok(taken)
    }

    /// Sends the last byte as the urgent byte, and those before it as ordinary data.
    pub(super) fn send_oob(&mut self, id: usize, bytes: &[u8]) -> Result<usize, Errno> {
        let Some((urgent, before)) = bytes.split_last() else {
            return self.send(id, bytes);
        };
        if !before.is_empty() {
            let taken = self.send(id, before)?;
            if taken < before.len() || self.room_to_send(id)? == 0 {
                return Ok(taken);
            }
        } else if self.room_to_send(id)? == 0 {
            return Err(Errno::AGAIN);
        }
        self.endpoints.stream(id)?.urgent_backlog = Some(*urgent);
        self.pump(id);
        Ok(bytes.len())
    }

    fn room_to_send(&mut self, id: usize) -> Result<usize, Errno> {
        let stream = self.endpoints.stream(id)?;
        match stream.phase {
            Phase::Idle => Err(Errno::NOTCONN),
            Phase::Connecting => Ok(0),
            Phase::Closed => Err(stream.error.take().unwrap_or(Errno::PIPE)),
            Phase::Connected if stream.fin != Fin::Open => Err(Errno::PIPE),
            Phase::Connected => Ok(stream.credit),
        }
    }

    pub(super) fn recv(&mut self, id: usize, buf: &mut [u8]) -> Result<usize, Errno> {
        let stream = self.endpoints.stream(id)?;
        match stream.phase {
            Phase::Idle => return Err(Errno::NOTCONN),
            Phase::Connecting => return Err(Errno::AGAIN),
            Phase::Closed => return stream.error.take().map_or(Ok(0), Err),
            Phase::Connected => {}
        }
        if buf.is_empty() {
            return Ok(0);
        }
        if stream.inbound.is_empty() {
            let ended = stream.eof || stream.read_shut;
            return if ended { Ok(0) } else { Err(Errno::AGAIN) };
        }
        let available = stream.inbound.len().min(buf.len());
        let taken = self.rng.part(available, self.faults.partial);
        take_front(&mut stream.inbound, &mut buf[..taken]);
        self.free_window(id, taken);
        Ok(taken)
    }

    /// Takes the unread urgent byte. Without one, returns `EINVAL`, as real systems do.
    pub(super) fn recv_oob(&mut self, id: usize) -> Result<u8, Errno> {
        let stream = self.endpoints.stream(id)?;
        match stream.phase {
            Phase::Idle | Phase::Connecting => Err(Errno::NOTCONN),
            Phase::Closed => Err(stream.error.take().unwrap_or(Errno::INVAL)),
            Phase::Connected => stream.urgent.take().ok_or(Errno::INVAL),
        }
    }

    pub(super) fn shutdown(&mut self, id: usize, read: bool, write: bool) -> Result<(), Errno> {
        let stream = self.endpoints.stream(id)?;
        if stream.phase != Phase::Connected {
            return Err(Errno::NOTCONN);
        }
        stream.read_shut |= read;
        if write && stream.fin == Fin::Open {
            stream.fin = Fin::Wanted;
            self.pump(id);
        }
        Ok(())
    }

    /// Closes the stream of a dropped handle: with a reset if input is unread, else with an end of
    /// stream after all queued bytes.
    pub(super) fn close_stream(&mut self, id: usize) {
        let Ok(stream) = self.endpoints.stream(id) else {
            return;
        };
        let holder = std::mem::replace(&mut stream.holder, Holder::Orphaned);
        let lingers = match stream.phase {
            Phase::Connected => stream.inbound.is_empty(),
            // A peer may connect, send and close at once; a socket cancels the attempt.
            Phase::Connecting => matches!(holder, Holder::Peer { .. }),
            Phase::Idle | Phase::Closed => false,
        };
        if lingers {
            if stream.fin == Fin::Open {
                stream.fin = Fin::Wanted;
            }
            self.pump(id);
        } else {
            self.abort(id);
            self.remove(id);
        }
    }

    /// Resets the connection: notifies the other end, and drops all data of this end.
    pub(super) fn abort(&mut self, id: usize) {
        let Ok(stream) = self.endpoints.stream(id) else {
            return;
        };
        let peer = if stream.phase == Phase::Connected { stream.peer } else { None };
        stream.close(None);
        if let Some(to) = peer {
            // Not ordered after the data: data that the reset overtakes is lost, as on a real
            // network.
            let at = self.arrival();
            self.wire.schedule(at, Delivery::Reset { to });
        }
    }

    /// Sends pending bytes as the window allows, then the end of the stream if requested.
    pub(super) fn pump(&mut self, id: usize) {
        let Ok(stream) = self.endpoints.stream(id) else {
            return;
        };
        if stream.phase != Phase::Connected {
            return;
        }
        let peer = stream.peer;
        let urgent = if stream.credit > 0 { stream.urgent_backlog.take() } else { None };
        stream.credit -= usize::from(urgent.is_some());
        let mut bytes = vec![0; stream.sendable(self.faults.segment)];
        take_front(&mut stream.backlog, &mut bytes);
        let drained = stream.backlog.is_empty() && stream.urgent_backlog.is_none();
        let ends = drained && stream.fin == Fin::Wanted;
        if ends {
            stream.fin = Fin::Sent;
        }
        let is_finished = stream.fin == Fin::Sent && matches!(stream.holder, Holder::Orphaned);
        if let (Some(byte), Some(to)) = (urgent, peer) {
            let at = self.arrival_in_order(id);
            self.wire.schedule(at, Delivery::Urgent { to, from: id, byte });
        }
        self.transmit(id, &bytes);
        if let (true, Some(to)) = (ends, peer) {
            let at = self.arrival_in_order(id);
            self.wire.schedule(at, Delivery::Fin { to });
        }
        if is_finished {
            self.remove(id);
        }
    }

    /// Puts bytes on the wire, in segments. The window must have room for them.
    ///
    /// The network cuts a segment into at most two parts: repeated cuts of the remainder would
    /// leave a single byte of every second or third segment.
    fn transmit(&mut self, id: usize, bytes: &[u8]) {
        let Ok(stream) = self.endpoints.stream(id) else {
            return;
        };
        let Some(to) = stream.peer else {
            return;
        };
        stream.credit -= bytes.len();
        let mut rest = bytes;
        while !rest.is_empty() {
            let whole = rest.len().min(self.faults.segment);
            let (segment, after) = rest.split_at(whole);
            let (front, back) = segment.split_at(self.rng.part(whole, self.faults.partial));
            for part in [front, back].into_iter().filter(|part| !part.is_empty()) {
                let at = self.arrival_in_order(id);
                self.wire.schedule(at, Delivery::Data { to, from: id, bytes: part.to_vec() });
            }
            rest = after;
        }
    }

    /// Frees `count` bytes of the direction that ends at `id`. Announces the freed bytes to the
    /// sender once they amount to a segment or half the window: no silly windows.
    pub(super) fn free_window(&mut self, id: usize, count: usize) {
        let Ok(stream) = self.endpoints.stream(id) else {
            return;
        };
        stream.unannounced += count;
        if stream.unannounced < stream.announces_from(self.faults.segment) {
            return;
        }
        let bytes = std::mem::take(&mut stream.unannounced);
        if let Some(to) = stream.peer {
            let at = self.arrival();
            self.wire.schedule(at, Delivery::Window { to, bytes });
        }
    }

    /// Returns the arrival time of something sent now by stream `id`, not before that of earlier
    /// deliveries.
    pub(super) fn arrival_in_order(&mut self, id: usize) -> Duration {
        let at = self.arrival();
        match self.endpoints.stream(id) {
            Ok(stream) => {
                stream.last_arrival = stream.last_arrival.max(at);
                stream.last_arrival
            }
            Err(_) => at,
        }
    }
}

/// Moves the first bytes of `queue` into `buf`, which is no longer than the queue.
fn take_front(queue: &mut VecDeque<u8>, buf: &mut [u8]) {
    let (front, back) = queue.as_slices();
    let (first, second) = buf.split_at_mut(buf.len().min(front.len()));
    first.copy_from_slice(&front[..first.len()]);
    second.copy_from_slice(&back[..second.len()]);
    queue.drain(..buf.len());
}
