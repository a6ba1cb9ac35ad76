//! One process takes over from another, and nobody notices.

mod util;

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::Command;

use rustix::process::Signal;
use socket2::{Domain, SockAddr, Socket, Type};
use util::folder::Folder;
use util::load::{Load, echo};
use util::{Forwarder, PATIENCE, accept, connect, free_port, read_to_end, target};

#[test]
fn a_new_process_takes_over_without_a_connection_being_refused() {
    let folder = Folder::new("handover");
    let (addr, port) = (echo().to_string(), free_port());
    let (path, port_arg) = (folder.arg("socket"), port.to_string());
    let start =
        |workers| Forwarder::start(&["--handover", &path, "--workers", workers, &port_arg, &addr]);
    let mut running = start("2");
    let load = Load::start(port, 3);
    for workers in ["1", "3", "2", "1"] {
        load.wait_for_more(20);
        let next = start(workers);
        running.wait_for("another process has taken over");
        assert_eq!(running.exit_status().code(), Some(0));
        running = next;
    }
    load.wait_for_more(20);
    load.assert_whole();
}

#[test]
fn a_process_that_asks_and_hangs_delays_no_other() {
    let folder = Folder::new("handover-hung");
    let (path, port) = (folder.arg("socket"), free_port().to_string());
    let start = || Forwarder::start(&["--handover", &path, &port, "9"]);
    let old = start();
    let hung: Vec<_> = (0..20)
        .map(|_| {
            let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None).expect("a socket");
            socket.connect(&SockAddr::unix(&path).expect("a path")).expect("connected");
            socket
        })
        .collect();
    let _new = start();
    assert_eq!(old.exit_status().code(), Some(0));
    drop(hung);
}

#[test]
fn the_path_of_a_unix_rule_stays_through_a_handover() {
    let folder = Folder::new("handover-unix");
    let (path, listen) = (folder.arg("socket"), folder.arg("rule"));
    let rule = format!("unix:{listen}");
    let start = || Forwarder::start(&["--handover", &path, &rule, "9"]);
    let (old, new) = (start(), start());
    assert_eq!(old.exit_status().code(), Some(0));
    UnixStream::connect(&listen).expect("the new one");
    new.signal(Signal::TERM);
    new.exit_status();
    assert!(UnixStream::connect(&listen).is_err() && !folder.path().join("rule").exists());
}

#[test]
fn a_process_that_fails_to_take_over_leaves_the_running_one_its_paths() {
    let folder = Folder::new("handover-fails");
    let (path, listen) = (folder.arg("socket"), folder.arg("rule"));
    let (rule, taken) = (format!("unix:{listen}=127.0.0.1:9"), target());
    let _old = Forwarder::start(&["--handover", &path, "--rule", &rule]);
    let also = format!("{}=127.0.0.1:9", taken.1);
    let args = ["--handover", &path, "--rule", &rule, "--rule", &also];
    let output = Command::new(env!("CARGO_BIN_EXE_forwarder")).args(args).output().expect("run");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    UnixStream::connect(&listen).expect("the old one");
    assert!(folder.path().join("socket").exists());
}

fn udp() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}

#[test]
fn after_a_handover_datagrams_go_to_the_new_process_and_late_answers_still_come_from_the_old() {
    let folder = Folder::new("handover-udp");
    let (target, port) = (udp(), free_port());
    let rule = format!("udp:{port}={}", target.local_addr().expect("bound"));
    let path = folder.arg("socket");
    let start = || Forwarder::start(&["--handover", &path, "--rule", &rule]);
    let old = start();
    let (client, mut buf) = (udp(), [0; 64]);
    client.send_to(b"question", port).expect("sent");
    let (_, session) = target.recv_from(&mut buf).expect("passed on");
    let _new = start();
    old.wait_for("another process has taken over");
    target.send_to(b"late answer", session).expect("sent");
    let (n, from) = client.recv_from(&mut buf).expect("answered");
    assert_eq!((&buf[..n], from), (&b"late answer"[..], port));
    // The old process would lose those of new clients: none may come to it.
    for number in 0..50_u8 {
        udp().send_to(&[number], port).expect("sent");
        let (n, _) = target.recv_from(&mut buf).expect("passed on");
        assert_eq!(buf[..n], [number]);
    }
    // And a known client's go on by way of the new one.
    client.send_to(b"again", port).expect("sent");
    let (n, other) = target.recv_from(&mut buf).expect("passed on");
    assert_eq!(&buf[..n], b"again");
    assert_ne!(other, session);
}

#[test]
fn systemd_is_told_which_process_is_the_service_now() {
    let folder = Folder::new("handover-systemd");
    let told = UnixDatagram::bind(folder.arg("notify")).expect("a socket");
    told.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let (path, port) = (folder.arg("socket"), free_port().to_string());
    let mut command = Command::new(env!("CARGO_BIN_EXE_forwarder"));
    command.args(["--handover", &path, &port, "9"]).env("NOTIFY_SOCKET", folder.arg("notify"));
    let old = Forwarder::spawn(command);
    let new = Forwarder::start(&["--handover", &path, &port, "9"]);
    assert_eq!(old.exit_status().code(), Some(0));
    let mut heard = Vec::new();
    let main_pid = format!("MAINPID={}", new.pid());
    while !heard.contains(&main_pid) {
        let mut buf = [0; 256];
        let n = told.recv(&mut buf).expect("all that was told");
        heard.extend(String::from_utf8_lossy(&buf[..n]).lines().map(str::to_owned));
    }
    // The service goes on.
    told.set_nonblocking(true).expect("an option");
    assert!(told.recv(&mut [0; 256]).is_err(), "something after {heard:?}");
    assert_eq!(heard, ["READY=1", &main_pid]);
}

#[test]
fn a_capture_file_has_only_what_its_own_process_forwards() {
    let folder = Folder::new("handover-capture");
    let (listener, addr) = target();
    let port = free_port();
    let (path, file) = (folder.arg("socket"), folder.arg("capture.pcapng"));
    let (port_arg, addr_arg) = (port.to_string(), addr.to_string());
    let start =
        || Forwarder::start(&["--handover", &path, "--pcapng", &file, &port_arg, &addr_arg]);
    let old = start();
    let mut client = connect(port);
    let mut server = accept(&listener);
    client.write_all(b"to the old process").expect("sent");
    server.read_exact(&mut [0; 18]).expect("received");
    let new = start();
    old.wait_for("another process has taken over");
    client.write_all(b"to the old process, late").expect("sent");
    server.read_exact(&mut [0; 24]).expect("received");
    drop((client, server));
    assert_eq!(old.exit_status().code(), Some(0));
    connect(port).write_all(b"to the new process").expect("sent");
    assert_eq!(read_to_end(&mut accept(&listener)), b"to the new process");
    new.signal(Signal::TERM);
    assert_eq!(new.exit_status().code(), Some(0));
    let captured = std::fs::read(&file).expect("a file");
    let has = |text: &[u8]| captured.windows(text.len()).any(|it| it == text);
    assert!(has(b"to the new process") && !has(b"to the old process"));
}
