//! What wrong command lines are answered with.

use proptest::prelude::*;

use super::command;

#[track_caller]
fn refused(arguments: &[&str], sentence: &str) {
    let usage = command(arguments).unwrap_err();
    assert_eq!(usage.to_string(), sentence, "{arguments:?}");
    assert_eq!(usage.exit_code(), 2, "{arguments:?}");
}

/// For messages of the argument parser, which end with hints.
#[track_caller]
fn refused_with(arguments: &[&str], parts: &[&str]) {
    let error = command(arguments).unwrap_err();
    for part in parts {
        assert!(error.to_string().contains(part), "{arguments:?}: {error}");
    }
    assert!(!error.to_string().starts_with("error"), "{error}");
    assert_eq!(error.exit_code(), 2, "{arguments:?}");
}

#[test]
fn options_that_are_not_known_or_not_complete_are_refused() {
    refused_with(&["--bogus"], &["'--bogus'"]);
    refused_with(&["--balanc", "first"], &["'--balanc'", "'--balance'"]);
    refused_with(&["-z"], &["'-z'"]);
    refused_with(&["--drain"], &["'--drain <TIME>'", "value is required"]);
    refused_with(&["--log-format"], &["'--log-format <FORMAT>'", "[possible values: text, json]"]);
    refused_with(&["--log-format", "xml"], &["'xml'", "[possible values: text, json]"]);
    refused_with(&["--check=1"], &["'--check'", "'1'"]);
    refused_with(&["-c", "a", "-c", "b"], &["'--config <FILE>'", "multiple times"]);
    refused(
        &["--check"],
        "--check has nothing to check: name a file with --config, or write rules",
    );
}

#[test]
fn values_that_make_no_sense_are_refused_with_their_option() {
    for (option, value, message) in [
        ("--rate", "10X", "'10X' is not a number of bytes per second: write it as in 500KiB"),
        ("--allow", "10.0.0.0/8,10.0.0.0/40", "'10.0.0.0/40' is not a network: write it as in"),
        ("--max-connections", "0", "'0' is too little: write at least 1"),
        ("--idle-timeout", "0", "'0' is too short: write at least 1ms, or none"),
        ("--ipv6-client-prefix", "129", "'129' is too much: write at most 128"),
        ("--unix-mode", "rw", "'rw' is not a file mode: write octal digits, such as 0660"),
    ] {
        refused_with(&["80", "a:1", option, value], &[option, message]);
    }
    refused_with(&["--max-connections", "0"], &["'0' is too little"]);
    refused(
        &["80", "a:1", "udp:53", "a:53", "--proxy-send", "v1"],
        "--proxy-send: the PROXY protocol is for connections: omit it for UDP rules",
    );
    refused(
        &["80", "a:1", "--check-every", "1s", "--check-timeout", "2s"],
        "--check-timeout: a check has to end before the next begins: write at most check_every",
    );
    refused(
        &["80", "a:1", "--status", "0.0.0.0:8081"],
        "--status: 0.0.0.0:8081 can be reached from other machines, and the page has no token: listen on \
         127.0.0.1, set a token file, or make the page public",
    );
    refused(
        &["80", "a:1", "--status-public"],
        "--status-public: there is no status page that this could apply to: give it an address, such as \
         127.0.0.1:8081",
    );
    refused(
        &["80", "a:1", "--pcapng-filter", "target=a:1"],
        "--pcapng-filter: there is no capture file that this could apply to: set pcapng",
    );
}

#[test]
fn rules_that_are_not_complete_are_refused() {
    refused(&["8080"], "'8080' has no target: write LISTEN and TARGET, such as 8080 10.0.0.5:80");
    refused(
        &["80", "a:1", "81"],
        "'81' has no target: write LISTEN and TARGET, such as 8080 10.0.0.5:80",
    );
    refused(&["8080:10.0.0.5:80"], "'8080:10.0.0.5:80' is one word: write '8080 10.0.0.5:80'");
    refused(&["80", "a"], "'a' has no port: write 'a:80'");
    let no_target = "'8080' has no '=': write LISTEN=TARGET, such as 8080=10.0.0.5:80";
    refused_with(&["--rule", "8080"], &["--rule", no_target]);
    for option in ["--local-ip", "--local-port", "--remote-port"] {
        refused_with(&[option, "8"], &["--remote-ip <HOST>", "required"]);
    }
    refused_with(
        &["-p", "99999", "-r", "a"],
        &["--local-port", "'99999' is too much: write at most 65535"],
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
    refused(&["tpo"], "'tpo' is unknown: did you mean 'forwarder top'?");
    refused(
        &["--workers", "2", "top"],
        "'top' stands alone: write 'forwarder top' without other options",
    );
    refused_with(&["top", "a:1", "b"], &["unexpected argument 'b'"]);
    let socket = "'unix:/x' is a Unix socket, and a status page has a host and a port";
    refused_with(&["top", "unix:/x"], &["[ADDR]", socket]);
    refused_with(&["top", "--every", "0"], &["--every", "'0' is too short: write at least 1ms"]);
    refused_with(&["completions"], &["<SHELL>", "required"]);
    let shells = "[possible values: bash, elvish, fish, powershell, zsh]";
    refused_with(&["completions", "sh"], &["'sh'", shells]);
}

#[cfg(unix)]
#[test]
fn an_argument_that_is_not_utf_8_is_refused() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let arguments = [OsStr::new("forwarder"), OsStr::from_bytes(b"\xff"), OsStr::new("a:1")];
    let usage = crate::cli::parse_with(arguments, None).unwrap_err();
    assert!(usage.to_string().contains("UTF-8"), "{usage}");
    assert_eq!(usage.exit_code(), 2);
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
