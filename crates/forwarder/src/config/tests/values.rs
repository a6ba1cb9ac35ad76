use std::time::Duration;

use proptest::prelude::*;

use crate::config::notation::{Notation, OptionalLimit};
use crate::config::status::StatusAddress;
use crate::config::value::{Escaped, FileMode, Network, Number, Rate, Size, Time, UnixOwner};
use crate::config::{CaptureFilter, Endpoint};

#[test]
fn times_are_a_number_and_a_unit_or_seconds() {
    for (text, milliseconds) in [
        ("500ms", 500),
        ("30s", 30_000),
        ("30", 30_000),
        ("0", 0),
        ("5m", 300_000),
        ("1h 30m", 5_400_000),
        ("1h30m", 5_400_000),
        ("365d", 365 * 86_400_000),
    ] {
        assert_eq!(Time::<0>::parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
    }
}

#[test]
fn rates_are_bytes_with_a_unit() {
    for (text, bytes) in [
        ("1000", 1000),
        ("64KiB", 65_536),
        ("10 MiB", 10 << 20),
        ("10MiB/s", 10 << 20),
        ("1.5GB", 1_500_000_000),
        ("1TiB", 1 << 40),
    ] {
        assert_eq!(Rate::parse(text), Ok(bytes), "{text}");
    }
}

#[test]
fn an_expected_greeting_may_contain_any_byte() {
    assert_eq!(Escaped::parse(r"220 \r\n\t\0\\\xfF"), Ok(b"220 \r\n\t\0\\\xff".to_vec()));
    assert_eq!(Escaped::parse("é"), Ok("é".as_bytes().to_vec()));
    assert_eq!(Escaped::parse(&"x".repeat(1024)).map(|bytes| bytes.len()), Ok(1024));
}

#[test]
fn none_is_no_limit() {
    assert_eq!(OptionalLimit::<Number>::parse("none"), Ok(None));
    assert_eq!(OptionalLimit::<Number>::parse("7"), Ok(Some(7)));
    assert_eq!(OptionalLimit::<Time>::parse("none"), Ok(None));
    let message = OptionalLimit::<Time>::parse("0").unwrap_err().to_string();
    assert_eq!(message, "'0' is too short: write at least 1ms, or none");
}

#[test]
fn networks_are_addresses_with_or_without_a_prefix() {
    for (text, net) in [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.5", "10.0.0.5/32"),
        ("::1", "::1/128"),
        ("fd00::/8", "fd00::/8"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
    ] {
        assert_eq!(Network::parse(text).map(|net| net.to_string()), Ok(net.to_owned()));
    }
}

#[test]
fn a_wrong_value_is_answered_with_one_sentence() {
    fn sentence<N: Notation>(text: &str) -> String {
        N::parse(text).err().unwrap().to_string()
    }
    let no_time =
        "is not a length of time: write a number and a unit, such as 500ms, 30s, 5m, 2h or 1d";
    for text in ["", "x", "30x", "-1s", "1.5.5s", "s"] {
        assert_eq!(sentence::<Time>(text), format!("'{text}' {no_time}"));
    }
    assert_eq!(sentence::<Time>("366d"), "'366d' is too long: write at most 365d");
    let digits = "9".repeat(30);
    assert_eq!(sentence::<Time>(&digits), format!("'{digits}' is too long: write at most 365d"));
    assert_eq!(sentence::<Time>("1us"), "'1us' is too short: write at least 1ms");

    let no_rate = "is not a number of bytes per second: write it as in 500KiB, 10MiB or 1GB";
    for text in ["", "x", "10X", "-1", "1.5.5MB", "none", "/s"] {
        assert_eq!(sentence::<Rate>(text), format!("'{text}' {no_rate}"));
    }
    assert_eq!(sentence::<Rate>("2TiB"), "'2TiB' is too high: write at most 1TiB");
    assert_eq!(sentence::<Rate>("99999999EB"), "'99999999EB' is too high: write at most 1TiB");

    for text in ["", "x", "-1", "+1", "1.5"] {
        let expected = format!("'{text}' is not a count: write a whole number such as 1000");
        assert_eq!(sentence::<Number>(text), expected);
    }
    assert_eq!(
        sentence::<Number>("4294967296"),
        "'4294967296' is too much: write at most 4294967295"
    );

    for text in ["", "x", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/"] {
        let expected =
            format!("'{text}' is not a network: write it as in 10.0.0.0/8, fd00::/8 or 10.0.0.5");
        assert_eq!(sentence::<Network>(text), expected);
    }
    assert_eq!(
        sentence::<Network>("10.0.0.5/8"),
        "'10.0.0.5/8' has address bits beyond its /8: write 10.0.0.0/8 for the network or 10.0.0.5 for \
         the one address"
    );
    assert_eq!(
        sentence::<Network>("::ffff:10.0.0.0/104"),
        "'::ffff:10.0.0.0/104' is an IPv4 network in IPv6 notation: write 10.0.0.0/8"
    );

    assert_eq!(
        sentence::<Escaped>(""),
        "'' is empty: write how the answer begins, such as 'SSH-2.0'"
    );
    for text in [r"\", r"\q", r"\x", r"\xg0", r"\x0"] {
        let expected =
            format!("'{text}' has an unknown escape: write \\r, \\n, \\t, \\0, \\\\ or \\xNN");
        assert_eq!(sentence::<Escaped>(text), expected);
    }
    let long = sentence::<Escaped>(&"x".repeat(1025));
    assert!(long.ends_with("x…' has 1025 bytes: write at most the first 1024"), "{long}");

    assert_eq!(
        sentence::<StatusAddress>("udp:80"),
        "'udp:80' is not TCP, and a browser needs that: write it as in 127.0.0.1:8081"
    );
    assert_eq!(
        sentence::<CaptureFilter>("x"),
        "'x' is not a choice of connections: write all, or conditions separated by commas, such as rule=web,client=10.0.0.0/8,target=10.0.0.5:80"
    );
}

#[test]
fn a_value_out_of_range_is_answered_with_the_range() {
    for (result, message) in [
        (Time::<1>::parse("0").err(), "'0' is too short: write at least 1ms"),
        (Time::<1000>::parse("999ms").err(), "'999ms' is too short: write at least 1s"),
        (Time::<1, 32_767_000>::parse("1d").err(), "'1d' is too long: write at most 9h 6m 7s"),
        (Number::<u8, 1, 128>::parse("0").err(), "'0' is too little: write at least 1"),
        (Number::<u8, 1, 128>::parse("129").err(), "'129' is too much: write at most 128"),
        (Rate::parse("0").err(), "'0' is too low: write at least 1"),
        (
            FileMode::parse("1777").err(),
            "'1777' is not a file mode: write octal digits, such as 0660",
        ),
        (FileMode::parse("8").err(), "'8' is not a file mode: write octal digits, such as 0660"),
        (UnixOwner::parse(":").err(), "':' is not an owner: write USER:GROUP, USER or :GROUP"),
    ] {
        assert_eq!(result.unwrap().to_string(), message);
    }
}

#[test]
fn a_capture_filter_chooses_what_meets_every_condition() {
    let target = Endpoint::Host("10.0.0.5".into(), 80);
    let other = Endpoint::Host("10.0.0.6".into(), 80);
    let client = Some("10.1.2.3".parse().unwrap());
    let mapped = Some("::ffff:10.1.2.3".parse().unwrap());
    let all: CaptureFilter = "all".parse().unwrap();
    assert!(all.matches("web", None, &target));

    let some: CaptureFilter = "rule=web, client=10.0.0.0/8, target=10.0.0.5:80".parse().unwrap();
    assert!(some.matches("web", client, &target));
    assert!(some.matches("web", mapped, &target));
    assert!(!some.matches("api", client, &target));
    assert!(!some.matches("web", None, &target));
    assert!(!some.matches("web", Some("11.1.2.3".parse().unwrap()), &target));
    assert!(!some.matches("web", client, &other));
}

proptest! {
    #[test]
    fn no_text_makes_the_parsers_panic(text in any::<String>(), near in "[0-9a-zA-Z./:%*=,\\\\ -]{0,24}") {
        for text in [text, near] {
            let _ = <Time>::parse(&text);
            let _ = Rate::parse(&text);
            let _ = Size::parse(&text);
            let _ = <Number>::parse(&text);
            let _ = Network::parse(&text);
            let _ = Escaped::parse(&text);
            let _ = FileMode::parse(&text);
            let _ = UnixOwner::parse(&text);
            let _ = StatusAddress::parse(&text);
            let _ = CaptureFilter::parse(&text);
            let _ = OptionalLimit::<Rate>::parse(&text);
        }
    }

    #[test]
    fn every_byte_can_be_expected(bytes in prop::collection::vec(any::<u8>(), 1..64)) {
        let text: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        prop_assert_eq!(Escaped::parse(&text), Ok(bytes));
    }
}
