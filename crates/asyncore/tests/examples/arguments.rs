//! Wrong arguments, and arguments that the system rejects, in every example.

use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;

use crate::process::{example, run, run_command};

const SERVERS: [&str; 6] = [
    "echo_server",
    "udp_echo_server",
    "chat_echo_server",
    "broadcast_chat",
    "timeouts",
    "proxied_echo",
];

#[test]
fn wrong_arguments_print_the_usage_and_exit_with_code_2() {
    let mut cases: Vec<(&str, &[&str])> = vec![
        ("chat_echo_client", &["127.0.0.1:1"]),
        ("chat_echo_client", &["127.0.0.1:1", "a", "b"]),
        ("http_client", &["example.org"]),
        ("http_client", &["example.org", "no-slash"]),
        ("http_client", &["example.org", "/two\r\nlines"]),
        ("http_client", &["[::1", "/"]),
        ("http_client", &["[::1]80", "/"]),
        ("http_client", &["example.org:99999", "/"]),
        ("http_client", &[":80", "/"]),
        ("http_server", &["127.0.0.1:0"]),
        ("http_server", &["127.0.0.1", "."]),
        ("port_forward", &["-p", "0"]),
        ("port_forward", &["-p", "0", "-r"]),
        ("port_forward", &["-p", "65536", "-r", "127.0.0.1"]),
        ("port_forward", &["-l", "here", "-r", "127.0.0.1"]),
        ("port_forward", &["-r", "127.0.0.1", "-x", "1"]),
        ("stdin_chat", &["127.0.0.1"]),
        ("stdin_chat", &[":80"]),
        ("timeouts", &["127.0.0.1:0", "-1"]),
        ("timeouts", &["127.0.0.1:0", "0"]),
    ];
    for server in ["inside_tokio", "inside_calloop"] {
        cases.push((server, &[]));
        cases.push((server, &["127.0.0.1:0"]));
        cases.push((server, &["127.0.0.1:0", "127.0.0.1"]));
        cases.push((server, &["127.0.0.1:0", "127.0.0.1:0", "1"]));
    }
    for server in SERVERS {
        cases.push((server, &[]));
        cases.push((server, &["127.0.0.1"]));
        cases.push((server, &["127.0.0.1:0", "1", "2"]));
    }
    for (name, args) in cases {
        let ended = run(name, args);
        assert_eq!(ended.code, Some(2), "{name} {args:?}: {}", ended.stderr);
        assert!(ended.stderr.starts_with(&format!("usage: {name} ")), "{name}: {}", ended.stderr);
        assert!(ended.stdout.is_empty());
    }
}

#[test]
fn non_utf8_arguments_do_not_panic() {
    let no_text = std::ffi::OsStr::from_bytes(b"\xff");
    let others = [
        "http_client",
        "http_server",
        "inside_calloop",
        "inside_tokio",
        "port_forward",
        "stdin_chat",
    ];
    for name in SERVERS.iter().chain(&others) {
        let ended = run_command(example(name).args([no_text, no_text]));
        assert_eq!(ended.code, Some(2), "{name}: {}", ended.stderr);
    }
}

#[test]
fn an_address_in_use_prints_one_sentence_and_exits_with_code_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let (port, dir) = (addr.port().to_string(), env!("CARGO_MANIFEST_DIR"));
    let addr = addr.to_string();
    let tcp_servers = SERVERS.into_iter().filter(|name| *name != "udp_echo_server");
    let mut cases: Vec<(&str, Vec<&str>)> =
        tcp_servers.map(|name| (name, vec![addr.as_str()])).collect();
    cases.push(("http_server", vec![addr.as_str(), dir]));
    cases.push(("inside_tokio", vec![addr.as_str(), "127.0.0.1:0"]));
    cases.push(("inside_calloop", vec![addr.as_str(), "127.0.0.1:0"]));
    cases.push(("port_forward", vec!["-p", &port, "-r", "127.0.0.1"]));
    for (name, args) in cases {
        let ended = run(name, &args);
        let sentence = format!("{name}: cannot bind to {addr}: ");
        assert_eq!(ended.code, Some(1), "{name}: {}", ended.stderr);
        assert!(ended.stderr.starts_with(&sentence), "{name}: {}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{name}: {}", ended.stderr);
        assert!(ended.stdout.is_empty(), "{name} printed an address that it does not have");
    }
}
