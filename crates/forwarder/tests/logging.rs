//! The log, when it is read late or never, and when its file is renamed.

mod util;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use util::daemon::wait_until_listening;
use util::folder::Folder;
use util::{Forwarder, accept, connect, eventually, free_port, read_to_end, target};

/// More connections than a pipe and the queue before it have room for lines.
const CONNECTIONS: usize = 10_000;

#[test]
fn a_log_that_nobody_reads_stops_neither_traffic_nor_the_end_and_what_was_lost_is_told() {
    let (listener, addr) = target();
    let port = free_port();
    let mut child = Command::new(env!("CARGO_BIN_EXE_forwarder"))
        .args([port.to_string(), addr.to_string()])
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    wait_until_listening(&mut child, &[port]).expect("a listener");
    for _ in 0..CONNECTIONS {
        let mut client = connect(port);
        drop(accept(&listener));
        assert_eq!(read_to_end(&mut client), b"");
    }
    let mut log = BufReader::new(child.stderr.take().expect("its log")).lines();
    let mut read = || log.next().expect("another line").expect("text");
    let told = std::iter::repeat_with(&mut read).find(|line| line.contains("were dropped"));
    assert!(told.expect("a line").contains("dropped="));
    // From here on nobody reads again, and the pipe is full at the end.
    for _ in 0..CONNECTIONS {
        let mut client = connect(port);
        drop(accept(&listener));
        assert_eq!(read_to_end(&mut client), b"");
    }
    kill_process(Pid::from_child(&child), Signal::TERM).expect("a running program");
    assert_eq!(child.wait().expect("its end").code(), Some(0));
}

#[test]
fn a_renamed_log_file_is_begun_anew_at_sigusr1_and_keeps_its_mode() {
    let folder = Folder::new("log-file");
    let (file, old) = (folder.arg("log"), folder.arg("log.1"));
    let (_listener, addr) = target();
    let port = free_port();
    let mut command = Command::new(env!("CARGO_BIN_EXE_forwarder"));
    command.args([&port.to_string(), &addr.to_string(), "--log-file", &file]);
    let forwarder = Forwarder::launch(command);
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    eventually("the log in its file", || text(&file).contains("forwarding"));
    fs::rename(&file, &old).expect("renamed");
    forwarder.signal(Signal::USR1);
    eventually("a new file", || fs::exists(&file).expect("a folder"));
    forwarder.signal(Signal::TERM);
    assert_eq!(forwarder.exit_status().code(), Some(0));
    assert!(text(&file).contains("draining") && !text(&old).contains("draining"));
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
}

#[test]
fn sigusr1_without_a_log_file_does_nothing() {
    let (listener, addr) = target();
    let port = free_port();
    let forwarder = Forwarder::start(&[&port.to_string(), &addr.to_string()]);
    forwarder.signal(Signal::USR1);
    forwarder.wait_for("no log file to reopen");
    let mut client = connect(port);
    client.write_all(b"x").expect("sent");
    accept(&listener).read_exact(&mut [0]).expect("received");
}
