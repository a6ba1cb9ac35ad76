//! The pcapng file format: a header that stands once, and a block for each packet.

use std::time::{SystemTime, UNIX_EPOCH};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
/// Packets begin with their IP header.
const LINKTYPE_RAW: u16 = 101;

/// What a file begins with: a section, and its only interface, whose times are microseconds.
pub(super) fn header() -> Vec<u8> {
    let mut section = BYTE_ORDER.to_le_bytes().to_vec();
    section.extend([1_u16, 0].iter().flat_map(|version| version.to_le_bytes()));
    section.extend(u64::MAX.to_le_bytes()); // the section's length is not known
    let mut interface = LINKTYPE_RAW.to_le_bytes().to_vec();
    interface.extend([0; 2]);
    interface.extend(0_u32.to_le_bytes()); // packets are never cut
    [block(SECTION_HEADER, &section), block(INTERFACE, &interface)].concat()
}

/// One packet.
pub(super) fn packet(at: SystemTime, bytes: &[u8]) -> Vec<u8> {
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
