//! Packets as they could have been on a wire, in the pcapng file format: what analysers expect.

use std::net::{IpAddr, SocketAddr};
use std::time::{SystemTime, UNIX_EPOCH};

use super::tap::canonical;

pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const RST: u8 = 0x04;
pub(super) const PSH: u8 = 0x08;
pub(super) const ACK: u8 = 0x10;

/// The most payload of a TCP packet, so that it stays below the 65,535 bytes that IP allows.
pub(super) const SEGMENT: usize = 32 * 1024;

const TCP: u8 = 6;
const TCP_HEADER: usize = 20;
const UDP: u8 = 17;
const UDP_HEADER: usize = 8;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
/// Packets begin with their IP header.
const LINKTYPE_RAW: u16 = 101;

/// A TCP packet; both addresses have to be of the same family.
pub(super) struct Packet<'a> {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) flags: u8,
    pub(super) payload: &'a [u8],
}

impl Packet<'_> {
    /// The packet from its IP header on.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut header = [0; TCP_HEADER];
        header[0..2].copy_from_slice(&self.from.port().to_be_bytes());
        header[2..4].copy_from_slice(&self.to.port().to_be_bytes());
        header[4..8].copy_from_slice(&self.seq.to_be_bytes());
        header[8..12].copy_from_slice(&self.ack.to_be_bytes());
        header[12] = 5 << 4; // the header's length in words
        header[13] = self.flags;
        header[14..16].copy_from_slice(&u16::MAX.to_be_bytes()); // the window
        in_ip(TCP, (self.from.ip(), self.to.ip()), &mut header, 16, self.payload)
    }
}

/// A UDP packet from its IP header on; both addresses have to be of the same family.
pub(super) fn datagram(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let mut header = [0; UDP_HEADER];
    header[0..2].copy_from_slice(&from.port().to_be_bytes());
    header[2..4].copy_from_slice(&to.port().to_be_bytes());
    header[4..6].copy_from_slice(&length(UDP_HEADER + payload.len()).to_be_bytes());
    in_ip(UDP, (from.ip(), to.ip()), &mut header, 6, payload)
}

/// The packet with an IP header before it, and its checksum at `sum_at` in its own.
fn in_ip(
    protocol: u8,
    (from, to): (IpAddr, IpAddr),
    header: &mut [u8],
    sum_at: usize,
    payload: &[u8],
) -> Vec<u8> {
    let length = length(header.len() + payload.len());
    let (mut packet, addresses) = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let addresses = [from.octets(), to.octets()].concat();
            (ipv4(protocol, length, &addresses), addresses)
        }
        (from, to) => {
            let addresses = [v6(from), v6(to)].concat();
            (ipv6(protocol, length, &addresses), addresses)
        }
    };
    let [high, low] = length.to_be_bytes();
    let pseudo = [&addresses[..], &[0, protocol, high, low]].concat();
    let sum = match checksum(&[&pseudo, header, payload]) {
        // In UDP no sum at all is written as 0.
        0 if protocol == UDP => u16::MAX,
        sum => sum,
    };
    header[sum_at..sum_at + 2].copy_from_slice(&sum.to_be_bytes());
    packet.extend_from_slice(header);
    packet.extend_from_slice(payload);
    packet
}

fn length(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}

/// The addresses in one family: IPv4 is written as IPv6 if the other is that.
pub(super) fn same_family(one: SocketAddr, other: SocketAddr) -> (SocketAddr, SocketAddr) {
    let (one, other) = (SocketAddr::from(canonical(one)), SocketAddr::from(canonical(other)));
    let mapped = |addr: SocketAddr| SocketAddr::new(v6(addr.ip()).into(), addr.port());
    if one.is_ipv4() == other.is_ipv4() { (one, other) } else { (mapped(one), mapped(other)) }
}

fn v6(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

fn ipv4(protocol: u8, length: u16, addresses: &[u8]) -> Vec<u8> {
    let [high, low] = length.saturating_add(20).to_be_bytes();
    let mut header = vec![0x45, 0, high, low, 0, 0, 0x40, 0, 64, protocol, 0, 0];
    header.extend_from_slice(addresses);
    let sum = checksum(&[&header]).to_be_bytes();
    header[10..12].copy_from_slice(&sum);
    header
}

fn ipv6(protocol: u8, length: u16, addresses: &[u8]) -> Vec<u8> {
    let [high, low] = length.to_be_bytes();
    let mut header = vec![0x60, 0, 0, 0, high, low, protocol, 64];
    header.extend_from_slice(addresses);
    header
}

/// The Internet checksum (RFC 1071) of parts of which all but the last have an even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u64;
    for word in parts.iter().flat_map(|part| part.chunks(2)) {
        sum += u64::from(u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

/// Returns the start of a pcapng file: a section, and its only interface, with times in microseconds.
pub(super) fn file_header() -> Vec<u8> {
    let mut section = BYTE_ORDER.to_le_bytes().to_vec();
    section.extend([1_u16, 0].iter().flat_map(|version| version.to_le_bytes()));
    section.extend(u64::MAX.to_le_bytes()); // the section's length is not known
    let mut interface = LINKTYPE_RAW.to_le_bytes().to_vec();
    interface.extend([0; 2]);
    interface.extend(0_u32.to_le_bytes()); // packets are never cut
    [block(SECTION_HEADER, &section), block(INTERFACE, &interface)].concat()
}

/// A packet as a block of a pcapng file.
pub(super) fn block_of(at: SystemTime, bytes: &[u8]) -> Vec<u8> {
    let micros = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let [a, b, c, d, e, f, g, h] = u64::try_from(micros).unwrap_or(u64::MAX).to_le_bytes();
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut body = 0_u32.to_le_bytes().to_vec();
    body.extend([e, f, g, h, a, b, c, d]); // the upper half comes first
    body.extend([length, length].concat());
    body.extend_from_slice(bytes);
    block(ENHANCED_PACKET, &body)
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let padding = body.len().next_multiple_of(4) - body.len();
    let length = u32::try_from(12 + body.len() + padding).unwrap_or(u32::MAX).to_le_bytes();
    let mut block = kind.to_le_bytes().to_vec();
    block.extend(length);
    block.extend_from_slice(body);
    block.extend(std::iter::repeat_n(0, padding));
    block.extend(length);
    block
}
