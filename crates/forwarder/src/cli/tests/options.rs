//! Each option that changes the configuration, with what it changes, on the command line and in a
//! file.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use clap::CommandFactory;

use crate::cli::args::Args;
use crate::config::file::File;
use crate::config::{Balance, Config, LogFormat, LogLevel, ProxyVersion, Status};

use super::run;

struct Case {
    option: &'static str,
    value: &'static str,
    /// The table in a file, and the key there.
    key: (&'static str, &'static str),
    change: fn(&mut Config),
}

const fn case(
    option: &'static str,
    value: &'static str,
    key: (&'static str, &'static str),
    change: fn(&mut Config),
) -> Case {
    Case { option, value, key, change }
}

const CASES: &[Case] = &[
    case("workers", "3", ("", "workers"), |c| c.workers = 3),
    case("drain", "7s", ("", "drain"), |c| c.drain = Duration::from_secs(7)),
    case("max-connections-total", "7", ("", "max_connections_total"), |c| c.max_connections = 7),
    case("handover", "/run/h", ("", "handover"), |c| c.handover = Some("/run/h".into())),
    case("pid-file", "/run/p", ("", "pid_file"), |c| c.pid_file = Some("/run/p".into())),
    case("user", "nobody", ("", "user"), |c| c.user = Some("nobody".into())),
    case("group", "65534", ("", "group"), |c| c.group = Some("65534".into())),
    case("chroot", "/var/empty", ("", "chroot"), |c| c.chroot = Some("/var/empty".into())),
    case("log-file", "/x.log", ("log", "file"), |c| c.log.file = Some("/x.log".into())),
    case("status", "8081", ("status", "listen"), |c| {
        c.status =
            Some(Status { listen: ([127, 0, 0, 1], 8081).into(), token: None, public: false });
    }),
    case("log-format", "json", ("log", "format"), |c| c.log.format = LogFormat::Json),
    case("log-level", "debug", ("log", "level"), |c| c.log.level = LogLevel::Debug),
    case("hexdump", "client=10.0.0.0/8", ("capture", "hexdump"), |c| {
        c.capture.hexdump = "client=10.0.0.0/8".parse().ok();
    }),
    case("pcapng", "/x.pcapng", ("capture", "pcapng"), |c| {
        c.capture.pcapng = Some("/x.pcapng".into());
    }),
    case("capture-max", "7KiB", ("capture", "capture_max"), |c| c.capture.capture_max = Some(7168)),
    case("balance", "first", ("rule", "balance"), |c| c.rules[0].balance = Balance::First),
    case("resolve-every", "7s", ("rule", "resolve_every"), |c| {
        c.rules[0].resolve_every = Duration::from_secs(7);
    }),
    case("check-every", "1500ms", ("rule", "check_every"), |c| {
        let time = Duration::from_millis(1500);
        c.rules[0].check_every = Some(Some(time));
    }),
    case("check-timeout", "1s", ("rule", "check_timeout"), |c| {
        c.rules[0].check_timeout = Some(Duration::from_secs(1));
    }),
    case("check-expect", "220 \\\\r", ("rule", "check_expect"), |c| {
        c.rules[0].check_expect = Some(b"220 \\r".to_vec());
    }),
    case("connect-timeout", "7s", ("rule", "connect_timeout"), |c| {
        c.rules[0].connect_timeout = Duration::from_secs(7);
    }),
    case("idle-timeout", "none", ("rule", "idle_timeout"), |c| c.rules[0].idle_timeout = None),
    case("lifetime", "7s", ("rule", "lifetime"), |c| {
        c.rules[0].lifetime = Some(Duration::from_secs(7));
    }),
    case("send-timeout", "7s", ("rule", "send_timeout"), |c| {
        c.rules[0].send_timeout = Some(Duration::from_secs(7));
    }),
    case("user-timeout", "7s", ("rule", "user_timeout"), |c| {
        c.rules[0].user_timeout = Some(Duration::from_secs(7));
    }),
    case("keepalive", "none", ("rule", "keepalive"), |c| c.rules[0].keepalive = None),
    case("udp-session", "7s", ("rule", "udp_session"), |c| {
        c.rules[0].udp_session = Duration::from_secs(7);
    }),
    case("max-connections", "7", ("rule", "max_connections"), |c| {
        c.rules[0].max_connections = 7;
    }),
    case("max-connections-per-client", "7", ("rule", "max_connections_per_client"), |c| {
        c.rules[0].max_connections_per_client = Some(7);
    }),
    case("ipv6-client-prefix", "56", ("rule", "ipv6_client_prefix"), |c| {
        c.rules[0].ipv6_client_prefix = 56;
    }),
    case("connections-per-second", "7", ("rule", "connections_per_second"), |c| {
        c.rules[0].connections_per_second = Some(7);
    }),
    case("rate", "7KiB", ("rule", "rate"), |c| c.rules[0].rate = Some(7168)),
    case("rate-per-connection", "7kB", ("rule", "rate_per_connection"), |c| {
        c.rules[0].rate_per_connection = Some(7000);
    }),
    case("backlog", "7", ("rule", "backlog"), |c| c.rules[0].backlog = 7),
    case("allow", "10.0.0.0/8", ("rule", "allow"), |c| {
        c.rules[0].allow = vec!["10.0.0.0/8".parse().unwrap()];
    }),
    case("deny", "10.0.0.1", ("rule", "deny"), |c| {
        c.rules[0].deny = vec!["10.0.0.1/32".parse().unwrap()];
    }),
    case("proxy-accept-from", "fd00::/8", ("rule", "proxy_accept_from"), |c| {
        c.rules[0].proxy_accept_from = vec!["fd00::/8".parse().unwrap()];
    }),
    case("proxy-send", "v2", ("rule", "proxy_send"), |c| {
        c.rules[0].proxy_send = Some(ProxyVersion::V2);
    }),
];

