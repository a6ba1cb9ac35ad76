use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use crate::config::file::File;
use crate::config::options::Options;
use crate::config::validate::check;
use crate::config::{Config, Rule};

use super::{RULE, config, refused};

#[test]
fn a_file_with_one_rule_has_the_defaults_for_everything_else() {
    let rule = Rule::new("80".parse().unwrap(), vec!["a:1".parse().unwrap()]);
    assert_eq!(config(RULE), Ok(Config { rules: vec![rule], ..Config::default() }));
}

#[test]
fn numbers_may_stand_without_quotes() {
    let text = "workers = 2\ndrain = 5\n[[rule]]\nlisten = 80\ntargets = [81, 82]\nrate = 1000\n";
    let config = config(text).unwrap();
    assert_eq!(config.workers, 2);
    assert_eq!(config.drain, Duration::from_secs(5));
    assert_eq!(config.rules[0].listen.to_string(), "127.0.0.1:80");
    assert_eq!(config.rules[0].targets[1].to_string(), "127.0.0.1:82");
    assert_eq!(config.rules[0].rate, Some(1000));
}

#[test]
fn a_rule_that_says_nothing_has_the_file_s_defaults_and_none_takes_one_away() {
    let text = format!(
        "[defaults]\nidle_timeout = \"5s\"\nlifetime = \"1h\"\ncheck_every = \"9s\"\nproxy_send = \"v1\"\n\
         allow = [\"10.0.0.0/8\"]\n{RULE}[[rule]]\nname = \"other\"\nlisten = \"81\"\ntargets = [\"b:1\"]\n\
         idle_timeout = \"6s\"\nlifetime = \"none\"\ncheck_every = \"none\"\nproxy_send = \"none\"\nallow = []\n"
    );
    let rules = config(&text).unwrap().rules;
    let first = &rules[0];
    assert_eq!(first.idle_timeout, Some(Duration::from_secs(5)));
    assert_eq!(first.lifetime, Some(Duration::from_secs(3600)));
    assert_eq!(first.check().map(|check| check.every), Some(Duration::from_secs(9)));
    assert!(first.proxy_send.is_some());
    assert_eq!(first.allow.len(), 1);
    let other = &rules[1];
    assert_eq!(other.name, "other");
    assert_eq!(other.idle_timeout, Some(Duration::from_secs(6)));
    assert_eq!((other.lifetime, other.check()), (None, None));
    assert_eq!(other.proxy_send, None);
    assert!(other.allow.is_empty());
}

#[test]
fn equal_texts_give_equal_configurations_and_others_do_not() {
    assert_eq!(config(RULE), config(&format!("# a comment\n{RULE}")));
    assert_ne!(config(RULE), config(&RULE.replace("a:1", "a:2")));
}

#[test]
fn what_a_rule_lacks_is_named() {
    refused(
        "[[rule]]\n",
        "forwarder.toml:1:1: this rule has no listen: add a line such as listen = \"8080\"",
    );
    refused(
        &format!("{RULE}[[rule]]\nlisten = \"81\"\n"),
        "forwarder.toml:5:10: this rule has no targets: add a line such as targets = [\"10.0.0.5:80\"]",
    );
    refused("", "forwarder.toml:1:1: there is no rule: add a [[rule]] with listen and targets");
}

#[test]
fn every_problem_of_a_file_has_a_line_of_its_own() {
    refused(
        "max_connections_total = 0\n[[rule]]\nlisten = \"80\"\ntargets = [\"a:1\"]\nbacklog = 0\n\
         lifetime = \"1w1\"\n[[rule]]\nlisten = \"http\"\ntargets = [\"a:1\"]\n",
        "forwarder.toml:1:25: '0' is too little: write at least 1\n\
         forwarder.toml:5:11: '0' is too little: write at least 1\n\
         forwarder.toml:8:10: 'http' has no port: write 'http:80'",
    );
    refused(
        "[status]\nlisten = \"0.0.0.0:81\"\n[[rule]]\nlisten = \"80\"\ntargets = [\"a:1\", \"localhost:80\"]\n\
         [[rule]]\nlisten = \"*:80\"\ntargets = [\"a:1\"]\nunix_mode = \"0600\"\n",
        "forwarder.toml:9:13: only a Unix socket has permissions and an owner: remove this for rules that \
         listen on a port\n\
         forwarder.toml:7:10: [::]:80 is taken by rule '127.0.0.1:80', which listens on 127.0.0.1:80: choose \
         another address or port\n\
         forwarder.toml:2:10: 0.0.0.0:81 can be reached from other machines, and the page has no token: listen \
         on 127.0.0.1, set a token file, or make the page public\n\
         forwarder.toml:5:19: 'localhost:80' is where this rule itself listens (127.0.0.1:80), so that every \
         connection would make another: choose another target",
    );
}

#[test]
fn a_problem_that_comes_from_the_defaults_is_placed_there() {
    refused(
        &format!("[defaults]\nbacklog = 0\n{RULE}"),
        "forwarder.toml:2:11: '0' is too little: write at least 1",
    );
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>(), lines in prop::collection::vec(line(), 0..12)) {
        for text in [text, lines.join("\n")] {
            if let Ok(file) = File::parse(Path::new("x.toml"), text) {
                let Options { config, rule, .. } = file.options.clone();
                let _ = file.error(&check(&Config { rules: rule, ..config })).to_string();
            }
        }
    }
}

/// Lines that are nearly a file's.
fn line() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "[[rule]]",
        "[rule]",
        "[defaults]",
        "[status]",
        "listen = ",
        "targets = ",
        "allow = ",
        "workers = ",
        "é = ",
        "token = ",
        "check_every = ",
        "rule.listen = ",
        "name = ",
    ]);
    let value = prop::sample::select(vec![
        "",
        "\"80\"",
        "[\"a:1\"]",
        "[80, \"é\"]",
        "3",
        "-1",
        "true",
        "\"none\"",
        "{ a = 1 }",
        "1979-05-27",
        "\"",
        "inf",
        "[[]]",
    ]);
    (key, value).prop_map(|(key, value)| format!("{key}{value}"))
}
