use std::time::Duration;

use crate::config::capture::CaptureFilter;
use crate::config::check::check;
use crate::config::model::{Balance, Check, Config, ProxyVersion, Rule, Status};
use crate::config::problem::Place;
use crate::config::rule::Route;

type Change = fn(&mut Rule);

fn rule(route: &str) -> Rule {
    let Route { listen, targets } = route.parse().unwrap();
    Rule::new(listen, targets)
}

fn config(routes: &[&str]) -> Config {
    Config { rules: routes.iter().map(|route| rule(route)).collect(), ..Config::default() }
}

/// What is wrong with the rule of `route`, once it was changed.
fn of_rule(route: &str, change: impl Fn(&mut Rule)) -> Vec<(&'static str, String)> {
    let mut config = config(&[route]);
    change(&mut config.rules[0]);
    let key = |place| match place {
        Place::Rule(0, key, _) => key,
        other => panic!("{other:?}"),
    };
    check(&config).into_iter().map(|problem| (key(problem.place), problem.sentence)).collect()
}

/// What is wrong with a process, once it was changed.
fn of_process(change: impl Fn(&mut Config)) -> Vec<(Place, String)> {
    let mut config = config(&["80=a:1", "81=b:1"]);
    change(&mut config);
    check(&config).into_iter().map(|problem| (problem.place, problem.sentence)).collect()
}

#[test]
fn rules_with_nothing_but_addresses_are_well() {
    let routes = ["80=a:1", "81=a:1,a:2*0", "udp:80=a:1", "unix:/x=a:1", "[::1]:80=unix:/y"];
    assert_eq!(check(&config(&routes)), []);
}

#[test]
fn a_limit_of_zero_is_refused() {
    let nobody = "0 would let nobody in: write a number from 1 on";
    let nothing = "0 would let nothing through: write a number from 1 on, or none for no limit";
    let bits = "an IPv6 address has 128 bits: write a number from 1 to 128";
    let cases: [(&str, &str, Change); 8] = [
        ("ipv6_client_prefix", bits, |rule| rule.limits.ipv6_client_prefix = 0),
        ("ipv6_client_prefix", bits, |rule| rule.limits.ipv6_client_prefix = 129),
        ("max_connections", nobody, |rule| rule.limits.max_connections = 0),
        ("backlog", nobody, |rule| rule.backlog = 0),
        ("max_connections_per_client", nothing, |rule| {
            rule.limits.max_connections_per_client = Some(0);
        }),
        ("connections_per_second", nothing, |rule| rule.limits.connections_per_second = Some(0)),
        ("rate", nothing, |rule| rule.limits.bytes_per_second = Some(0)),
        ("rate_per_connection", nothing, |rule| {
            rule.limits.bytes_per_second_per_connection = Some(0);
        }),
    ];
    for (key, sentence, change) in cases {
        assert_eq!(of_rule("80=a:1", change), [(key, sentence.to_owned())]);
    }
}

#[test]
fn a_time_that_makes_no_sense_is_refused() {
    let at_once = "0 would end everything at once: write a longer time";
    let or_none = "0 would end everything at once: write a longer time, or none for no limit";
    let keepalive = "TCP asks after 1s at the earliest and 32767s (9h 6m) at the latest: write a time between, or none";
    let resolve = "names are looked up once a second at most: write at least 1s";
    let user =
        "TCP counts this time up to 24d 20h: write a shorter time, or none for the system's limit";
    let cases: [(&str, &str, Change); 10] = [
        ("connect_timeout", at_once, |rule| rule.timeouts.connect = Duration::ZERO),
        ("idle_timeout", or_none, |rule| rule.timeouts.idle = Some(Duration::ZERO)),
        ("lifetime", or_none, |rule| rule.timeouts.lifetime = Some(Duration::ZERO)),
        ("send_timeout", or_none, |rule| rule.timeouts.send = Some(Duration::ZERO)),
        ("user_timeout", or_none, |rule| rule.timeouts.tcp_user = Some(Duration::ZERO)),
        ("user_timeout", user, |rule| {
            rule.timeouts.tcp_user = Some(Duration::from_secs(2_147_484))
        }),
        ("udp_session", at_once, |rule| rule.timeouts.udp_session = Duration::ZERO),
        ("keepalive", keepalive, |rule| rule.keepalive = Some(Duration::from_millis(999))),
        ("keepalive", keepalive, |rule| rule.keepalive = Some(Duration::from_secs(32_768))),
        ("resolve_every", resolve, |rule| rule.resolve_every = Duration::from_millis(999)),
    ];
    for (key, sentence, change) in cases {
        assert_eq!(of_rule("80=a:1", change), [(key, sentence.to_owned())]);
    }
}

