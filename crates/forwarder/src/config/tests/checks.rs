use std::time::Duration;

use crate::config::target::Route;
use crate::config::validate::check;
use crate::config::{Balance, CaptureFilter, Config, ProxyVersion, Rule, Status, UnixOwner};

type Change = fn(&mut Rule);

/// The rule, if it is about one, and the option.
type Place = (Option<usize>, &'static str);

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
    let found = check(&config);
    assert!(found.iter().all(|diagnostic| diagnostic.rule == Some(0)), "{found:?}");
    found.into_iter().map(|diagnostic| (diagnostic.key, diagnostic.message)).collect()
}

/// What is wrong with a process, once it was changed.
fn of_process(change: impl Fn(&mut Config)) -> Vec<(Place, String)> {
    let mut config = config(&["80=a:1", "81=b:1"]);
    change(&mut config);
    let found = check(&config).into_iter();
    found.map(|found| ((found.rule, found.key), found.message)).collect()
}

#[test]
fn rules_with_nothing_but_addresses_are_well() {
    let routes = ["80=a:1", "81=a:1,a:2*0", "udp:80=a:1", "unix:/x=a:1", "[::1]:80=unix:/y"];
    assert_eq!(check(&config(&routes)), []);
}

#[test]
fn a_check_ends_before_the_next() {
    let with = |every, timeout| {
        of_rule("80=a:1", move |rule| {
            rule.check_every = Some(Some(Duration::from_millis(every)));
            rule.check_timeout = Some(Duration::from_millis(timeout));
        })
    };
    assert_eq!(with(100, 100), []);
    let late = "a check has to end before the next begins: write at most check_every";
    assert_eq!(with(100, 101), [("check_timeout", late.to_owned())]);
}

#[test]
fn only_a_unix_socket_has_permissions_and_an_owner() {
    let message = "only a Unix socket has permissions and an owner: remove this for rules that listen on a port";
    let cases: [(&str, Change); 2] = [
        ("unix_mode", |rule| rule.unix_mode = Some(0o660)),
        ("unix_owner", |rule| {
            rule.unix_owner = Some(UnixOwner { user: Some("www".to_owned()), group: None });
        }),
    ];
    for (key, change) in cases {
        assert_eq!(of_rule("80=a:1", change), [(key, message.to_owned())]);
        assert_eq!(of_rule("udp:80=a:1", change), [(key, message.to_owned())]);
        assert_eq!(of_rule("unix:/x=a:1", change), []);
    }
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
    let proxy = "the PROXY protocol is for connections: omit it for UDP rules";
    let check =
        "a UDP target accepts no connection that could be checked: omit checks for UDP rules";
    let unix = "datagrams cannot be forwarded to a Unix socket: write a host and a port";
    let cases: [(&str, &str, Change); 4] = [
        ("proxy_send", proxy, |rule| rule.proxy_send = Some(ProxyVersion::V2)),
        ("proxy_accept_from", proxy, |rule| {
            rule.proxy_accept_from = vec!["10.0.0.0/8".parse().unwrap()];
        }),
        ("check_every", check, |rule| rule.check_every = Some(Some(Duration::from_secs(5)))),
        ("check_expect", check, |rule| {
            rule.check_expect = Some(b"x".to_vec());
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
    let sentence =
        "clients of a Unix socket have no address: omit this for rules that listen on one";
    let cases: [(&str, Change); 5] = [
        ("allow", |rule| rule.allow = vec!["::/0".parse().unwrap()]),
        ("deny", |rule| rule.deny = vec!["::/0".parse().unwrap()]),
        ("proxy_accept_from", |rule| {
            rule.proxy_accept_from = vec!["::/0".parse().unwrap()];
        }),
        ("max_connections_per_client", |rule| {
            rule.max_connections_per_client = Some(1);
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
    let sentence = "an earlier rule is called 'web' as well: choose another name";
    assert_eq!(twice, [((Some(1), "name"), sentence.to_owned())]);

    let twice = of_process(|config| config.rules[1].listen = "*:80".parse().unwrap());
    let sentence = "[::]:80 is taken by rule '127.0.0.1:80', which listens on 127.0.0.1:80: choose another \
                    address or port";
    assert_eq!(twice, [((Some(1), "listen"), sentence.to_owned())]);

    let twice = of_process(|config| config.rules[1] = rule("80=b:1"));
    let sentence = "127.0.0.1:80 is taken by rule '127.0.0.1:80': choose another address or port";
    assert_eq!(twice, [((Some(1), "listen"), sentence.to_owned())]);
}

#[test]
fn a_status_page_for_other_machines_needs_a_token_or_to_be_public() {
    let with = |listen: &str, token: Option<&str>, public| {
        let listen = listen.parse().unwrap();
        of_process(|config| {
            config.status = Some(Status { listen, token: token.map(str::to_owned), public });
        })
    };
    let place = (None, "status.listen");
    let sentence = "0.0.0.0:8081 can be reached from other machines, and the page has no token: listen on \
                    127.0.0.1, set a token file, or make the page public";
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
    let none = "there is no rule: add a [[rule]] with listen and targets";
    assert_eq!(of_process(|config| config.rules.clear()), [((None, "rule"), none.to_owned())]);
    let socket = "this is no path for a Unix socket: write one of 1 to 107 bytes";
    for path in [String::new(), "x".repeat(108)] {
        let found = of_process(|config| config.handover = Some(path.clone().into()));
        assert_eq!(found, [((None, "handover"), socket.to_owned())]);
    }
}

#[test]
fn a_capture_filter_has_to_be_able_to_choose_something() {
    let with = |filter: &str| {
        let filter: CaptureFilter = filter.parse().unwrap();
        of_process(|config| config.capture.hexdump = Some(filter.clone()))
    };
    let place = (None, "capture.hexdump");
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
        config.handover = Some("".into());
        config.rules[0].unix_mode = Some(0o600);
        config.rules[1].targets = vec!["localhost:81".parse().unwrap()];
    });
    assert_eq!(found.len(), 3, "{found:?}");
}
