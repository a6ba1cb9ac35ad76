//! Packets as they could have been on a wire: what analysers of captures expect.

use std::net::{IpAddr, SocketAddr};

use super::tap::canonical;

pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const RST: u8 = 0x04;
pub(super) const PSH: u8 = 0x08;
pub(super) const ACK: u8 = 0x10;

/// The most payload of a packet, so that it stays below the 65,535 bytes that IP allows.
pub(super) const SEGMENT: usize = 32 * 1024;

const TCP: u8 = 6;
const TCP_HEADER: usize = 20;

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
        let length = u16::try_from(TCP_HEADER + self.payload.len()).unwrap_or(u16::MAX);
        let (mut packet, addresses) = match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let addresses = [from.octets(), to.octets()].concat();
                (ipv4(length, &addresses), addresses)
            }
            (from, to) => {
                let addresses = [v6(from), v6(to)].concat();
                (ipv6(length, &addresses), addresses)
            }
        };
        let mut tcp = self.tcp();
        let [high, low] = length.to_be_bytes();
        let pseudo = [&addresses[..], &[0, TCP, high, low]].concat();
        let sum = checksum(&[&pseudo, &tcp, self.payload]);
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        packet.extend_from_slice(&tcp);
        packet.extend_from_slice(self.payload);
        packet
    }

    fn tcp(&self) -> [u8; TCP_HEADER] {
        let mut tcp = [0; TCP_HEADER];
        tcp[0..2].copy_from_slice(&self.from.port().to_be_bytes());
        tcp[2..4].copy_from_slice(&self.to.port().to_be_bytes());
        tcp[4..8].copy_from_slice(&self.seq.to_be_bytes());
        tcp[8..12].copy_from_slice(&self.ack.to_be_bytes());
        tcp[12] = 5 << 4; // the header's length in words
        tcp[13] = self.flags;
        tcp[14..16].copy_from_slice(&u16::MAX.to_be_bytes()); // the window
        tcp
    }
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

fn ipv4(length: u16, addresses: &[u8]) -> Vec<u8> {
    let [high, low] = length.saturating_add(20).to_be_bytes();
    let mut header = vec![0x45, 0, high, low, 0, 0, 0x40, 0, 64, TCP, 0, 0];
    header.extend_from_slice(addresses);
    let sum = checksum(&[&header]).to_be_bytes();
    header[10..12].copy_from_slice(&sum);
    header
}

fn ipv6(length: u16, addresses: &[u8]) -> Vec<u8> {
    let [high, low] = length.to_be_bytes();
    let mut header = vec![0x60, 0, 0, 0, high, low, TCP, 64];
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