#[test]
fn checks_end_before_the_next_and_are_not_too_frequent() {
    let with = |every, timeout| {
        let check = Check {
            every: Duration::from_millis(every),
            timeout: Duration::from_millis(timeout),
            expect: None,
        };
        of_rule("80=a:1", move |rule| rule.check = Some(check.clone()))
    };
    assert_eq!(with(100, 100), []);
    let often = "a target is asked ten times a second at most: write at least 100ms";
    assert_eq!(with(99, 99), [("check_every", often.to_owned())]);
    let late = "a check has to end before the next begins: write no more than `check_every`";
    assert_eq!(with(100, 101), [("check_timeout", late.to_owned())]);
    let zero = "0 would end everything at once: write a longer time";
    assert_eq!(with(100, 0), [("check_timeout", zero.to_owned())]);
}

#[test]
fn targets_are_there_once_each_and_one_has_a_weight() {
    let none = "there are no targets: write at least one, such as \"10.0.0.5:80\"";
    assert_eq!(of_rule("80=a:1", |rule| rule.targets.clear()), [("targets", none.to_owned())]);
    let weightless = "every target has weight 0, so that none would get a connection: give one of them at least 1";
    assert_eq!(of_rule("80=a:1*0,b:1*0", |_| {}), [("targets", weightless.to_owned())]);
    let twice = "'a:1' is a target of this rule already: give it a weight instead, as in a:1*2";
    assert_eq!(of_rule("80=a:1,b:1,a:1*2", |_| {}), [("targets", twice.to_owned())]);
}

#[test]
fn datagrams_have_no_checks_and_no_proxy_protocol() {
    let proxy = "the PROXY protocol is for connections: leave it away for UDP rules";
    let check =
        "a UDP target accepts no connection that could be checked: leave checks away for UDP rules";
    let unix = "datagrams cannot be forwarded to a Unix socket: write a host and a port";
    let cases: [(&str, &str, Change); 4] = [
        ("proxy_send", proxy, |rule| rule.proxy_protocol.send = Some(ProxyVersion::V2)),
        ("proxy_accept_from", proxy, |rule| {
            rule.proxy_protocol.accept_from = vec!["10.0.0.0/8".parse().unwrap()];
        }),
        ("check_every", check, |rule| rule.check = Some(Check::default())),
        ("check_expect", check, |rule| {
            rule.check = Some(Check { expect: Some(b"x".to_vec()), ..Check::default() });
        }),
    ];
    for (key, sentence, change) in cases {
        assert_eq!(of_rule("udp:80=a:1", change), [(key, sentence.to_owned())]);
        assert_eq!(of_rule("80=a:1", change), []);
    }
    assert_eq!(of_rule("udp:80=unix:/x", |_| {}), [("targets", unix.to_owned())]);
}

#[test]
fn clients_of_a_unix_socket_are_not_told_apart_by_address() {
    let sentence = "clients of a Unix socket have no address to go by: leave this away for rules that listen on one";
    let cases: [(&str, Change); 5] = [
        ("allow", |rule| rule.access.allow = vec!["::/0".parse().unwrap()]),
        ("deny", |rule| rule.access.deny = vec!["::/0".parse().unwrap()]),
        ("proxy_accept_from", |rule| {
            rule.proxy_protocol.accept_from = vec!["::/0".parse().unwrap()];
        }),
        ("max_connections_per_client", |rule| {
            rule.limits.max_connections_per_client = Some(1);
        }),
        ("balance", |rule| rule.balance = Balance::ClientHash),
    ];
    for (key, change) in cases {
        assert_eq!(of_rule("unix:/x=a:1", change), [(key, sentence.to_owned())]);
        assert_eq!(of_rule("80=a:1", change), []);
    }
}

#[test]
fn a_rules_name_is_short_and_on_one_line() {
    let sentence =
        "this is no name for a rule: write 1 to 100 characters, without control characters";
    for name in ["", "a\nb", &"x".repeat(101)] {
        let found = of_rule("80=a:1", |rule| rule.name = name.to_owned());
        assert_eq!(found, [("name", sentence.to_owned())]);
    }
    let path = format!("unix:/{}=a:1", "x".repeat(106));
    assert_eq!(of_rule(&path, |_| {}), []);
}

