//! The ways to say what is forwarded.

use crate::cli::Command;
use crate::config::{Config, Endpoint};

use super::{command, run};

/// Each rule as `LISTEN=TARGET,TARGET`.
fn routes(config: &Config) -> Vec<String> {
    let targets = |rule: &crate::config::Rule| {
        rule.targets.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    };
    config.rules.iter().map(|rule| format!("{}={}", rule.listen, targets(rule))).collect()
}

#[test]
fn pairs_are_rules() {
    let config = run(&["8080", "10.0.0.5:80", "[::1]:81", "a:1,b:1*3", "unix:/x", "82"]);
    assert_eq!(
        routes(&config),
        ["127.0.0.1:8080=10.0.0.5:80", "[::1]:81=a:1,b:1*3", "unix:/x=127.0.0.1:82"]
    );
    assert_eq!(config.rules[0].name, "127.0.0.1:8080");
}

#[test]
fn the_classic_options_are_one_rule() {
    assert_eq!(routes(&run(&["-r", "a"])), ["127.0.0.1:80=a:80"]);
    let all = run(&["-l", "0.0.0.0", "-p", "8080", "-r", "::1", "-P", "81", "--backlog", "5"]);
    assert_eq!(routes(&all), ["0.0.0.0:8080=[::1]:81"]);
    assert_eq!(all.rules[0].backlog, 5);
    let long = ["--local-ip=*", "--local-port=8080", "--remote-ip=a.example", "--remote-port=81"];
    assert_eq!(routes(&run(&long)), ["[::]:8080=a.example:81"]);
}

#[test]
fn all_ways_go_together_and_options_are_for_all_of_them() {
    let config =
        run(&["81", "a:1", "--rule", "82=b:1", "-r", "c", "--rule=udp:83=d:1", "--backlog", "7"]);
    assert_eq!(
        routes(&config),
        ["127.0.0.1:80=c:80", "127.0.0.1:81=a:1", "127.0.0.1:82=b:1", "udp:127.0.0.1:83=d:1"]
    );
    assert!(config.rules.iter().all(|rule| rule.backlog == 7));
}

#[test]
fn without_a_rule_the_built_in_site_is_forwarded() {
    for arguments in [&[][..], &["--workers", "2", "--max-connections", "9"]] {
        match command(arguments) {
            Ok(Command::Demo(config)) => {
                assert_eq!(routes(&config), ["127.0.0.1:8080=127.0.0.1:0"]);
                let given = !arguments.is_empty();
                assert_eq!(config.workers, if given { 2 } else { 1 });
                assert_eq!(config.rules[0].max_connections, if given { 9 } else { 10_000 });
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn check_runs_nothing() {
    match command(&["80", "a:1", "--check"]) {
        Ok(Command::Check(config)) => assert_eq!(config, run(&["80", "a:1"])),
        other => panic!("{other:?}"),
    }
}

#[test]
fn top_asks_the_usual_address_or_another() {
    let top = |arguments: &[&str]| match command(arguments) {
        Ok(Command::Top { address: Endpoint::Host(host, port), every }) => {
            (host, port, every.as_millis())
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(top(&["top"]), ("127.0.0.1".into(), 8081, 1000));
    assert_eq!(top(&["top", "a.lan:80", "--every", "200ms"]), ("a.lan".into(), 80, 200));
    assert_eq!(top(&["top", "9000"]), ("127.0.0.1".into(), 9000, 1000));
}
