//! The echo servers.

use std::io::{Read, Write};
use std::net::{Shutdown, UdpSocket};
use std::thread;

use crate::process::{Server, WAIT_LIMIT, sample};

#[test]
fn echo_server_returns_its_input() {
    let server = Server::start("echo_server", &["127.0.0.1:0"]);
    let message = sample(8 << 20);
    let mut stream = server.connect();
    let writer = {
        let (mut stream, message) = (stream.try_clone().unwrap(), message.clone());
        thread::spawn(move || {
            stream.write_all(&message).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        })
    };
    let mut copy = Vec::new();
    stream.read_to_end(&mut copy).unwrap();
    writer.join().unwrap();
    assert!(copy == message, "{} bytes came back of {}", copy.len(), message.len());
}

#[test]
fn echo_server_listens_on_ipv6_too() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return println!("skipped: this machine has no IPv6 loopback address");
    }
    let server = Server::start("echo_server", &["[::1]:0"]);
    let mut stream = server.connect();
    stream.write_all(b"hello").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut copy = Vec::new();
    stream.read_to_end(&mut copy).unwrap();
    assert_eq!(copy, b"hello");
}

#[test]
fn echo_server_serves_others_after_a_reset() {
    let server = Server::start("echo_server", &["127.0.0.1:0"]);
    let rude = server.connect();
    socket2::SockRef::from(&rude).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(rude);
    let mut stream = server.connect();
    stream.write_all(b"still there?").unwrap();
    let mut copy = [0; 12];
    stream.read_exact(&mut copy).unwrap();
    assert_eq!(&copy, b"still there?");
}

#[test]
fn udp_echo_server_answers_each_sender() {
    let server = Server::start("udp_echo_server", &["127.0.0.1:0"]);
    let clients: Vec<UdpSocket> = (0..3)
        .map(|_| {
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            client.set_read_timeout(Some(WAIT_LIMIT)).unwrap();
            client
        })
        .collect();
    let largest = sample(65_507);
    let datagrams: [&[u8]; 4] = [b"one", b"", b"three", &largest];
    for datagram in datagrams {
        for client in &clients {
            client.send_to(datagram, server.addr).unwrap();
        }
        for client in &clients {
            let mut buf = vec![0; 65_535];
            let (n, from) = client.recv_from(&mut buf).unwrap();
            assert_eq!((from, &buf[..n] == datagram), (server.addr, true));
        }
    }
}