#[test]
fn names_and_addresses_are_taken_once() {
    let twice = of_process(|config| {
        config.rules[0].name = "web".to_owned();
        config.rules[1].name = "web".to_owned();
    });
    let sentence = "an earlier rule is called 'web' as well: give this one another name";
    assert_eq!(twice, [(Place::Rule(1, "name", None), sentence.to_owned())]);

    let twice = of_process(|config| config.rules[1].listen = "*:80".parse().unwrap());
    let sentence = "[::]:80 is taken by rule '127.0.0.1:80', which listens on 127.0.0.1:80: choose another \
                    address or port";
    assert_eq!(twice, [(Place::Rule(1, "listen", None), sentence.to_owned())]);

    let twice = of_process(|config| config.rules[1] = rule("80=b:1"));
    let sentence = "127.0.0.1:80 is taken by rule '127.0.0.1:80': choose another address or port";
    assert_eq!(twice, [(Place::Rule(1, "listen", None), sentence.to_owned())]);
}

#[test]
fn a_status_page_for_other_machines_needs_a_token_or_to_be_public() {
    let with = |listen: &str, token: Option<&str>, public| {
        let listen = listen.parse().unwrap();
        of_process(|config| {
            config.status = Some(Status { listen, token: token.map(str::to_owned), public });
        })
    };
    let place = Place::Process("status", "listen");
    let sentence = "0.0.0.0:8081 can be reached from other machines, and the page has no token: listen on \
                    127.0.0.1, give it a token with `token_file`, or say `public` if everybody may look";
    assert_eq!(with("0.0.0.0:8081", None, false), [(place, sentence.to_owned())]);
    assert_eq!(with("192.0.2.1:8081", None, false).len(), 1);
    assert_eq!(with("0.0.0.0:8081", Some("12345678"), false), []);
    assert_eq!(with("0.0.0.0:8081", None, true), []);
    for loopback in ["127.0.0.1:8081", "127.1.2.3:8081", "[::1]:8081"] {
        assert_eq!(with(loopback, None, false), []);
    }
    let taken = "127.0.0.1:80 is taken by rule '127.0.0.1:80': choose another address or port for the \
                 status page";
    assert_eq!(with("127.0.0.1:80", None, false), [(place, taken.to_owned())]);
}

#[test]
fn a_process_that_could_do_nothing_is_refused() {
    let none = "there is no rule: add a [[rule]] with `listen` and `targets`";
    assert_eq!(
        of_process(|config| config.rules.clear()),
        [(Place::Process("", "rule"), none.to_owned())]
    );
    let nobody = "0 would let nobody in: write a number from 1 on";
    assert_eq!(
        of_process(|config| config.max_connections = 0),
        [(Place::Process("", "max_connections_total"), nobody.to_owned())]
    );
    let workers = "so many workers only get in each other's way: write at most 1024";
    assert_eq!(of_process(|config| config.workers = 1024), []);
    assert_eq!(
        of_process(|config| config.workers = 1025),
        [(Place::Process("", "workers"), workers.to_owned())]
    );
    let socket = "this is no path for a Unix socket: write one of 1 to 107 bytes";
    for path in [String::new(), "x".repeat(108)] {
        let found = of_process(|config| config.handover = Some(path.clone().into()));
        assert_eq!(found, [(Place::Process("", "handover"), socket.to_owned())]);
    }
}

#[test]
fn a_capture_filter_has_to_be_able_to_choose_something() {
    let with = |filter: &str| {
        let filter: CaptureFilter = filter.parse().unwrap();
        of_process(|config| config.capture.hexdump = Some(filter.clone()))
    };
    let place = Place::Process("capture", "hexdump");
    assert_eq!(with("all"), []);
    assert_eq!(with("rule=127.0.0.1:80,target=a:1"), []);
    let rule = "there is no rule called 'web': write the name of one, such as '127.0.0.1:80'";
    assert_eq!(with("rule=web"), [(place, rule.to_owned())]);
    let target = "no chosen rule has the target 'b:1': write one as the rule has it";
    assert_eq!(with("rule=127.0.0.1:80,target=b:1"), [(place, target.to_owned())]);
}

#[test]
fn all_problems_are_found_at_once() {
    let found = of_process(|config| {
        config.max_connections = 0;
        config.rules[0].backlog = 0;
        config.rules[1].targets = vec!["localhost:81".parse().unwrap()];
    });
    assert_eq!(found.len(), 3, "{found:?}");
}
