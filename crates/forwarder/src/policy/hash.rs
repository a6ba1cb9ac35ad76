//! A hash that stays the same: in every worker, after a restart, in the next release.
//!
//! FNV-1a over the bytes, then the finalizer of SplitMix64, because FNV alone leaves the high bits
//! of short keys alike. The keys are public, so whoever can choose addresses can choose the hash.

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
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_the_published_functions() {
        assert_eq!(fnv1a(OFFSET, b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(OFFSET, b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(OFFSET, b"foobar"), 0x8594_4171_f739_67e8);
        // SplitMix64's first output for the seed 0 is the finalizer of its increment.
        assert_eq!(mix(0x9e37_79b9_7f4a_7c15), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn a_mapped_address_hashes_as_its_ipv4_address() {
        assert_eq!(
            client("::ffff:192.0.2.1".parse().unwrap()),
            client("192.0.2.1".parse().unwrap())
        );
    }

    #[test]
    fn a_path_and_a_host_of_the_same_bytes_differ() {
        assert_ne!(
            endpoint(&Endpoint::Unix("a\0\u{50}".into())),
            endpoint(&Endpoint::Host("a".into(), 0x50))
        );
    }
}
