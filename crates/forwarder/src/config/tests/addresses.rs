use proptest::prelude::*;

use crate::config::target::Route;
use crate::config::{Endpoint, Listen, Target};

fn listen(text: &str) -> String {
    text.parse::<Listen>()
        .map_or_else(|error| format!("error: {error}"), |listen| listen.to_string())
}

fn target(text: &str) -> String {
    text.parse::<Target>()
        .map_or_else(|error| format!("error: {error}"), |target| target.to_string())
}

#[test]
fn short_forms_of_listening_addresses_mean_this() {
    for (text, meaning) in [
        ("8080", "127.0.0.1:8080"),
        (":8080", "127.0.0.1:8080"),
        ("localhost:8080", "127.0.0.1:8080"),
        ("LocalHost:8080", "127.0.0.1:8080"),
        ("0", "127.0.0.1:0"),
        ("10.0.0.5:80", "10.0.0.5:80"),
        ("0.0.0.0:80", "0.0.0.0:80"),
        ("*:80", "[::]:80"),
        ("[::]:80", "[::]:80"),
        ("[::1]:8080", "[::1]:8080"),
        ("[0:0::1]:8080", "[::1]:8080"),
        ("[fe80::1%2]:80", "[fe80::1%2]:80"),
        ("udp:5353", "udp:127.0.0.1:5353"),
        ("udp:*:53", "udp:[::]:53"),
        ("udp:127.0.0.1:53", "udp:127.0.0.1:53"),
        ("unix:/run/x.sock", "unix:/run/x.sock"),
        ("unix:run/a b=c.sock", "unix:run/a b=c.sock"),
    ] {
        assert_eq!(listen(text), meaning, "{text}");
    }
}

#[test]
fn short_forms_of_targets_mean_this() {
    for (text, meaning) in [
        ("80", "127.0.0.1:80"),
        (":80", "127.0.0.1:80"),
        ("10.0.0.5:80", "10.0.0.5:80"),
        ("10.0.0.5:80*1", "10.0.0.5:80"),
        ("10.0.0.5:80*3", "10.0.0.5:80*3"),
        ("10.0.0.5:80*0", "10.0.0.5:80*0"),
        ("example.com:80", "example.com:80"),
        ("my_host-1.example.com.:80", "my_host-1.example.com.:80"),
        ("[::1]:80*2", "[::1]:80*2"),
        ("[fe80::1%2]:80", "[fe80::1%2]:80"),
        ("unix:/run/x.sock", "unix:/run/x.sock"),
        ("unix:/run/x.sock*5", "unix:/run/x.sock*5"),
        ("unix:/run/x*y", "unix:/run/x*y"),
        ("unix:/run/x*3*1", "unix:/run/x*3*1"),
    ] {
        assert_eq!(target(text), meaning, "{text}");
    }
}

#[test]
fn a_wrong_listening_address_is_answered_with_one_sentence() {
    let long = format!("unix:/{}", "x".repeat(107));
    for (text, sentence) in [
        ("", "'' is empty: write an address such as 10.0.0.5:80"),
        (
            "web1:80",
            "'web1:80' is not an address to listen on: write an IP address of this machine such as 127.0.0.1:80, or *:80 for all of them",
        ),
        ("127.0.0.1", "'127.0.0.1' has no port: write '127.0.0.1:80'"),
        ("127.0.0.1:", "'' in '127.0.0.1:' is not a port: write a number from 0 to 65535"),
        ("65536", "'65536' in '65536' is not a port: write a number from 0 to 65535"),
        ("127.0.0.1:+80", "'+80' in '127.0.0.1:+80' is not a port: write a number from 0 to 65535"),
        ("a::b:c:80", "'a::b:c:80' is an IPv6 address without brackets: write '[a::b:c]:80'"),
        (
            "a:b:80",
            "'a:b:80' has too many colons: write an IPv6 address in brackets, such as [::1]:8080",
        ),
        ("[::1]", "'[::1]' has no port: write it as in [::1]:8080"),
        (
            "[web1]:80",
            "'[web1]:80' has no IPv6 address in its brackets: write it as in [::1]:80, and an interface by its number, as in [fe80::1%2]:80",
        ),
        ("http://127.0.0.1:80/", "'http://127.0.0.1:80/' is a URL: write '127.0.0.1:80'"),
        ("unix:", "'unix:' has no path: write it as in unix:/run/x.sock"),
        (
            "unix:@x",
            "'unix:@x' is an abstract socket, which is not supported: write a path as in unix:/run/x.sock",
        ),
        ("unix:/x\0", r"'unix:/x\0' contains a zero byte: write a path as in unix:/run/x.sock"),
        (&long, &format!("'{long}' has a path of 108 bytes: choose one of at most 107")),
    ] {
        assert_eq!(listen(text), format!("error: {sentence}"));
    }
}

