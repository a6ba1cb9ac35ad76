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
    assert_eq!(client("::ffff:192.0.2.1".parse().unwrap()), client("192.0.2.1".parse().unwrap()));
}

#[test]
fn a_path_and_a_host_of_the_same_bytes_differ() {
    assert_ne!(
        endpoint(&Endpoint::Unix("a\0\u{50}".into())),
        endpoint(&Endpoint::Host("a".into(), 0x50))
    );
}
