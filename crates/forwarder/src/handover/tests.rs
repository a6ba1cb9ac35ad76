use std::io::{Read, Write};
use std::net::SocketAddr;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};

use super::*;
use crate::config::{Config, Endpoint, Rule};
use crate::server::{Outcome, serve};

fn pair() -> (Socket, Socket) {
    Socket::pair(Domain::UNIX, Type::SEQPACKET, None).unwrap()
}

fn socket_path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("forwarder-{name}-{}.sock", std::process::id()))
}

/// Echoes whatever comes, to any number of clients.
fn echo() -> Endpoint {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            thread::spawn(move || {
                let mut client = client.unwrap();
                let _ = io::copy(&mut client.try_clone().unwrap(), &mut client);
            });
        }
    });
    Endpoint::Host("127.0.0.1".to_owned(), port)
}

fn free_port() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

fn start(config: &Config) -> JoinHandle<anyhow::Result<Outcome>> {
    let config = config.clone();
    thread::spawn(move || serve(&config, None, None))
}

fn ask(path: &Path) -> (Predecessor, Vec<Socket>) {
    loop {
        // The process may not have come to listening yet, or be busy with another that asked.
        if let Ok(Some(answer)) = Predecessor::ask(path) {
            return answer;
        }
        thread::yield_now();
    }
}

fn exchange(client: &mut TcpStream) {
    client.write_all(b"hello").unwrap();
    let mut back = [0; 5];
    client.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"hello");
}

#[test]
fn a_restart_refuses_nobody_and_keeps_what_is_open() {
    let path = socket_path("restart");
    let addr = free_port();
    let rule = Rule::new(Listen::Tcp(addr), vec![echo().into()]);
    let config =
        Config { handover: Some(path.clone()), rules: vec![rule], workers: 2, ..Config::default() };
    let old = start(&config);
    drop(ask(&path));
    let mut held = TcpStream::connect(addr).unwrap();
    exchange(&mut held);

    // The next one has fewer workers than there are sockets.
    let new = start(&Config { workers: 1, ..config });
    // The old one stops accepting at some time in the course of this.
    for _ in 0..200 {
        exchange(&mut TcpStream::connect(addr).unwrap());
    }
    exchange(&mut held);
    drop(held);
    assert_eq!(old.join().unwrap().unwrap(), Outcome::Drained);
    for _ in 0..20 {
        exchange(&mut TcpStream::connect(addr).unwrap());
    }

    let (predecessor, sockets) = ask(&path);
    let at = |socket: &Socket| socket.local_addr().unwrap().as_socket();
    assert_eq!(sockets.iter().map(at).collect::<Vec<_>>(), [Some(addr); 2]);
    predecessor.tell_serving().unwrap();
    assert_eq!(new.join().unwrap().unwrap(), Outcome::Drained);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_process_that_goes_away_before_it_serves_changes_nothing() {
    let path = socket_path("gone");
    let addr = free_port();
    let rule = Rule::new(Listen::Tcp(addr), vec![echo().into()]);
    let config = Config { handover: Some(path.clone()), rules: vec![rule], ..Config::default() };
    let running = start(&config);
    drop(ask(&path));
    exchange(&mut TcpStream::connect(addr).unwrap());
    ask(&path).0.tell_serving().unwrap();
    assert_eq!(running.join().unwrap().unwrap(), Outcome::Drained);
    assert!(TcpStream::connect(addr).is_err());
    std::fs::remove_file(path).unwrap();
}

#[test]
fn only_the_owner_may_connect_and_an_abandoned_socket_is_replaced() {
    let path = socket_path("mode");
    let (first, file) = listen(&path, None).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(listen(&path, None).is_err(), "it is in use");
    drop(first);
    file.leave();
    drop(listen(&path, None).unwrap());
    assert!(!path.exists());
}

#[test]
fn without_a_listener_there_is_no_process_to_take_over_from() {
    let path = socket_path("absent");
    assert!(Predecessor::ask(&path).unwrap().is_none());
    let (socket, file) = listen(&path, None).unwrap();
    drop(socket);
    assert!(Predecessor::ask(&path).unwrap().is_none());
    drop(file);
}

#[test]
fn a_process_that_dies_while_it_hands_over_counts_as_absent() {
    let path = socket_path("dying");
    let (socket, _file) = listen(&path, None).unwrap();
    for begins in [false, true] {
        let socket = socket.try_clone().unwrap();
        let dying = thread::spawn(move || {
            let (peer, _) = socket.accept().unwrap();
            if begins {
                send(peer.as_fd(), 2, &[socket.as_fd()]).unwrap();
            }
        });
        assert!(Predecessor::ask(&path).unwrap().is_none());
        dying.join().unwrap();
    }
}

#[test]
fn of_two_that_start_one_takes_over() {
    let path = socket_path("two");
    let rule = Rule::new(Listen::Tcp(free_port()), vec![echo().into()]);
    let config = Config { handover: Some(path.clone()), rules: vec![rule], ..Config::default() };
    let running = start(&config);
    let (first, _) = ask(&path);
    let (second, _) = ask(&path);
    let (_socket, file) = listen(&path, Some(&second)).unwrap();
    assert!(listen(&path, Some(&first)).is_err(), "the path is the second one's");
    second.tell_serving().unwrap();
    assert_eq!(running.join().unwrap().unwrap(), Outcome::Drained);
    drop(file);
}

fn received(from: &Socket, sender: JoinHandle<()>) -> Vec<Socket> {
    let sockets = receive_all(from).unwrap();
    sender.join().unwrap();
    sockets
}

#[test]
fn more_sockets_than_one_message_carries_arrive() {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = socket.local_addr().unwrap();
    for count in [0, 1, FDS_PER_MESSAGE + 5] {
        let (ours, theirs) = pair();
        let socket = socket.try_clone().unwrap();
        let sender = thread::spawn(move || {
            let many = vec![socket.as_fd(); count];
            for some in many.chunks(FDS_PER_MESSAGE) {
                send(ours.as_fd(), count, some).unwrap();
            }
            if many.is_empty() {
                send(ours.as_fd(), 0, &[]).unwrap();
            }
        });
        let sockets = received(&theirs, sender);
        assert_eq!(sockets.len(), count);
        assert!(sockets.iter().all(|it| it.local_addr().unwrap().as_socket() == Some(addr)));
    }
}

#[test]
fn what_is_no_handover_is_refused() {
    for message in [&b"hello"[..], b"fwd2\0\0\0\0", b"fwd1\0\0\0\x01"] {
        let (ours, theirs) = pair();
        ours.send(message).unwrap();
        assert!(receive_all(&theirs).is_err(), "{}", message.escape_ascii());
    }
}
