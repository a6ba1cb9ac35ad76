use std::net::IpAddr;

use crate::config::listeners::{self, Listeners};
use crate::config::target::Route;
use crate::config::{Diagnostic, Listen, Rule, arrives_at, loops};

fn rules(routes: &[&str]) -> Vec<Rule> {
    let rule = |route: &&str| {
        let Route { listen, targets } = route.parse().unwrap();
        Rule::new(listen, targets)
    };
    routes.iter().map(rule).collect()
}

/// 192.0.2.1 and 2001:db8::1 are this machine's.
fn is_own(ip: IpAddr) -> bool {
    ["192.0.2.1", "2001:db8::1"].contains(&ip.to_string().as_str())
}

fn problems(routes: &[&str]) -> Vec<Diagnostic> {
    let rules = rules(routes);
    let mut listeners = Listeners::default();
    for (index, rule) in rules.iter().enumerate() {
        listeners.insert(&rule.listen, index);
    }
    loops::check(&rules, &listeners, &is_own)
}

/// The rule and the item of its targets.
fn place(diagnostic: &Diagnostic) -> (Option<usize>, &'static str, Option<usize>) {
    (diagnostic.rule, diagnostic.key, diagnostic.item)
}

#[test]
fn a_rule_that_leads_to_itself_is_found_however_its_address_is_written() {
    for route in [
        "80=127.0.0.1:80",
        "80=localhost:80",
        "80=LOCALHOST.:80",
        "80=a.localhost:80",
        "80=[::ffff:127.0.0.1]:80",
        "[::1]:80=localhost:80",
        "0.0.0.0:80=127.0.0.1:80",
        "0.0.0.0:80=127.9.9.9:80",
        "0.0.0.0:80=192.0.2.1:80",
        "*:80=127.0.0.1:80",
        "*:80=[::1]:80",
        "*:80=[2001:db8::1]:80",
        "[::]:80=192.0.2.1:80",
        "192.0.2.1:80=192.0.2.1:80",
        "[fe80::1%2]:80=[fe80::1%2]:80",
        "udp:53=localhost:53",
        "unix:/run/x=unix:/run/x",
        "unix:/run/x=unix:/run/./x",
        "80=a:1,127.0.0.1:80*0",
    ] {
        assert_eq!(problems(&[route]).len(), 1, "{route}");
    }
}

#[test]
fn a_rule_that_leads_elsewhere_is_no_loop() {
    for route in [
        "80=127.0.0.1:81",
        "80=127.0.0.2:80",
        "80=[::1]:80",
        "[::1]:80=127.0.0.1:80",
        "0.0.0.0:80=[::1]:80",
        "0.0.0.0:80=192.0.2.2:80",
        "*:80=example.com:80",
        "127.0.0.1:80=192.0.2.1:80",
        "unix:/run/x=unix:/run/y",
        "0=127.0.0.1:80",
    ] {
        assert_eq!(problems(&[route]), [], "{route}");
    }
    assert_eq!(problems(&["80=127.0.0.1:81", "81=127.0.0.1:82"]), []);
    assert_eq!(problems(&["udp:80=127.0.0.1:81", "81=127.0.0.1:80"]), []);
}

#[test]
fn a_loop_is_named_once_with_its_way_and_the_target_that_begins_it() {
    let own = problems(&["80=a:1,localhost:80"]).remove(0);
    assert_eq!(place(&own), (Some(0), "targets", Some(1)));
    assert_eq!(
        own.message,
        "'localhost:80' is where this rule itself listens (127.0.0.1:80), so that every connection would \
         make another: choose another target"
    );

    let circle = problems(&["70=a:1", "80=localhost:81", "81=a:1,unix:/x", "unix:/x=127.0.0.1:80"]);
    assert_eq!(circle.len(), 1, "{circle:?}");
    assert_eq!(place(&circle[0]), (Some(1), "targets", Some(0)));
    assert_eq!(
        circle[0].message,
        "'localhost:81' leads back to this rule (127.0.0.1:80) through rules '127.0.0.1:81', 'unix:/x', so \
         that every connection would make another: choose another target"
    );
}

#[test]
fn many_rules_in_one_long_circle_are_followed_to_its_end() {
    let routes: Vec<String> =
        (0..300).map(|i| format!("{}=127.0.0.1:{}", 1000 + i, 1000 + (i + 1) % 300)).collect();
    let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
    let problems = problems(&routes);
    assert_eq!(problems.len(), 1);
    assert_eq!(place(&problems[0]), (Some(0), "targets", Some(0)));
}

#[test]
fn a_loop_begins_at_its_first_rule_and_each_loop_is_found() {
    let found = problems(&[
        "80=127.0.0.1:82",
        "81=127.0.0.1:82",
        "82=127.0.0.1:81",
        "90=127.0.0.1:91",
        "91=127.0.0.1:90",
    ]);
    let starts: Vec<_> = found.iter().map(|diagnostic| diagnostic.rule).collect();
    assert_eq!(starts, [Some(1), Some(3)]);
}

#[test]
fn ten_thousand_rules_in_a_chain_are_followed_without_recursion() {
    let routes: Vec<String> =
        (0..10_000).map(|i| format!("{}=127.0.0.1:{}", 1000 + i, 1001 + i)).collect();
    let mut routes: Vec<&str> = routes.iter().map(String::as_str).collect();
    assert_eq!(problems(&routes), []);
    routes.push("11000=127.0.0.1:1000");
    assert_eq!(problems(&routes).len(), 1);
}

#[test]
fn addresses_that_cannot_be_listened_on_at_once_overlap() {
    for (a, b, expected) in [
        ("80", "127.0.0.1:80", true),
        ("80", "81", false),
        ("80", "udp:80", false),
        ("80", "0.0.0.0:80", true),
        ("80", "*:80", true),
        ("0.0.0.0:80", "[::]:80", true),
        ("[::1]:80", "0.0.0.0:80", false),
        ("[::1]:80", "[::]:80", true),
        ("[::1]:80", "127.0.0.1:80", false),
        ("[::ffff:127.0.0.1]:80", "127.0.0.1:80", true),
        ("[fe80::1%2]:80", "[fe80::1%3]:80", false),
        ("0", "0", false),
        ("unix:/x", "unix:/x", true),
        ("unix:/x", "unix:/y", false),
    ] {
        let (a, b): (Listen, Listen) = (a.parse().unwrap(), b.parse().unwrap());
        let overlap = |a: &Listen, b: &Listen| {
            let mut listeners = Listeners::default();
            listeners.insert(a, 7);
            listeners.overlapping(b) == Some(7)
        };
        assert_eq!(overlap(&a, &b), expected, "{a} {b}");
        assert_eq!(overlap(&b, &a), expected, "{b} {a}");
    }
}

#[test]
fn an_address_that_a_name_turned_out_to_have_is_compared_with_the_listener() {
    let arrives = |address: &str, listen: &str| {
        arrives_at(address.parse().unwrap(), &listen.parse().unwrap())
    };
    assert!(arrives("127.0.0.1:80", "80"));
    assert!(arrives("127.0.0.1:80", "*:80"));
    assert!(arrives("[::1]:80", "udp:*:80"));
    assert!(!arrives("127.0.0.1:81", "*:80"));
    assert!(!arrives("127.0.0.1:80", "unix:/x"));
}

#[test]
fn the_system_knows_this_machine_s_addresses() {
    assert!(listeners::is_own("127.0.0.1".parse().unwrap()));
}
