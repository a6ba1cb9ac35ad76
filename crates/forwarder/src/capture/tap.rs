//! One captured connection.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::packet::{Packet, SEGMENT};
use super::{Captures, Subject, packet};
use crate::relay::Side;

/// Bytes in a line of a hexdump.
const HEXDUMP_WIDTH: usize = 16;

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
        let head = Head { id, after, from: &sender.name, to: &receiver.name };
        let offset = sender.sent;
        if let Some(sink) = captures.hexdump.as_ref().filter(|_| hexdump) {
            sink.write(dump(&head, offset, bytes).into_bytes());
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
        sink.write(packet::block_of(SystemTime::now(), &packet.encode()));
        let counts = u32::from(flags & (packet::SYN | packet::FIN) != 0);
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        sender.seq = sender.seq.wrapping_add(length).wrapping_add(counts);
    }

    fn datagram(&mut self, from: Side, payload: &[u8]) {
        let captures = Arc::clone(&self.captures);
        if let Some(sink) = captures.pcapng.as_ref().filter(|_| self.pcapng) {
            let (sender, receiver) = self.parties(from);
            let packet = packet::datagram(sender.addr, receiver.addr, payload);
            sink.write(packet::block_of(SystemTime::now(), &packet));
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

/// The description of a piece of a connection's bytes.
pub(super) struct Head<'a> {
    /// The connection's number.
    pub(super) id: u64,
    /// Since the connection was made.
    pub(super) after: Duration,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
}

/// A line that says who sent what when, and lines of 16 bytes with their offset in all that this
/// side has sent.
pub(super) fn dump(head: &Head<'_>, offset: u64, bytes: &[u8]) -> String {
    let Head { id, after, from, to } = head;
    let seconds = after.as_secs_f64();
    let mut text = format!("#{id} +{seconds:.6}s {from} > {to}: {} bytes\n", bytes.len());
    for (index, line) in bytes.chunks(HEXDUMP_WIDTH).enumerate() {
        let mut hex = String::new();
        for (index, byte) in line.iter().enumerate() {
            let gap = if index == HEXDUMP_WIDTH / 2 { "  " } else { " " };
            // Writing to a string cannot fail.
            let _ = write!(hex, "{gap}{byte:02x}");
        }
        let plain: String = line.iter().map(|byte| shown(*byte)).collect();
        let at = offset + (index * HEXDUMP_WIDTH) as u64;
        let _ = writeln!(text, "  {at:08x} {hex:<49}  |{plain}|");
    }
    text
}

fn shown(byte: u8) -> char {
    if byte == b' ' || byte.is_ascii_graphic() { char::from(byte) } else { '.' }
}
