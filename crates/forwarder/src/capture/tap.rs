//! One captured connection.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::packet::{Packet, SEGMENT};
use super::{Captures, Subject, hexdump, packet, pcapng};
use crate::relay::Side;

/// What a connection tells of its life to those who capture it.
pub(crate) struct Tap {
    captures: Arc<Captures>,
    kind: Kind,
    id: u64,
    hexdump: bool,
    pcapng: bool,
    began: Instant,
    client: Party,
    target: Party,
}

/// Which packets the bytes are written down as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Stream,
    Datagrams,
}

/// One end, as it is shown.
struct Party {
    name: String,
    addr: SocketAddr,
    /// Bytes it has sent.
    sent: u64,
    /// Its next sequence number.
    seq: u32,
}

impl Tap {
    pub(super) fn new(
        captures: Arc<Captures>,
        kind: Kind,
        id: u64,
        (hexdump, pcapng): (bool, bool),
        subject: &Subject<'_>,
        began: Instant,
    ) -> Self {
        // What has no address gets one, with a port that tells connections apart.
        let stand_in = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let port = u16::try_from(id % 65_535).unwrap_or(0) + 1;
        let client = subject.client.unwrap_or(stand_in(port));
        let target = subject.target_addr.unwrap_or(stand_in(0));
        let (from, to) = packet::same_family(client, target);
        let name = subject.client.map_or("unix".to_owned(), |client| client.to_string());
        let client = Party { name, addr: from, sent: 0, seq: 0 };
        let target = Party { name: subject.target.to_string(), addr: to, sent: 0, seq: 0 };
        let mut tap = Tap { captures, kind, id, hexdump, pcapng, began, client, target };
        tap.packet(Side::Client, packet::SYN, &[]);
        tap.packet(Side::Target, packet::SYN | packet::ACK, &[]);
        tap.packet(Side::Client, packet::ACK, &[]);
        tap
    }

    /// Bytes that were received from a side.
    pub(crate) fn data(&mut self, from: Side, bytes: &[u8], now: Instant) {
        if bytes.is_empty() && self.kind == Kind::Stream {
            return;
        }
        let (id, hexdump) = (self.id, self.hexdump);
        let after = now.saturating_duration_since(self.began);
        let captures = Arc::clone(&self.captures);
        let (sender, receiver) = self.parties(from);
        let head = hexdump::Head { id, after, from: &sender.name, to: &receiver.name };
        let offset = sender.sent;
        if let Some(sink) = captures.hexdump.as_ref().filter(|_| hexdump) {
            sink.write(hexdump::dump(&head, offset, bytes).into_bytes());
        }
        self.parties(from).0.sent += bytes.len() as u64;
        match self.kind {
            Kind::Stream => {
                for segment in bytes.chunks(SEGMENT) {
                    self.packet(from, packet::PSH | packet::ACK, segment);
                }
            }
            Kind::Datagrams => self.datagram(from, bytes),
        }
    }

    /// A side has ended its half.
    pub(crate) fn end(&mut self, side: Side) {
        self.packet(side, packet::FIN | packet::ACK, &[]);
    }

    /// A side has reset the connection.
    pub(crate) fn reset(&mut self, side: Side) {
        self.packet(side, packet::RST | packet::ACK, &[]);
    }

    fn packet(&mut self, from: Side, flags: u8, payload: &[u8]) {
        let captures = Arc::clone(&self.captures);
        let wanted = self.pcapng && self.kind == Kind::Stream;
        let Some(sink) = captures.pcapng.as_ref().filter(|_| wanted) else {
            return;
        };
        let (sender, receiver) = self.parties(from);
        let ack = if flags & packet::ACK == 0 { 0 } else { receiver.seq };
        let packet =
            Packet { from: sender.addr, to: receiver.addr, seq: sender.seq, ack, flags, payload };
        sink.write(pcapng::packet(SystemTime::now(), &packet.encode()));
        let counts = u32::from(flags & (packet::SYN | packet::FIN) != 0);
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        sender.seq = sender.seq.wrapping_add(length).wrapping_add(counts);
    }

    fn datagram(&mut self, from: Side, payload: &[u8]) {
        let captures = Arc::clone(&self.captures);
        if let Some(sink) = captures.pcapng.as_ref().filter(|_| self.pcapng) {
            let (sender, receiver) = self.parties(from);
            let packet = packet::datagram(sender.addr, receiver.addr, payload);
            sink.write(pcapng::packet(SystemTime::now(), &packet));
        }
    }

    fn parties(&mut self, from: Side) -> (&mut Party, &mut Party) {
        match from {
            Side::Client => (&mut self.client, &mut self.target),
            Side::Target => (&mut self.target, &mut self.client),
        }
    }
}

/// IPv4 as it is, also where a dual-stack socket wrote it as IPv6.
pub(super) fn canonical(addr: SocketAddr) -> (IpAddr, u16) {
    (addr.ip().to_canonical(), addr.port())
}
