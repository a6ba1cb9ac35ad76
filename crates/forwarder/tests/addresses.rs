//! Everything that can be listened on and forwarded to.

mod util;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};

use rustix::process::Signal;
use util::folder::Folder;
use util::{Forwarder, PATIENCE, accept, connect, free_port, read_to_end, target};

#[test]
fn from_a_unix_socket_to_tcp_and_from_tcp_to_a_unix_socket() {
    let folder = Folder::new("unix");
    let (listener, addr) = target();
    let (entry, end, port) = (folder.arg("entry"), folder.arg("end"), free_port());
    let rules = [format!("unix:{entry}={addr}"), format!("{port}=unix:{end}")];
    let unix = UnixListener::bind(&end).expect("a socket");
    let forwarder = Forwarder::start(&["--rule", &rules[0], "--rule", &rules[1]]);

    let mut client = UnixStream::connect(&entry).expect("a connection to the forwarder");
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    client.write_all(b"question").expect("sent");
    client.shutdown(Shutdown::Write).expect("ended");
    let mut server = accept(&listener);
    assert_eq!(read_to_end(&mut server), b"question");
    server.write_all(b"answer").expect("sent");
    drop(server);
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an end in good order");
    assert_eq!(answer, "answer");
    let line = forwarder.wait_for("ending=");
    assert!(line.contains("bytes_up=8 bytes_down=6") && !line.contains("client="), "{line}");

    let mut client = connect(port);
    client.write_all(b"question").expect("sent");
    client.shutdown(Shutdown::Write).expect("ended");
    let (mut server, _) = unix.accept().expect("a connection from the forwarder");
    let mut question = String::new();
    server.read_to_string(&mut question).expect("an end in good order");
    assert_eq!(question, "question");
    server.write_all(b"answer").expect("sent");
    drop(server);
    assert_eq!(read_to_end(&mut client), b"answer");
    let line = forwarder.wait_for("ending=");
    assert!(line.contains(&format!("target=unix:{end}")), "{line}");
}

#[test]
fn a_unix_socket_that_a_killed_process_left_is_replaced_and_one_in_use_is_not() {
    let folder = Folder::new("left");
    let (_listener, addr) = target();
    let path = folder.arg("entry");
    let rule = format!("unix:{path}={addr}");
    let killed = Forwarder::start(&["--rule", &rule]);
    killed.signal(Signal::KILL);
    assert!(!killed.exit_status().success() && fs::metadata(&path).is_ok());
    let _running = Forwarder::start(&["--rule", &rule]);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_forwarder"));
    let output = command.args(["--rule", &rule]).output().expect("the program");
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && why.contains("in use"), "{why}");
    UnixStream::connect(&path).expect("the one that runs still listens");
}

#[test]
fn every_address_is_those_of_ipv4_and_of_ipv6() {
    let (listener, addr) = target();
    let port = free_port().port();
    let _forwarder = Forwarder::start(&["--rule", &format!("*:{port}={addr}")]);
    let own = [
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)),
        TcpStream::connect((Ipv6Addr::LOCALHOST, port)),
    ];
    for client in own {
        client.expect("a connection to the forwarder").write_all(b"hello").expect("sent");
        assert_eq!(read_to_end(&mut accept(&listener)), b"hello");
    }
}

#[test]
fn from_ipv4_to_ipv6_and_back() {
    let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).expect("a free port");
    let (v4, v4_addr) = target();
    let v6_addr = v6.local_addr().expect("bound");
    let (port, v6_port) = (free_port(), free_port().port());
    let rules = [format!("{port}={v6_addr}"), format!("[::1]:{v6_port}={v4_addr}")];
    let _forwarder = Forwarder::start(&["--rule", &rules[0], "--rule", &rules[1]]);
    connect(port).write_all(b"up").expect("sent");
    assert_eq!(read_to_end(&mut accept(&v6)), b"up");
    connect((Ipv6Addr::LOCALHOST, v6_port).into()).write_all(b"down").expect("sent");
    assert_eq!(read_to_end(&mut accept(&v4)), b"down");
}

#[test]
fn datagrams_to_every_address_are_answered_from_the_one_that_they_were_sent_to() {
    let target = UdpSocket::bind("127.0.0.1:0").expect("a port");
    target.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let port = free_port().port();
    let rule = format!("udp:*:{port}={}", target.local_addr().expect("bound"));
    let _forwarder = Forwarder::start(&["--rule", &rule]);
    for own in ["127.0.0.1", "::1"] {
        let client = UdpSocket::bind((own, 0)).expect("a port");
        client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        // A connected socket takes nothing from elsewhere.
        client.connect((own, port)).expect("an address");
        client.send(b"question").expect("sent");
        let mut buf = [0; 16];
        let (n, session) = target.recv_from(&mut buf).expect("passed on");
        assert_eq!(&buf[..n], b"question");
        target.send_to(b"answer", session).expect("sent");
        let n = client.recv(&mut buf).expect("answered");
        assert_eq!(&buf[..n], b"answer");
    }
}

#[test]
fn a_name_that_does_not_resolve_costs_only_the_connections_that_need_it() {
    let (listener, addr) = target();
    let (port, other) = (free_port(), free_port());
    let rules = [format!("{port}=nowhere.invalid:80"), format!("{other}={addr}")];
    let forwarder = Forwarder::start(&["--rule", &rules[0], "--rule", &rules[1]]);
    let error = connect(port).read(&mut [0]).expect_err("no target");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let line = forwarder.wait_for("no target");
    assert!(line.contains("nowhere.invalid"), "{line}");
    connect(other).write_all(b"hello").expect("sent");
    assert_eq!(read_to_end(&mut accept(&listener)), b"hello");
}
