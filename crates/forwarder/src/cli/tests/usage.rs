//! What wrong command lines are answered with.

use proptest::prelude::*;

use super::command;

#[track_caller]
fn refused(arguments: &[&str], sentence: &str) {
    let usage = command(arguments).unwrap_err();
    assert_eq!(usage.to_string(), sentence, "{arguments:?}");
    assert_eq!(usage.exit_code(), 2, "{arguments:?}");
}

#[test]
fn options_that_are_not_known_or_not_complete_are_refused() {
    refused(&["--bogus"], "unknown option '--bogus': 'forwarder --help' explains those there are");
    refused(&["--balanc", "first"], "unknown option '--balanc': did you mean '--balance'?");
    refused(&["-z"], "unknown option '-z': 'forwarder --help' explains those there are");
    refused(&["--drain"], "--drain needs a value: 'forwarder --help' says which");
    refused(&["--log-format"], "--log-format needs a value: write one of text, json");
    refused(&["--log-format", "xml"], "--log-format: 'xml' is not known: write one of text, json");
    refused(&["--check=1"], "--check takes no value: leave '1' away");
    refused(&["-c", "a", "-c", "b"], "--config is given twice: once is enough");
    refused(
        &["--check"],
        "--check has nothing to check: name a file with --config, or write rules",
    );
}

#[test]
fn values_that_make_no_sense_are_refused_with_their_option() {
    refused(
        &["80", "a:1", "--rate", "10X"],
        "--rate: '10X' is not a number of bytes a second: write it as in 500KiB, 10MiB or 1GB",
    );
    refused(
        &["80", "a:1", "--allow", "10.0.0.0/8,10.0.0.0/40"],
        "--allow: '10.0.0.0/40' is not a network: write it as in 10.0.0.0/8, fd00::/8 or 10.0.0.5",
    );
    refused(
        &["80", "a:1", "82", "b:1", "--max-connections", "0"],
        "--max-connections: 0 would let nobody in: write a number from 1 on",
    );
    refused(
        &["80", "a:1", "udp:53", "a:53", "--proxy-send", "v1"],
        "--proxy-send: the PROXY protocol is for connections: leave it away for UDP rules",
    );
    refused(
        &["80", "a:1", "--check-every", "1s", "--check-timeout", "2s"],
        "--check-timeout: a check has to end before the next begins: write no more than --check-every",
    );
    refused(
        &["80", "a:1", "--status", "0.0.0.0:8081"],
        "--status: 0.0.0.0:8081 can be reached from other machines, and the page has no token: listen on \
         127.0.0.1, give it a token with --status-token-file, or say --status-public if everybody may look",
    );
    refused(
        &["80", "a:1", "--status-public"],
        "--status-public: there is no status page that this could apply to: give it an address, such as \
         127.0.0.1:8081",
    );
    refused(
        &["80", "a:1", "--pcapng-filter", "all"],
        "--pcapng-filter: there is no capture file that this could apply to: name one with --pcapng",
    );
    refused(
        &["--max-connections", "0"],
        "--max-connections: 0 would let nobody in: write a number from 1 on",
    );
}

#[test]
fn rules_that_are_not_complete_are_refused() {
    refused(
        &["8080"],
        "'8080' has no target beside it: write LISTEN and TARGET, such as 8080 10.0.0.5:80",
    );
    refused(
        &["80", "a:1", "81"],
        "'81' has no target beside it: write LISTEN and TARGET, such as 8080 10.0.0.5:80",
    );
    refused(&["80", "a"], "'a' has no port: write 'a:80'");
    refused(
        &["--rule", "8080"],
        "--rule: '8080' has no '=': write LISTEN=TARGET, such as 8080=10.0.0.5:80",
    );
    for option in ["--local-ip", "--local-port", "--remote-port"] {
        refused(
            &[option, "8"],
            &format!(
                "{option} needs --remote-ip: say where to forward to, as in -p 8080 -r 10.0.0.5 -P 80"
            ),
        );
    }
    refused(
        &["-p", "99999", "-r", "a"],
        "--local-port: '99999' is not a port: write a number from 0 to 65535",
    );
    refused(
        &["-r", "a", "-P", "0"],
        "--remote-ip: 'a:0' has port 0, which nothing can connect to: write a port from 1 to 65535",
    );
    refused(&["-r", ""], "--remote-ip: '' is empty: write a name, or an address such as 10.0.0.5");
    refused(
        &["-l", "web1", "-r", "a"],
        "--local-ip: 'web1' is not an address to listen on: write an IP address of this machine such as \
         127.0.0.1:80, or *:80 for all of them",
    );
}

#[test]
fn rules_that_do_not_go_together_are_refused() {
    refused(
        &["80", "80"],
        "rule '127.0.0.1:80=127.0.0.1:80': '127.0.0.1:80' is where this rule itself listens \
         (127.0.0.1:80), so that every connection would make another: choose another target",
    );
    refused(
        &["80", "a:1", "--rule", "*:80=b:1"],
        "rule '[::]:80=b:1': [::]:80 is taken by rule '127.0.0.1:80', which listens on 127.0.0.1:80: \
         choose another address or port",
    );
}

#[test]
fn other_tasks_stand_alone_and_are_complete() {
    refused(&["tpo"], "'tpo' is not known: did you mean 'forwarder top'?");
    refused(
        &["--workers", "2", "top"],
        "'top' stands alone: write 'forwarder top' without other options",
    );
    refused(&["top", "a:1", "b"], "'b' is one argument too many: leave it away");
    refused(
        &["top", "unix:/x"],
        "ADDR: 'unix:/x' is a Unix socket, and a status page has a host and a port: write it as in \
         127.0.0.1:8081",
    );
    refused(&["top", "--every", "0"], "--every: 0 would ask without a pause: write a longer time");
    refused(&["completions"], "SHELL is missing: the same with --help explains it");
    refused(
        &["completions", "sh"],
        "SHELL: 'sh' is not known: write one of bash, elvish, fish, powershell, zsh",
    );
}

#[cfg(unix)]
#[test]
fn an_argument_that_is_not_utf_8_is_refused() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let arguments = [OsStr::new("forwarder"), OsStr::from_bytes(b"\xff"), OsStr::new("a:1")];
    let usage = crate::cli::parse_with(arguments, None).unwrap_err();
    assert_eq!(usage.to_string(), "an argument is not UTF-8: write it in that encoding");
}

proptest! {
    #[test]
    fn no_arguments_make_the_parser_panic(
        words in prop::collection::vec(prop_oneof![any::<String>(), near()], 0..6),
    ) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if let Err(usage) = command(&words) {
            prop_assert!(!usage.to_string().is_empty());
        }
    }
}

/// Words that mean something. No file is named: any could be there.
fn near() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "80",
        "a:1",
        "127.0.0.1:80",
        "udp:53",
        "unix:/x",
        "--rule",
        "--rule=80=a:1",
        "-p",
        "-r",
        "-l",
        "-P",
        "--check",
        "--rate",
        "10MiB",
        "--",
        "-",
        "top",
        "man",
        "--status",
        "--drain=",
        "--balance=first",
        "-pr",
        "--allow=::/0,",
        "--check-expect",
        "\\x",
    ]);
    word.prop_map(str::to_owned)
}
