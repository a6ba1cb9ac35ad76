//! The process: how it is told what to do, what it says, and how it ends.

mod util;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;
use util::folder::Folder;
use util::{Forwarder, accept, connect, free_port, pair, read_to_end, target};

fn forwarder(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forwarder"));
    command.args(args).stdin(Stdio::null()).output().expect("the program")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn the_classic_options_forward_one_port() {
    let (listener, addr) = target();
    let port = free_port();
    let (local, remote) = (port.port().to_string(), addr.port().to_string());
    for names in
        [["-l", "-p", "-r", "-P"], ["--local-ip", "--local-port", "--remote-ip", "--remote-port"]]
    {
        let values = ["127.0.0.1", local.as_str(), "localhost", remote.as_str()];
        let args: Vec<&str> = names.into_iter().zip(values).flat_map(|(it, of)| [it, of]).collect();
        let _forwarder = Forwarder::start(&args);
        connect(port).write_all(b"hello").expect("sent");
        assert_eq!(read_to_end(&mut accept(&listener)), b"hello");
    }
}

#[test]
fn help_and_version_are_printed_and_the_man_page_and_completions_know_the_same_options() {
    let help = forwarder(&["--help"]);
    assert!(help.status.success() && text(&help.stdout).contains("Usage: forwarder"));
    let version = forwarder(&["--version"]);
    assert_eq!(text(&version.stdout), format!("forwarder {}\n", env!("CARGO_PKG_VERSION")));
    let man = text(&forwarder(&["man"]).stdout).replace('\\', "");
    let bash = text(&forwarder(&["completions", "bash"]).stdout);
    for option in ["--max-connections-per-client", "--proxy-accept-from", "--remote-ip"] {
        assert!(man.contains(option) && bash.contains(option), "{option}");
    }
    let schema = forwarder(&["schema"]);
    serde_json::from_slice::<serde_json::Value>(&schema.stdout).expect("JSON");
}

#[test]
fn check_says_what_is_wrong_with_line_and_column_and_starts_nothing() {
    let folder = Folder::new("check");
    let port = free_port();
    let good = folder.write("good", format!("[[rule]]\nlisten = \"{port}\"\ntargets = [\"9\"]\n"));
    let output = forwarder(&["--config", &good, "--check"]);
    assert_eq!(
        (output.status.code(), text(&output.stdout)),
        (Some(0), "1 rule, all well\n".into())
    );
    let bad = folder.write("bad", "[[rule]]\nlisten = \"8080\"\ntragets = [\"9\"]\n");
    let output = forwarder(&["--config", &bad, "--check"]);
    let why = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(why.contains(&format!("{bad}:3:1")) && why.contains("targets"), "{why}");
    assert_eq!(forwarder(&["--check", "nonsense"]).status.code(), Some(2));
}

#[test]
fn what_is_wrong_with_the_command_line_is_told_in_a_sentence_with_the_remedy() {
    for (args, sentence) in [
        (&["8080", "127.0.0.1:8080"][..], "8080"),
        (&["8080", "9", "--allow", "10.0.0.0/33"], "10.0.0.0/33"),
        (&["8080", "9", "--idle-timout", "1h"], "--idle-timeout"),
        (&["8080", "9", "--rate", "fast"], "write it as in 500KiB"),
        (&["80800", "9"], "80800"),
        (&["--config", "/nowhere/forwarder.toml"], "/nowhere/forwarder.toml"),
    ] {
        let output = forwarder(args);
        let why = text(&output.stderr);
        let code = if args[0] == "--config" { 1 } else { 2 };
        assert_eq!(output.status.code(), Some(code), "{args:?}: {why}");
        assert!(why.starts_with("forwarder: ") && why.contains(sentence), "{args:?}: {why}");
        assert!(!why.contains("panicked") && why.len() < 500, "{why}");
    }
}

#[test]
fn an_address_in_use_is_named_and_ends_the_start_with_1() {
    let (_listener, taken) = target();
    let output = forwarder(&[&taken.to_string(), "9"]);
    let why = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(why.contains(&format!("cannot listen on {taken}")) && why.contains("in use"), "{why}");
}

#[test]
fn a_second_process_on_a_port_does_not_start_however_many_workers_there_are() {
    for (workers, kind) in [("1", ""), ("2", ""), ("1", "udp:"), ("4", "udp:")] {
        let port = free_port();
        let rule = |listen: &str| format!("{kind}{listen}:{}=127.0.0.1:9", port.port());
        let _first = Forwarder::start(&["--workers", workers, "--rule", &rule("127.0.0.1")]);
        for listen in ["127.0.0.1", "0.0.0.0", "*"] {
            let output = forwarder(&["--workers", workers, "--rule", &rule(listen)]);
            let why = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{workers} {kind}{listen}: {why}");
            assert!(why.contains("in use"), "{why}");
        }
    }
}

#[test]
fn a_unix_path_is_removed_at_the_end_and_a_file_there_is_never_replaced() {
    let folder = Folder::new("unix-path");
    let listen = format!("unix:{}", folder.arg("socket"));
    let forwarder_there = Forwarder::start(&[&listen, "9"]);
    let output = forwarder(&[&listen, "9"]);
    assert!(text(&output.stderr).contains("in use"));
    forwarder_there.signal(Signal::TERM);
    assert_eq!(forwarder_there.exit_status().code(), Some(0));
    folder.write("socket", "precious");
    assert_eq!(forwarder(&[&listen, "9"]).status.code(), Some(1));
    assert_eq!(fs::read_to_string(folder.arg("socket")).expect("a file"), "precious");
}

#[test]
fn too_few_descriptors_for_the_listeners_say_which_limit_to_set() {
    let rules = (0..40).map(|_| format!("--rule={}=127.0.0.1:9", free_port()));
    let script = "ulimit -n 32; exec \"$0\" \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_forwarder")])
        .args(rules)
        .output()
        .expect("a shell");
    let why = text(&output.stderr);
    assert!(output.status.code() == Some(1) && why.contains("ulimit -n 2048"), "{why}");
}

