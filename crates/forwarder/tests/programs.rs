//! Ordinary programs on both sides.

mod util;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;
use test_needs::needs;

use util::daemon::Daemon;
use util::folder::Folder;
use util::random::random;
use util::tool::{CURL, HAPROXY, PYTHON, SOCAT, tool};
use util::{Forwarder, accept, connect, free_port, target};

/// Python's web server for the files of a folder, behind a forwarder.
fn web(folder: Folder, forwarder: &[&str]) -> (Daemon, Forwarder, String) {
    let (server, port) = (free_port(), free_port());
    let mut python = tool(PYTHON);
    python.args(["-m", "http.server", "--bind", "127.0.0.1", &server.port().to_string()]);
    python.args(["--directory", &folder.arg("")]);
    let daemon = Daemon::start(python, folder, &[server]);
    let (port_arg, server_arg) = (port.to_string(), server.to_string());
    let args = [&[port_arg.as_str(), &server_arg], forwarder].concat();
    (daemon, Forwarder::start(&args), format!("http://{port}"))
}

fn curl(args: &[&str]) -> Vec<u8> {
    let mut curl = tool(CURL);
    let output = curl.args(["--no-progress-meter", "--fail", "--max-time", "20"]).args(args);
    let output = output.env_remove("http_proxy").stderr(Stdio::inherit()).output();
    let output = output.expect("curl");
    assert!(output.status.success(), "curl {args:?}: {}", output.status);
    output.stdout
}

#[test]
fn curl_gets_a_file_from_pythons_web_server_whole() {
    needs!(PYTHON, CURL);
    let folder = Folder::new("web");
    let bytes = random(16 << 20, 1);
    folder.write("file", &bytes);
    let (_python, _forwarder, url) = web(folder, &[]);
    assert!(curl(&[&format!("{url}/file")]) == bytes, "the file came otherwise");
}

#[test]
fn many_downloads_at_once_come_whole_also_over_several_workers() {
    needs!(PYTHON, CURL);
    let folder = Folder::new("web-many");
    let files: Vec<_> = (0..8).map(|seed| random(1 << 20, seed)).collect();
    for (index, bytes) in files.iter().enumerate() {
        folder.write(&format!("file{index}"), bytes);
    }
    let (_python, _forwarder, url) = web(folder, &["--workers", "2"]);
    let got = Folder::new("web-got");
    let output = format!("{}/file#1", got.arg(""));
    curl(&["--parallel", "--output", &output, &format!("{url}/file[0-7]")]);
    for (index, bytes) in files.iter().enumerate() {
        let file = fs::read(got.arg(&format!("file{index}"))).expect("a download");
        assert!(file == *bytes, "file {index} came otherwise");
    }
}

#[test]
fn sort_behind_the_forwarder_answers_when_the_client_has_ended_its_half() {
    needs!(SOCAT);
    let (end, port) = (free_port(), free_port());
    let mut socat = tool(SOCAT);
    socat.args([&format!("TCP-LISTEN:{},bind=127.0.0.1,fork", end.port()), "EXEC:sort"]);
    let _sort = Daemon::start(socat, Folder::new("sort"), &[end]);
    let _forwarder = Forwarder::start(&[&port.to_string(), &end.to_string()]);
    let mut client = tool(SOCAT);
    client.args(["-t20", "-", &format!("TCP:{port}")]);
    assert_eq!(pipe(client, b"pear\napple\nfig\n"), b"apple\nfig\npear\n");
}

/// What a program writes when it is given this input, and then its end.
fn pipe(mut command: Command, input: &[u8]) -> Vec<u8> {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a program");
    child.stdin.take().expect("its input").write_all(input).expect("taken");
    child.wait_with_output().expect("its output").stdout
}

/// A client of `port` resets its connection, and the target hears of that as it is.
#[track_caller]
fn see_a_clients_reset(port: SocketAddr, listener: &TcpListener) {
    let mut client = connect(port);
    client.write_all(b"x").expect("sent");
    let mut server = accept(listener);
    server.read_exact(&mut [0]).expect("received");
    reset(client);
    let error = server.read(&mut [0]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_clients_reset_reaches_the_target_as_a_reset() {
    let (listener, addr) = target();
    let port = free_port();
    let forwarder = Forwarder::start(&[&port.to_string(), &addr.to_string()]);
    see_a_clients_reset(port, &listener);
    assert!(forwarder.wait_for("connection").contains("reset by the client"));
}

#[test]
fn a_clients_reset_passes_through_the_forwarder_and_haproxy() {
    needs!(HAPROXY);
    let (listener, addr) = target();
    let (middle, port) = (free_port(), free_port());
    let section = format!("listen it\n bind {middle}\n server it {addr}\n");
    let _haproxy = Daemon::haproxy("haproxy-reset", &section, &[middle]);
    let _forwarder = Forwarder::start(&[&port.to_string(), &middle.to_string()]);
    see_a_clients_reset(port, &listener);
}

fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("an option");
}
