//! A hash that stays the same: in every worker, after a restart, in the next release.
//!
//! FNV-1a over the bytes, then the finalizer of SplitMix64, because FNV alone leaves the high bits
//! of short keys alike. The keys are public, so a client that can choose its address can choose the hash.

use std::net::IpAddr;

use crate::config::Endpoint;

/// The hash of a client: the same for an IPv4 address and its IPv4-mapped IPv6 address.
pub(super) fn client(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => mix(fnv1a(OFFSET, &address.octets())),
        IpAddr::V6(address) => mix(fnv1a(OFFSET, &address.octets())),
    }
}

/// The hash of a target, from what its configuration says and nothing else.
pub(super) fn endpoint(endpoint: &Endpoint) -> u64 {
    mix(match endpoint {
        Endpoint::Host(host, port) => {
            fnv1a(fnv1a(fnv1a(OFFSET, b"host\0"), host.as_bytes()), &port.to_be_bytes())
        }
        Endpoint::Unix(path) => {
            fnv1a(fnv1a(OFFSET, b"unix\0"), path.as_os_str().as_encoded_bytes())
        }
    })
}

/// The hash of two hashes together.
pub(super) fn pair(a: u64, b: u64) -> u64 {
    mix(a ^ b.rotate_left(32))
}

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

fn fnv1a(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
