//! The port forwarder with plain sockets as client and remote.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::process::{Server, bounded, sample};

/// Starts a forwarder; returns the remote's listener and the forwarder.
fn forward() -> (TcpListener, Server) {
    let remote = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = remote.local_addr().unwrap().port().to_string();
    let server = Server::start("port_forward", &["-p", "0", "-r", "127.0.0.1", "-P", &port]);
    (remote, server)
}

fn accept(remote: &TcpListener) -> TcpStream {
    bounded(remote.accept().unwrap().0)
}

/// Sends `bytes`, then shuts down the sending half.
fn send(stream: &TcpStream, bytes: Vec<u8>) -> JoinHandle<()> {
    let mut stream = stream.try_clone().unwrap();
    thread::spawn(move || {
        stream.write_all(&bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
    })
}

fn receive(stream: &TcpStream) -> JoinHandle<Vec<u8>> {
    let mut stream = stream.try_clone().unwrap();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

#[test]
fn port_forward_carries_both_directions_at_once() {
    let (remote, forwarder) = forward();
    let (there, back) = (sample(24 << 20), sample((24 << 20) + 1));
    let client = forwarder.connect();
    let remote = accept(&remote);
    let sent = [send(&client, there.clone()), send(&remote, back.clone())];
    let (at_remote, at_client) = (receive(&remote), receive(&client));
    assert!(at_remote.join().unwrap() == there, "what the remote received differs");
    assert!(at_client.join().unwrap() == back, "what the client received differs");
    sent.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn port_forward_loses_nothing_at_half_close() {
    let (remote, forwarder) = forward();
    let (question, answer) = (sample(3 << 20), sample(5 << 20));
    for (question, answer) in
        [(&question, &answer), (&Vec::new(), &answer), (&question, &Vec::new())]
    {
        let client = forwarder.connect();
        let remote = accept(&remote);
        // The answer begins only after the end of the question, as in many protocols.
        let sent = send(&client, question.clone());
        assert!(&receive(&remote).join().unwrap() == question);
        sent.join().unwrap();
        let sent = send(&remote, answer.clone());
        assert!(&receive(&client).join().unwrap() == answer);
        sent.join().unwrap();
    }
}

#[test]
fn port_forward_delivers_bytes_sent_right_before_a_close() {
    let (remote, forwarder) = forward();
    for length in [1, 100_000, 4 << 20] {
        let mut client = forwarder.connect();
        let remote = accept(&remote);
        let received = receive(&remote);
        let question = sample(length);
        client.write_all(&question).unwrap();
        drop(client);
        assert!(received.join().unwrap() == question, "{length} bytes");
    }
}

#[test]
fn port_forward_closes_the_connection_when_the_remote_refuses() {
    let (remote, forwarder) = forward();
    let kept = forwarder.connect();
    let kept_remote = accept(&remote);
    let addr = remote.local_addr().unwrap();
    drop(remote);
    for _ in 0..3 {
        let mut refused = forwarder.connect();
        assert_eq!(refused.read(&mut [0; 1]).unwrap(), 0);
        let line = forwarder.process.stderr.next();
        assert!(line.contains(&format!("cannot connect to {addr}")), "{line}");
    }
    let sent = send(&kept, b"still there?".to_vec());
    assert_eq!(receive(&kept_remote).join().unwrap(), b"still there?");
    sent.join().unwrap();
}

#[test]
fn port_forward_pauses_a_sender_whose_receiver_does_not_read() {
    let (remote, forwarder) = forward();
    let mut client = forwarder.connect();
    let remote = accept(&remote);
    client.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let (piece, most) = (sample(1 << 20), 256 << 20);
    let mut taken = 0;
    // Writing blocks once the sockets' buffers are full, after a few megabytes.
    let stopped = loop {
        match client.write(&piece) {
            Ok(n) => taken += n,
            Err(error) => break error,
        }
        assert!(taken < most, "{taken} bytes were accepted although the receiver does not read");
    };
    assert_eq!(stopped.kind(), ErrorKind::WouldBlock);
    #[cfg(target_os = "linux")]
    assert!(forwarder.process.peak_memory() < 16 * 1024, "{} KiB", forwarder.process.peak_memory());
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(receive(&remote).join().unwrap().len(), taken);
}

#[test]
fn port_forward_accepts_a_remote_host_name() {
    let remote = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = remote.local_addr().unwrap().port().to_string();
    let args = ["-l", "127.0.0.1", "-p", "0", "-r", "localhost", "-P", &port];
    let forwarder = Server::start("port_forward", &args);
    let client = forwarder.connect();
    let sent = send(&client, b"hello".to_vec());
    assert_eq!(receive(&accept(&remote)).join().unwrap(), b"hello");
    sent.join().unwrap();
}