/// Those with a test of their own.
const ELSEWHERE: &[&str] = &[
    "rule",
    "config",
    "check",
    "local-ip",
    "local-port",
    "remote-ip",
    "remote-port",
    "status-token-file",
    "status-public",
    "reload-on-change",
    "unix-mode",
    "unix-owner",
    "pcapng-filter",
    "help",
    "version",
];

#[test]
fn each_option_changes_what_it_names_and_nothing_else() {
    for Case { option, value, change, .. } in CASES {
        let mut expected = run(&["80", "a:1"]);
        change(&mut expected);
        assert_eq!(run(&["80", "a:1", &format!("--{option}"), value]), expected, "{option}");
        assert_eq!(run(&[&format!("--{option}={value}"), "80", "a:1"]), expected, "{option}");
    }
}

#[test]
fn each_key_of_a_file_does_what_its_option_does() {
    for Case { option, value, key: (table, key), change } in CASES {
        let mut expected = run(&["80", "a:1"]);
        change(&mut expected);
        let is_list = ["allow", "deny", "proxy_accept_from"].contains(key);
        let value = if is_list { format!("['{value}']") } else { format!("'{value}'") };
        let rule = "[[rule]]\nlisten = '80'\ntargets = ['a:1']\n";
        let mut texts = match *table {
            "" => vec![format!("{key} = {value}\n{rule}")],
            "rule" => vec![
                format!("{rule}{key} = {value}\n"),
                format!("[defaults]\n{key} = {value}\n{rule}"),
            ],
            table => vec![format!("[{table}]\n{key} = {value}\n{rule}")],
        };
        for text in texts.drain(..) {
            let file = File::parse(Path::new("x.toml"), text).unwrap();
            let mut config = Config { rules: file.options.rule, ..file.options.config };
            config.status = file.options.status.status(None).unwrap();
            assert_eq!(config, expected, "{option}");
        }
    }
}

#[test]
fn each_option_has_a_test() {
    let tested: BTreeSet<&str> =
        CASES.iter().map(|case| case.option).chain(ELSEWHERE.iter().copied()).collect();
    let mut command = Args::command();
    command.build();
    let known: BTreeSet<&str> =
        command.get_arguments().filter_map(|option| option.get_long()).collect();
    assert_eq!(known, tested);
}

/// Most defaults are values in the table of options. These depend on other options, and are in words.
#[test]
fn a_default_in_words_is_the_one_that_applies() {
    let check = |arguments: &[&str]| run(&[&["80", "a:1"], arguments].concat()).rules[0].check();
    let stated = |option: &str| {
        let command = Args::command();
        let option = command.get_arguments().find(|it| it.get_long() == Some(option)).unwrap();
        let help = option.get_help().unwrap().to_string();
        help.split_once("[default: ").unwrap().1.trim_end_matches(']').to_owned()
    };
    assert_eq!(check(&[]), None);
    assert_eq!(stated("check-every"), "none");
    let with = |timeout: &str| check(&["--check-every", "5s", "--check-timeout", timeout]);
    assert_eq!(check(&["--check-every", "5s"]), with(&stated("check-timeout")));
    let by_timeout = check(&["--check-timeout", "2s"]).unwrap();
    assert_eq!(by_timeout.every, Duration::from_secs(5));
    assert_eq!(check(&["--check-expect", "220"]).unwrap().every, by_timeout.every);
}

#[test]
fn networks_may_be_repeated_or_separated_by_commas() {
    let apart = run(&["80", "a:1", "--allow", "10.0.0.0/8", "--allow", "::1"]);
    let together = run(&["80", "a:1", "--allow", "10.0.0.0/8,::1"]);
    assert_eq!(apart.rules[0].allow.len(), 2);
    assert_eq!(apart, together);
}

#[test]
fn a_check_is_no_longer_than_the_time_to_the_next() {
    let timeout = |arguments: &[&str]| {
        run(&[&["80", "a:1"], arguments].concat()).rules[0].check().unwrap().timeout
    };
    assert_eq!(timeout(&["--check-every", "5s"]), Duration::from_secs(2));
    assert_eq!(timeout(&["--check-every", "1s"]), Duration::from_secs(1));
    assert_eq!(
        run(&["80", "a:1", "--check-every", "none", "--check-timeout", "1s"]).rules[0].check(),
        None
    );
}

#[test]
fn zero_workers_are_one_for_each_core() {
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(run(&["80", "a:1", "--workers", "0"]).workers, cores);
}

#[test]
fn the_capture_file_has_a_filter_of_its_own() {
    let config = run(&["80", "a:1", "--pcapng", "/x", "--pcapng-filter", "target=a:1"]);
    assert_eq!(config.capture.pcapng_filter, "target=a:1".parse().unwrap());
    assert_eq!(config.capture.hexdump, None);
}

#[test]
fn a_unix_listener_has_a_mode_and_an_owner() {
    let rule = |arguments: &[&str]| run(&[&["unix:/x", "a:1"], arguments].concat()).rules.remove(0);
    assert_eq!(rule(&["--unix-mode", "0660"]).unix_mode, Some(0o660));
    for (text, user, group) in [
        ("www:adm", Some("www"), Some("adm")),
        ("www", Some("www"), None),
        (":adm", None, Some("adm")),
    ] {
        let owner = rule(&["--unix-owner", text]).unix_owner.unwrap();
        assert_eq!((owner.user.as_deref(), owner.group.as_deref()), (user, group));
    }
    assert!(run(&["80", "a:1", "--reload-on-change"]).reload_on_change);
}
