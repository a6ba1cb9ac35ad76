use proptest::prelude::*;

use super::*;

/// The header of a connection that came through no other forwarder.
fn encode(version: ProxyVersion, ends: Option<Ends>) -> Vec<u8> {
    super::encode(version, ends, 0).unwrap()
}

fn ends_of(source: &str, destination: &str) -> Ends {
    Ends { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
}

fn read(bytes: &[u8]) -> Option<Ends> {
    let header = Header::read(bytes).unwrap().unwrap();
    assert_eq!(header.len, bytes.len());
    header.ends
}

#[test]
fn a_line_names_both_ends() {
    let v4 = read(b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 443\r\n");
    assert_eq!(v4, Some(ends_of("192.0.2.7:5000", "198.51.100.1:443")));
    let v6 = read(b"PROXY TCP6 2001:db8::7 2001:db8::1 5000 443\r\n");
    assert_eq!(v6, Some(ends_of("[2001:db8::7]:5000", "[2001:db8::1]:443")));
}

#[test]
fn a_proxy_that_does_not_know_its_client_names_none() {
    assert_eq!(read(b"PROXY UNKNOWN\r\n"), None);
    let longest = "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff \
                   ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
    assert_eq!(longest.len(), LONGEST_LINE);
    assert_eq!(read(longest.as_bytes()), None);
}

#[test]
fn a_health_check_of_the_proxy_names_none() {
    let mut local = v2::PROTOCOL_PREFIX.to_vec();
    // The addresses of a LOCAL header say nothing, also when there are some.
    local.extend([0x20, 0x11, 0, 12, 192, 0, 2, 7, 198, 51, 100, 1, 0, 1, 0, 2]);
    assert_eq!(read(&local), None);
}

#[test]
fn a_local_header_is_taken_with_whatever_it_has_for_addresses() {
    let blocks: [&[u8]; 4] =
        [&[0x11, 0, 3, 1, 2, 3], &[0x5f, 0, 0], &[0x21, 0, 2, 1, 1], &[0x00, 0, 1, 9]];
    for block in blocks {
        let header = [v2::PROTOCOL_PREFIX, &[0x20], block].concat();
        assert_eq!(read(&header), None, "{block:x?}");
    }
}

#[test]
fn each_forwarder_adds_a_hop_and_the_one_after_the_last_refuses() {
    for ends in [None, Some(ends_of("192.0.2.7:5000", "198.51.100.1:443"))] {
        let mut hops = 0;
        while let Ok(header) = Header::read(&super::encode(ProxyVersion::V2, ends, hops).unwrap()) {
            hops = header.unwrap().hops;
        }
        assert_eq!(hops, MAX_HOPS);
    }
}

#[test]
fn what_follows_the_addresses_belongs_to_the_header() {
    let mut header = v2::PROTOCOL_PREFIX.to_vec();
    header.extend([0x21, 0x11, 0, 17, 192, 0, 2, 7, 198, 51, 100, 1, 0x13, 0x88, 0x01, 0xbb]);
    header.extend([0x04, 0, 2, 0, 0]);
    assert_eq!(read(&header), Some(ends_of("192.0.2.7:5000", "198.51.100.1:443")));
}

#[test]
fn headers_are_written_as_the_specification_has_them() {
    let ends = Some(ends_of("192.0.2.7:5000", "198.51.100.1:443"));
    assert_eq!(encode(ProxyVersion::V1, ends), b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 443\r\n");
    assert_eq!(
        encode(ProxyVersion::V2, ends),
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\x13\x88\x01\xbb"
    );
    assert_eq!(encode(ProxyVersion::V1, None), b"PROXY UNKNOWN\r\n");
    assert_eq!(encode(ProxyVersion::V2, None), b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
}

#[test]
fn an_ipv4_client_of_a_dual_stack_socket_is_told_as_ipv4() {
    let ends = ends_of("[::ffff:192.0.2.7]:5000", "[::ffff:198.51.100.1]:443");
    let written = encode(ProxyVersion::V1, Some(ends));
    assert_eq!(written, b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 443\r\n");
}

#[test]
fn ends_of_two_families_are_told_as_ipv6() {
    let ends = ends_of("192.0.2.7:5000", "[2001:db8::1]:443");
    let written = encode(ProxyVersion::V1, Some(ends));
    assert_eq!(written, b"PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 5000 443\r\n");
}

#[test]
fn a_malformed_header_is_told_with_its_cause_on_one_line() {
    let endless = [b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat();
    let long = [v2::PROTOCOL_PREFIX, &[0x21, 0x11, 0xff, 0xff]].concat();
    let family = [v2::PROTOCOL_PREFIX, &[0x21, 0x51, 0, 0]].concat();
    let short = [v2::PROTOCOL_PREFIX, &[0x21, 0x11, 0, 4, 1, 2, 3, 4]].concat();
    let looping = super::encode(ProxyVersion::V2, None, MAX_HOPS).unwrap();
    let cases: [(&[u8], &str); 11] = [
        (b"GET / HTTP/1.1\r\n", "begins neither"),
        (&endless, "no end of the line"),
        (&long, "65551 bytes"),
        (&family, "Address Family"),
        (&short, "12 bytes required"),
        (b"PROXY TCP4 192.0.2.300 198.51.100.1 1 2\r\n", "IP address for the source"),
        (b"PROXY TCP4 192.0.2.1 198.51.100.1 1 70000\r\n", "port for the destination"),
        (b"PROXY TCP4 192.0.2.1 198.51.100.1 1 2\r \r\n", "must end in"),
        (b"PROXY TCP4 192.0.2.1 198.51.100.1 +80 2\r\n", "with a sign"),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 1 +2\r\n", "with a sign"),
        (&looping, "through 16 forwarders"),
    ];
    for (bytes, cause) in cases {
        let told = Header::read(bytes).unwrap_err().to_string();
        assert!(told.contains(cause), "{told}");
        assert!(!told.contains(['\r', '\n']), "{told:?}");
    }
}

fn address() -> impl Strategy<Value = SocketAddr> {
    any::<(IpAddr, u16)>().prop_map(SocketAddr::from)
}

fn version() -> impl Strategy<Value = ProxyVersion> {
    prop_oneof![Just(ProxyVersion::V1), Just(ProxyVersion::V2)]
}

/// What a header is read as, and the header.
fn written() -> impl Strategy<Value = (Header, Vec<u8>)> {
    let ends =
        (address(), address()).prop_map(|(source, destination)| Ends { source, destination });
    (version(), proptest::option::of(ends), 0..MAX_HOPS).prop_map(|(version, ends, hops)| {
        let header = super::encode(version, ends, hops).unwrap();
        let ends = ends.map(Ends::of_one_family);
        let ends = ends.map(|(source, destination)| Ends { source, destination });
        let hops = if version == ProxyVersion::V2 { hops + 1 } else { 1 };
        (Header { ends, hops, len: header.len() }, header)
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_wherever_it_is_split(
        (expected, header) in written(),
        rest in any::<Vec<u8>>(),
    ) {
        let bytes = [header.as_slice(), &rest].concat();
        for split in 0..header.len() {
            prop_assert_eq!(Header::read(&bytes[..split]), Ok(None));
        }
        for split in header.len()..=bytes.len() {
            let read = Header::read(&bytes[..split]).unwrap();
            prop_assert_eq!(read.as_ref(), Some(&expected));
        }
    }

    #[test]
    fn no_split_changes_what_is_decided(
        (_, mut bytes) in written(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        rest in prop::collection::vec(any::<u8>(), 0..150),
    ) {
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.extend(rest);
        let whole = Header::read(&bytes);
        for split in 0..bytes.len() {
            let part = Header::read(&bytes[..split]);
            prop_assert!(part == Ok(None) || part == whole, "{:?} at {}, {:?}", part, split, whole);
        }
    }

    #[test]
    fn no_more_is_waited_for_than_the_longest_header(bytes in prop::collection::vec(any::<u8>(), 4096)) {
        for start in [&b""[..], LINE_START, v2::PROTOCOL_PREFIX] {
            let mut bytes = bytes.clone();
            bytes[..start.len()].copy_from_slice(start);
            prop_assert_ne!(Header::read(&bytes), Ok(None));
        }
    }
}