#[test]
fn a_wrong_target_is_answered_with_one_sentence() {
    for (text, sentence) in [
        ("10.0.0.5", "'10.0.0.5' has no port: write '10.0.0.5:80'"),
        (
            "10.0.0.5:0",
            "'10.0.0.5:0' has port 0, which nothing can connect to: write a port from 1 to 65535",
        ),
        (
            "*:80",
            "'*:80' means every address, and a connection goes to one: write 127.0.0.1:80 for this machine",
        ),
        (
            "0.0.0.0:80",
            "'0.0.0.0:80' means every address, and a connection goes to one: write 127.0.0.1:80 for this machine",
        ),
        (
            "[::]:80",
            "'[::]:80' means every address, and a connection goes to one: write 127.0.0.1:80 for this machine",
        ),
        (
            "udp:10.0.0.5:53",
            "'udp:10.0.0.5:53' names a protocol, and only a listening address has one: write '10.0.0.5:53'",
        ),
        (
            "10.0.0.5:80*x",
            "'x' in '10.0.0.5:80*x' is not a weight: write a number from 0 to 1000 after the *",
        ),
        (
            "10.0.0.5:80*",
            "'' in '10.0.0.5:80*' is not a weight: write a number from 0 to 1000 after the *",
        ),
        (
            "10.0.0.5:80*1001",
            "'1001' in '10.0.0.5:80*1001' is not a weight: write a number from 0 to 1000 after the *",
        ),
        (
            "127.1:80",
            "'127.1' in '127.1:80' is not a host: write an IPv4 address as four numbers from 0 to 255, such as 10.0.0.5",
        ),
        (
            "0x7f000001:80",
            "'0x7f000001' in '0x7f000001:80' is not a host: write an IPv4 address as four numbers from 0 to 255, such as 10.0.0.5",
        ),
        (
            "10.0.0.256:80",
            "'10.0.0.256' in '10.0.0.256:80' is not a host: write an IPv4 address as four numbers from 0 to 255, such as 10.0.0.5",
        ),
        (
            "a b:80",
            "'a b' in 'a b:80' is not a host: write a name such as example.com or an address such as 10.0.0.5",
        ),
        (
            "a..b:80",
            "'a..b' in 'a..b:80' is not a host: write a name such as example.com or an address such as 10.0.0.5",
        ),
        (
            "bücher.example:80",
            "'bücher.example' in 'bücher.example:80' is not a host: write the name in its ASCII form, which begins with xn--",
        ),
        ("http://example.com", "'http://example.com' is a URL: write 'example.com:80'"),
    ] {
        assert_eq!(target(text), format!("error: {sentence}"));
    }
}

#[test]
fn the_notation_of_other_programs_is_answered_with_a_suggestion_that_works() {
    for (text, suggestion) in [
        ("8000-8010", "8000"),
        ("*:8000-8010", "*:8000"),
        ("udp:8000-8010", "udp:8000"),
        ("127.0.0.1:80-90", "127.0.0.1:80"),
        ("17001/udp", "udp:17001"),
        ("10.0.0.5:53/udp", "udp:10.0.0.5:53"),
        ("80/tcp", "80"),
        ("tcp:0.0.0.0:80", "0.0.0.0:80"),
        ("tcp://0.0.0.0:80", "0.0.0.0:80"),
        ("udp://[::1]:53", "udp:[::1]:53"),
        ("https://127.0.0.1/", "127.0.0.1:443"),
        ("/run/x.sock", "unix:/run/x.sock"),
        ("::1:80", "[::1]:80"),
    ] {
        let answer = listen(text);
        assert!(answer.ends_with(&format!(": write '{suggestion}'")), "{text}: {answer}");
        assert!(suggestion.parse::<Listen>().is_ok(), "{suggestion}");
    }
    for (text, suggestion) in [
        ("tcp:db.example:5432", "db.example:5432"),
        ("udp:10.0.0.5:53", "10.0.0.5:53"),
        ("10.0.0.5:53/udp", "10.0.0.5:53"),
        ("10.0.0.5:80-90*3", "10.0.0.5:80"),
        ("http://example.com/path", "example.com:80"),
        ("/run/x.sock", "unix:/run/x.sock"),
        ("2001:db8::1:443", "[2001:db8::1]:443"),
    ] {
        let answer = target(text);
        assert!(answer.ends_with(&format!(": write '{suggestion}'")), "{text}: {answer}");
        assert!(suggestion.parse::<Target>().is_ok(), "{suggestion}");
    }
}

