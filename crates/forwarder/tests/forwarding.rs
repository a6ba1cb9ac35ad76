//! The program between real sockets.

mod util;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use socket2::{Domain, SockAddr, Socket, Type};
use util::daemon::listens;
use util::folder::Folder;
use util::{Forwarder, PATIENCE, accept, connect, ending, free_port, read_to_end, target};

/// Bytes that look like no others, `seed` times a number.
fn pattern(len: usize, seed: u32) -> Vec<u8> {
    (0..len as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761).wrapping_mul(seed) >> 24) as u8)
        .collect()
}

fn send_all(mut to: TcpStream, bytes: Vec<u8>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        to.write_all(&bytes).expect("all is taken");
        to.shutdown(Shutdown::Write).expect("an end");
    })
}

#[test]
fn streams_both_ways_at_once_arrive_whole() {
    let (listener, addr) = target();
    let port = free_port();
    let _forwarder = Forwarder::start(&[&port.to_string(), &addr.to_string()]);
    let mut client = connect(port);
    let mut server = accept(&listener);
    let (up, down) = (pattern(48 << 20, 3), pattern(48 << 20, 5));
    let senders = [
        send_all(client.try_clone().expect("a copy"), up.clone()),
        send_all(server.try_clone().expect("a copy"), down.clone()),
    ];
    let received = thread::spawn(move || read_to_end(&mut server));
    assert!(read_to_end(&mut client) == down, "the target's bytes came otherwise");
    assert!(received.join().expect("the reader") == up, "the client's bytes came otherwise");
    for sender in senders {
        sender.join().expect("the sender");
    }
}

#[test]
fn an_answer_still_comes_after_the_client_has_ended_its_half() {
    let (listener, addr) = target();
    let port = free_port();
    let _forwarder = Forwarder::start(&[&port.to_string(), &addr.to_string()]);
    let mut client = connect(port);
    let mut server = accept(&listener);
    client.write_all(b"question").expect("sent");
    client.shutdown(Shutdown::Write).expect("ended");
    assert_eq!(read_to_end(&mut server), b"question");
    server.write_all(b"answer").expect("sent");
    drop(server);
    assert_eq!(read_to_end(&mut client), b"answer");
}

