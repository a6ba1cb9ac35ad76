//! The chat echo programs, with each other and with Python's.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::thread;

use crate::peers::{PYTHON, python};
use crate::process::{Ended, Server, bounded, example, run, run_command, sample};
use test_needs::needs;

/// A temporary file, removed when the test ends.
struct Message(PathBuf);

impl Message {
    fn new(test: &str, contents: &[u8]) -> Self {
        let name = format!("asyncore-{}-{test}-{}", std::process::id(), contents.len());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, contents).unwrap();
        Message(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[track_caller]
fn assert_received(ended: &Ended, what: &str) {
    assert_eq!(String::from_utf8_lossy(&ended.stdout), "copy received\n", "{what}");
    assert_eq!(ended.code, Some(0), "{what}: {}", ended.stderr);
}

#[test]
fn chat_echo_client_accepts_the_copy_of_our_own_server() {
    let server = Server::start("chat_echo_server", &["127.0.0.1:0"]);
    for size in [0, 1, 127, 128, 166, 1_000_000] {
        let message = Message::new("own", &sample(size));
        let ended = run("chat_echo_client", &[&server.addr.to_string(), message.path()]);
        assert_received(&ended, &format!("{size} bytes"));
    }
}

#[test]
fn chat_echo_client_accepts_the_copy_of_pythons_own_server() {
    needs!(PYTHON);
    let mut command = python("chat_echo_server.py", &[]);
    let server = Server::start_command(&mut command);
    for size in [0, 1, 127, 128, 166, 1_000_000] {
        let message = Message::new("python", &sample(size));
        let ended = run("chat_echo_client", &[&server.addr.to_string(), message.path()]);
        assert_received(&ended, &format!("{size} bytes"));
    }
}

#[test]
fn pythons_own_client_accepts_the_copy_of_chat_echo_server() {
    needs!(PYTHON);
    let server = Server::start("chat_echo_server", &["127.0.0.1:0"]);
    let port = server.addr.port().to_string();
    // Not 0, for which Python's set_terminator would collect forever.
    for size in ["1", "127", "128", "166", "1000000"] {
        let mut command = python("chat_echo_client.py", &[&port, size]);
        let ended = run_command(&mut command);
        assert_eq!(ended.code, Some(0), "{size} bytes: {}", ended.stderr);
    }
}

#[test]
fn chat_echo_server_closes_after_a_length_of_0() {
    let server = Server::start("chat_echo_server", &["127.0.0.1:0"]);
    let mut stream = server.connect();
    stream.write_all(b"ECHO 0\n").unwrap();
    let mut copy = Vec::new();
    stream.read_to_end(&mut copy).unwrap();
    assert!(copy.is_empty());
}

#[test]
fn chat_echo_server_reports_a_malformed_command_once() {
    let server = Server::start("chat_echo_server", &["127.0.0.1:0"]);
    let endless = [b'a'; 4096];
    let cases: [(&[u8], &str); 7] = [
        (b"ECHO abc\n", "malformed command \"ECHO abc\""),
        (b"ECHO -1\n", "malformed command \"ECHO -1\""),
        (b"ECHO \n", "malformed command"),
        (b"\n", "malformed command \"\""),
        (b"echo\xff\x1b[2J 1\n", "malformed command \"echo\\xff\\x1b[2J 1\""),
        (b"ECHO 99999999999999999999\n", "cannot echo 99999999999999999999 bytes"),
        (&endless, "no newline in 128 bytes"),
    ];
    for (command, complaint) in cases {
        let mut stream = server.connect();
        stream.write_all(command).unwrap();
        // The connection may end in a reset, because the server drops the rest of the input.
        let _ = stream.read_to_end(&mut Vec::new());
        let line = server.process.stderr.next_with("ERROR");
        assert!(line.contains(complaint), "{line}");
        let addr = stream.local_addr().unwrap().to_string();
        assert!(line.contains(&addr), "the line does not name the channel: {line}");
    }
    let message = Message::new("after", b"still there?");
    let ended = run("chat_echo_client", &[&server.addr.to_string(), message.path()]);
    assert_received(&ended, "after the malformed ones");
    let more = server.process.stderr.so_far();
    assert!(!more.iter().any(|line| line.contains("ERROR")), "said more than once: {more:?}");
}

/// Accepts one connection and sends `answer`, whatever it receives.
fn serve_once(answer: &'static [u8]) -> (String, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || {
        let mut stream = bounded(listener.accept().unwrap().0);
        let mut request = [0; 11];
        stream.read_exact(&mut request).unwrap();
        assert_eq!(&request, b"ECHO 4\nsent");
        stream.write_all(answer).unwrap();
    });
    (addr, server)
}

#[test]
fn chat_echo_client_detects_a_corrupt_or_truncated_copy() {
    let message = Message::new("differs", b"sent");
    for answer in [&b"seNt"[..], b"sen", b""] {
        let (addr, server) = serve_once(answer);
        let ended = run("chat_echo_client", &[&addr, message.path()]);
        assert_eq!(String::from_utf8_lossy(&ended.stdout), "ERROR IN TRANSMISSION\n");
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        server.join().unwrap();
    }
}

#[test]
fn chat_echo_client_explains_why_it_cannot_start() {
    let message = Message::new("begin", b"sent");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let ended = run("chat_echo_client", &[&closed, message.path()]);
    assert_eq!((ended.code, ended.stdout.len()), (Some(1), 0));
    let sentence = format!("chat_echo_client: cannot connect to {closed}: ");
    assert!(ended.stderr.starts_with(&sentence), "{}", ended.stderr);

    let ended = run("chat_echo_client", &[&closed, "no/such/file"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("cannot read no/such/file"), "{}", ended.stderr);
}

#[test]
fn chat_echo_logs_its_callbacks_only_at_level_debug() {
    let quiet = Server::start("chat_echo_server", &["127.0.0.1:0"]);
    let verbose = Server::start_command(
        example("chat_echo_server").arg("127.0.0.1:0").env("RUST_LOG", "debug"),
    );
    let message = Message::new("debug", b"hello");
    let ended = run("chat_echo_client", &[&quiet.addr.to_string(), message.path()]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let mut client = example("chat_echo_client");
    client.args([&verbose.addr.to_string(), message.path()]).env("RUST_LOG", "debug");
    let ended = run_command(&mut client);
    for callback in [
        "handle_connect()",
        "more() -> 5",
        "collect_incoming_data() 5 bytes",
        "found_terminator()",
        "handle_close()",
    ] {
        assert!(ended.stderr.contains(callback), "{callback} is not shown: {}", ended.stderr);
    }
    for callback in [
        "handle_accepted()",
        "collect_incoming_data() 6 bytes",
        "found_terminator()",
        "process_command() \"ECHO 5\"",
        "process_message() echoes 5",
        "handle_close()",
    ] {
        verbose.process.stderr.next_with(callback);
    }
    assert!(!quiet.process.stderr.so_far().iter().any(|line| line.contains("DEBUG")));
}