#[test]
fn hosts_without_a_port_are_taken_as_the_classic_options_give_them() {
    assert_eq!(Endpoint::host("::1", 80), Ok(Endpoint::Host("::1".into(), 80)));
    assert_eq!(Endpoint::host("[::1]", 80), Ok(Endpoint::Host("::1".into(), 80)));
    assert_eq!(Endpoint::host("example.com", 80), Ok(Endpoint::Host("example.com".into(), 80)));
    assert!(Endpoint::host("", 80).is_err());
    assert!(Endpoint::host("example.com:81", 80).is_err());
    assert_eq!(Listen::tcp("*", 80).map(|l| l.to_string()), Ok("[::]:80".into()));
    assert_eq!(Listen::tcp("[::1]", 80).map(|l| l.to_string()), Ok("[::1]:80".into()));
    assert!(Listen::tcp("", 80).is_err());
}

#[test]
fn a_rule_is_cut_at_its_first_equals_sign_and_its_commas() {
    let route: Route = "*:80 = a:1, 10.0.0.5:80*3,unix:/x=y".parse().unwrap();
    assert_eq!(route.to_string(), "[::]:80=a:1,10.0.0.5:80*3,unix:/x=y");
    for (text, sentence) in [
        ("8080", "'8080' has no '=': write LISTEN=TARGET, such as 8080=10.0.0.5:80"),
        (
            "8080= ",
            "'8080= ' has nothing after its '=': write LISTEN=TARGET, such as 8080=10.0.0.5:80",
        ),
        (
            "=a:1",
            "'=a:1' has nothing before its '=': write LISTEN=TARGET, such as 8080=10.0.0.5:80",
        ),
        ("8080=a:1,", "'' is empty: write an address such as 10.0.0.5:80"),
    ] {
        assert_eq!(text.parse::<Route>().unwrap_err().to_string(), sentence);
    }
}

/// Texts that are nearly addresses.
fn nearly() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "unix:",
        "udp:",
        "127.0.0.1",
        "[",
        "]",
        "::1",
        ":",
        "80",
        "*",
        "*3",
        "a",
        "b.c",
        ",",
        "=",
        "/x",
        "%2",
        "0",
        "é",
        " ",
        "://",
        "localhost",
        "-",
        ".",
        "tcp:",
        "/udp",
    ]);
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_makes_the_parsers_panic(text in any::<String>(), near in nearly()) {
        for text in [text, near] {
            let _ = text.parse::<Listen>();
            let _ = text.parse::<Target>();
            let _ = text.parse::<Route>();
            let _ = Listen::tcp(&text, 80);
            let _ = Endpoint::host(&text, 80);
        }
    }

    #[test]
    fn what_was_parsed_is_written_so_that_it_is_parsed_again(text in nearly(), path in "[ -~]{1,20}", weight in 0u32..=1000) {
        for text in [text, format!("unix:{path}"), format!("unix:{path}*{weight}"), format!("a:1*{weight}")] {
            if let Ok(listen) = text.parse::<Listen>() {
                prop_assert_eq!(listen.to_string().parse(), Ok(listen));
            }
            if let Ok(endpoint) = text.parse::<Endpoint>() {
                prop_assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
            }
            if let Ok(target) = text.parse::<Target>() {
                prop_assert_eq!(target.to_string().parse(), Ok(target));
            }
        }
    }

    #[test]
    fn every_socket_address_is_a_listening_address(address in any::<std::net::SocketAddr>()) {
        prop_assert_eq!(address.to_string().parse(), Ok(Listen::Tcp(without_flow(address))));
        prop_assert_eq!(format!("udp:{address}").parse(), Ok(Listen::Udp(without_flow(address))));
    }
}

/// The flow label has no place in the notation.
fn without_flow(mut address: std::net::SocketAddr) -> std::net::SocketAddr {
    if let std::net::SocketAddr::V6(v6) = &mut address {
        v6.set_flowinfo(0);
    }
    address
}