#[test]
fn a_reset_is_passed_on_as_a_reset_and_told_in_the_log() {
    let (listener, addr) = target();
    let port = free_port();
    let forwarder = Forwarder::start(&[&port.to_string(), &addr.to_string()]);
    let mut client = connect(port);
    let mut server = accept(&listener);
    client.write_all(b"x").expect("sent");
    server.read_exact(&mut [0; 1]).expect("passed on");
    socket2::SockRef::from(&server).set_linger(Some(Duration::ZERO)).expect("an option");
    drop(server);
    let error = client.read(&mut [0; 1]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(forwarder.wait_for("connection").contains("reset by the target"));
}

#[test]
fn a_target_that_refuses_is_passed_over_for_the_next() {
    let (listener, addr) = target();
    let (port, dead) = (free_port(), free_port());
    let rule = format!("{port}={dead},{addr}");
    let forwarder = Forwarder::start(&["--rule", &rule, "--balance", "first"]);
    let mut client = connect(port);
    let mut server = accept(&listener);
    forwarder.wait_for("refused");
    client.write_all(b"x").expect("sent");
    drop(client);
    assert_eq!(read_to_end(&mut server), b"x");
}

#[test]
fn a_client_is_reset_when_no_target_answers() {
    let (port, dead) = (free_port(), free_port());
    let forwarder = Forwarder::start(&[&port.to_string(), &dead.to_string()]);
    let mut client = connect(port);
    let error = client.read(&mut [0; 1]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(forwarder.wait_for("no target").contains("refused"));
}

#[test]
fn sigterm_lets_open_connections_finish_and_exits_with_0() {
    let (listener, addr) = target();
    let port = free_port();
    let forwarder = Forwarder::start(&[&port.to_string(), &addr.to_string()]);
    let mut client = connect(port);
    let mut server = accept(&listener);
    forwarder.signal(Signal::TERM);
    forwarder.wait_for("draining");
    // The workers hear of it a moment after the log does.
    let start = Instant::now();
    while listens(port) {
        assert!(start.elapsed() < PATIENCE, "it still accepts");
        thread::yield_now();
    }
    assert!(TcpStream::connect(port).is_err(), "nothing new is accepted");
    client.write_all(b"late").expect("sent");
    drop(client);
    assert_eq!(read_to_end(&mut server), b"late");
    drop(server);
    assert_eq!(forwarder.exit_status().code(), Some(0));
}

#[test]
fn a_second_signal_ends_at_once_with_3() {
    let (listener, addr) = target();
    let port = free_port();
    let forwarder = Forwarder::start(&[&port.to_string(), &addr.to_string()]);
    let _client = connect(port);
    let _server = accept(&listener);
    forwarder.signal(Signal::TERM);
    forwarder.wait_for("draining");
    forwarder.signal(Signal::TERM);
    assert_eq!(forwarder.exit_status().code(), Some(3));
}

#[test]
fn several_workers_share_the_port() {
    let (listener, addr) = target();
    let port = free_port();
    let _forwarder = Forwarder::start(&["--workers", "2", &port.to_string(), &addr.to_string()]);
    for turn in 0..20u8 {
        let mut client = connect(port);
        let mut server = accept(&listener);
        client.write_all(&[turn]).expect("sent");
        drop(client);
        assert_eq!(read_to_end(&mut server), [turn]);
    }
}

#[test]
fn a_reload_adds_and_removes_rules_and_leaves_connections_alone() {
    let (listener, addr) = target();
    let (first, second) = (free_port(), free_port());
    let file = std::env::temp_dir().join(format!("forwarder-{}.toml", std::process::id()));
    let rule = |listen| format!("[[rule]]\nlisten = \"{listen}\"\ntargets = [\"{addr}\"]\n");
    std::fs::write(&file, rule(first)).expect("a file");
    let forwarder = Forwarder::start(&["--config", file.to_str().expect("a path")]);
    let mut client = connect(first);
    let mut server = accept(&listener);

    std::fs::write(&file, "[[rule]]\nlisten = 7").expect("a file");
    forwarder.signal(Signal::HUP);
    forwarder.wait_for("nothing has changed");
    drop(connect(first));
    drop(accept(&listener));

    std::fs::write(&file, rule(second)).expect("a file");
    forwarder.signal(Signal::HUP);
    forwarder.wait_for("reloaded");
    let mut other = connect(second);
    let mut other_server = accept(&listener);
    other.write_all(b"new").expect("sent");
    drop(other);
    assert_eq!(read_to_end(&mut other_server), b"new");
    assert!(TcpStream::connect(first).is_err(), "the old rule is gone");

    client.write_all(b"old").expect("sent");
    drop(client);
    assert_eq!(read_to_end(&mut server), b"old");
    std::fs::remove_file(&file).expect("the file");
}

#[test]
fn whom_the_system_has_accepted_when_a_rule_is_removed_is_still_served_by_it() {
    let folder = Folder::new("removed");
    let (addr, removed, kept) = (util::load::echo(), free_port(), free_port());
    let rule = |listen| format!("[[rule]]\nlisten = \"{listen}\"\ntargets = [\"{addr}\"]\n");
    let file = folder.write("conf.toml", rule(removed));
    let forwarder = Forwarder::start(&["--config", &file]);
    folder.write("conf.toml", rule(kept));
    forwarder.signal(Signal::STOP);
    // More than are accepted before anything else has its turn.
    let mut clients: Vec<_> = (0..300).map(|_| connect(removed)).collect();
    forwarder.signal(Signal::HUP);
    forwarder.signal(Signal::CONT);
    forwarder.wait_for("reloaded");
    for client in &mut clients {
        client.write_all(b"x").expect("sent");
        client.read_exact(&mut [0]).expect("served");
    }
    assert!(TcpStream::connect(removed).is_err(), "the rule is gone");
}

#[test]
fn clients_of_a_unix_target_whose_backlog_is_full_are_served_when_it_has_room() {
    let folder = Folder::new("full-backlog");
    let target = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    target.bind(&SockAddr::unix(folder.path().join("t")).expect("a path")).expect("bound");
    target.listen(1).expect("listening");
    let port = free_port();
    let endpoint = format!("unix:{}", folder.arg("t"));
    let _forwarder = Forwarder::start(&[&port.to_string(), &endpoint]);
    let mut clients: Vec<_> = (0..8).map(|_| connect(port)).collect();
    for client in &mut clients {
        client.write_all(b"question").expect("sent");
    }
    for _ in 0..clients.len() {
        let (server, _) = target.accept().expect("a connection from the forwarder");
        (&server).read_exact(&mut [0; 8]).expect("received");
        (&server).write_all(b"answer").expect("sent");
    }
    for client in &mut clients {
        assert_eq!(read_to_end(client), b"answer");
    }
}

#[test]
fn clients_of_a_unix_target_whose_backlog_stays_full_are_reset_after_the_connect_timeout() {
    let folder = Folder::new("stays-full");
    let target = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    target.bind(&SockAddr::unix(folder.path().join("t")).expect("a path")).expect("bound");
    target.listen(0).expect("listening");
    let port = free_port();
    let endpoint = format!("unix:{}", folder.arg("t"));
    let forwarder = Forwarder::start(&[&port.to_string(), &endpoint, "--connect-timeout", "300ms"]);
    // The target's system takes some of them.
    let mut clients: Vec<_> = (0..8).map(|_| connect(port)).collect();
    forwarder.wait_for("its backlog is full");
    assert_eq!(ending(&mut clients[7]), Err(ErrorKind::ConnectionReset));
}