#[test]
fn connections_that_are_open_when_the_drain_is_over_are_cut_off_and_the_exit_code_says_so() {
    let (forwarder, _client, _server) = pair(&["--drain", "50ms"]);
    forwarder.signal(Signal::TERM);
    forwarder.wait_for("ending=still open at the end of the drain");
    assert_eq!(forwarder.exit_status().code(), Some(3));
}

#[test]
fn whom_the_system_has_accepted_by_the_time_of_the_signal_is_still_served() {
    let (addr, port) = (util::load::echo(), free_port());
    let forwarder = Forwarder::start(&[&port.to_string(), &addr.to_string()]);
    forwarder.signal(Signal::STOP);
    let mut clients: Vec<_> = (0..100).map(|_| connect(port)).collect();
    forwarder.signal(Signal::TERM);
    forwarder.signal(Signal::CONT);
    for client in &mut clients {
        client.write_all(b"x").expect("sent");
        client.read_exact(&mut [0]).expect("served");
    }
    drop(clients);
    assert_eq!(forwarder.exit_status().code(), Some(0));
}

#[test]
fn who_waits_for_a_place_when_the_drain_begins_is_served_when_another_has_ended() {
    for workers in ["1", "2"] {
        let (addr, port) = (util::load::echo().to_string(), free_port());
        let args = [&port.to_string(), &addr, "--max-connections-total", "1", "--workers", workers];
        let forwarder = Forwarder::start(&args);
        let exchange = |client: &mut TcpStream| {
            client.write_all(b"x").expect("sent");
            client.read_exact(&mut [0]).expect("served");
        };
        let mut first = connect(port);
        exchange(&mut first);
        let mut second = connect(port);
        forwarder.wait_for("clients wait until others have gone");
        forwarder.signal(Signal::TERM);
        forwarder.wait_for("draining");
        drop(first);
        exchange(&mut second);
        drop(second);
        assert_eq!(forwarder.exit_status().code(), Some(0));
    }
}

#[test]
fn the_pid_file_holds_the_number_of_the_process_while_it_runs() {
    let folder = Folder::new("pid");
    let file = folder.arg("pid");
    let port = free_port().to_string();
    let forwarder = Forwarder::start(&[&port, "9", "--pid-file", &file, "--status", "0"]);
    let pid = format!("{}\n", forwarder.pid());
    // It is written when all is ready.
    while !fs::read_to_string(&file).is_ok_and(|it| it == pid) {
        std::thread::yield_now();
    }
    forwarder.signal(Signal::TERM);
    assert_eq!(forwarder.exit_status().code(), Some(0));
    assert!(fs::metadata(&file).is_err());
}

#[test]
fn each_line_of_the_log_is_an_object_if_it_is_to_be_json() {
    let (forwarder, mut client, mut server) = pair(&["--log-format", "json"]);
    let own = client.local_addr().expect("connected").to_string();
    let target = server.local_addr().expect("connected").to_string();
    client.write_all(b"12345").expect("sent");
    server.read_exact(&mut [0; 5]).expect("received");
    drop((client, server));
    let line = forwarder.wait_for("\"connection\"");
    let line: serde_json::Value = serde_json::from_str(&line).expect("an object");
    let fields = &line;
    assert_eq!((&fields["client"], &fields["target"]), (&own.into(), &target.into()));
    assert_eq!((&fields["bytes_up"], &fields["bytes_down"]), (&5.into(), &0.into()));
    assert!(fields["ending"].as_str().is_some_and(|it| it.starts_with("done")), "{line}");
    forwarder.signal(Signal::TERM);
    for line in forwarder.rest_of_log() {
        serde_json::from_str::<serde_json::Value>(&line).expect("an object");
    }
}

#[test]
fn the_log_has_as_much_as_its_level_says() {
    for (level, expected) in
        [("off", &[][..]), ("warn", &["WARN"]), ("debug", &["DEBUG", "INFO", "WARN"])]
    {
        let port = free_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_forwarder"));
        command.args([&port.to_string(), &free_port().to_string(), "--log-level", level]);
        command.args(["--deny", "127.0.0.2"]);
        let mut forwarder = Forwarder::launch(command);
        forwarder.wait_until_listening(port);
        // One that is refused and one that finds no target.
        assert_eq!(util::ending(&mut util::connect_from("127.0.0.2", port)), Ok(0));
        assert!(util::ending(&mut connect(port)).is_err());
        forwarder.signal(Signal::TERM);
        let log = forwarder.rest_of_log();
        let mut levels: Vec<_> = log.iter().filter_map(|it| it.split_whitespace().nth(1)).collect();
        levels.sort_unstable();
        levels.dedup();
        assert_eq!(levels, expected, "{log:#?}");
    }
}
