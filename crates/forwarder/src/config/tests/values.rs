use std::time::Duration;

use proptest::prelude::*;

use crate::config::capture::CaptureFilter;
use crate::config::invalid::Invalid;
use crate::config::model::Endpoint;
use crate::config::status::StatusAddress;
use crate::config::value::{Count, Expect, Net, OrNone, Period, Rate};

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
        assert_eq!(text.parse(), Ok(Period(Duration::from_millis(milliseconds))), "{text}");
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
        assert_eq!(text.parse(), Ok(Rate(bytes)), "{text}");
    }
}

#[test]
fn an_expected_greeting_may_contain_any_byte() {
    assert_eq!(r"220 \r\n\t\0\\\xfF".parse(), Ok(Expect(b"220 \r\n\t\0\\\xff".to_vec())));
    assert_eq!("é".parse(), Ok(Expect("é".as_bytes().to_vec())));
    assert_eq!("x".repeat(1024).parse::<Expect>().map(|Expect(bytes)| bytes.len()), Ok(1024));
}

#[test]
fn none_is_no_limit() {
    assert_eq!("none".parse(), Ok(OrNone::<Count>(None)));
    assert_eq!("7".parse(), Ok(OrNone(Some(Count(7)))));
    assert_eq!("none".parse(), Ok(OrNone::<Period>(None)));
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
        assert_eq!(text.parse::<Net>().map(|Net(net)| net.to_string()), Ok(net.to_owned()));
    }
}

#[test]
fn a_wrong_value_is_answered_with_one_sentence() {
    fn sentence<T: std::str::FromStr<Err = Invalid> + std::fmt::Debug>(text: &str) -> String {
        text.parse::<T>().unwrap_err().to_string()
    }
    let no_time =
        "is not a length of time: write a number and a unit, such as 500ms, 30s, 5m, 2h or 1d";
    for text in ["", "x", "30x", "-1s", "1.5.5s", "s"] {
        assert_eq!(sentence::<Period>(text), format!("'{text}' {no_time}"));
    }
    assert_eq!(sentence::<Period>("366d"), "'366d' is too long: write at most 365d");
    let digits = "9".repeat(30);
    assert_eq!(sentence::<Period>(&digits), format!("'{digits}' is too long: write at most 365d"));
    assert_eq!(sentence::<Period>("1us"), "'1us' is too short: write at least 1ms");

    let no_rate = "is not a number of bytes a second: write it as in 500KiB, 10MiB or 1GB";
    for text in ["", "x", "10X", "-1", "1.5.5MB", "none", "/s"] {
        assert_eq!(sentence::<Rate>(text), format!("'{text}' {no_rate}"));
    }
    assert_eq!(sentence::<Rate>("2TiB"), "'2TiB' is too high: write at most 1TiB");
    assert_eq!(sentence::<Rate>("99999999EB"), "'99999999EB' is too high: write at most 1TiB");

    for text in ["", "x", "-1", "+1", "1.5"] {
        let expected = format!("'{text}' is not a count: write a whole number such as 1000");
        assert_eq!(sentence::<Count>(text), expected);
    }
    assert_eq!(
        sentence::<Count>("4294967296"),
        "'4294967296' is too much: write at most 4294967295"
    );

    for text in ["", "x", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/"] {
        let expected =
            format!("'{text}' is not a network: write it as in 10.0.0.0/8, fd00::/8 or 10.0.0.5");
        assert_eq!(sentence::<Net>(text), expected);
    }
    assert_eq!(
        sentence::<Net>("10.0.0.5/8"),
        "'10.0.0.5/8' has address bits beyond its /8: write 10.0.0.0/8 for the network or 10.0.0.5 for \
         the one address"
    );
    assert_eq!(
        sentence::<Net>("::ffff:10.0.0.0/104"),
        "'::ffff:10.0.0.0/104' is an IPv4 network in IPv6's notation: write 10.0.0.0/8"
    );

    assert_eq!(
        sentence::<Expect>(""),
        "'' is empty: write how the answer begins, such as 'SSH-2.0'"
    );
    for text in [r"\", r"\q", r"\x", r"\xg0", r"\x0"] {
        let expected = format!(
            "'{text}' has a backslash with no meaning: write \\r, \\n, \\t, \\0, \\\\ or \\xNN"
        );
        assert_eq!(sentence::<Expect>(text), expected);
    }
    let long = sentence::<Expect>(&"x".repeat(1025));
    assert!(long.ends_with("x…' has 1025 bytes: write the first 1024 at most"), "{long}");

    assert_eq!(
        sentence::<StatusAddress>("udp:80"),
        "'udp:80' is not TCP, and a browser needs that: write it as in 127.0.0.1:8081"
    );
    assert_eq!(
        sentence::<CaptureFilter>("x"),
        "'x' does not choose connections: write all, or conditions with commas between them, such as \
         rule=web,client=10.0.0.0/8,target=10.0.0.5:80"
    );
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
            let _ = text.parse::<Period>();
            let _ = text.parse::<Rate>();
            let _ = text.parse::<Count>();
            let _ = text.parse::<Net>();
            let _ = text.parse::<Expect>();
            let _ = text.parse::<StatusAddress>();
            let _ = text.parse::<CaptureFilter>();
            let _ = text.parse::<OrNone<Rate>>();
        }
    }

    #[test]
    fn every_byte_can_be_expected(bytes in prop::collection::vec(any::<u8>(), 1..64)) {
        let text: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        prop_assert_eq!(text.parse(), Ok(Expect(bytes)));
    }
}
