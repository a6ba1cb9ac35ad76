//! The echo servers that run inside another library's loop.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::thread;

use crate::process::{Server, bounded, sample};

const EXAMPLES: [&str; 2] = ["inside_tokio", "inside_calloop"];

/// Starts an example; the second address that it prints is that of its status.
fn start(name: &str) -> (Server, SocketAddr) {
    let server = Server::start(name, &["127.0.0.1:0", "127.0.0.1:0"]);
    let status = server.process.stdout.next().parse().expect("the second line is an address");
    (server, status)
}

fn status(addr: SocketAddr) -> String {
    let mut stream = bounded(std::net::TcpStream::connect(addr).expect("the status is served"));
    let mut line = String::new();
    stream.read_to_string(&mut line).unwrap();
    line
}

#[test]
fn an_embedded_echo_server_returns_what_it_is_sent() {
    for name in EXAMPLES {
        let (server, _) = start(name);
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
        assert!(copy == message, "{name}: {} bytes came back of {}", copy.len(), message.len());
    }
}

#[test]
fn an_embedded_echo_server_serves_connections_beside_the_outer_loops_own() {
    for name in EXAMPLES {
        let (server, status_addr) = start(name);
        assert_eq!(status(status_addr), "0 connections, 0 bytes\n", "{name}");
        let mut streams: Vec<_> = (0..20).map(|_| server.connect()).collect();
        for round in 1..=3 {
            for stream in &mut streams {
                stream.write_all(b"hello").unwrap();
            }
            for stream in &mut streams {
                let mut echo = [0; 5];
                stream.read_exact(&mut echo).unwrap();
                assert_eq!(&echo, b"hello", "{name}");
            }
            let told = format!("20 connections, {} bytes\n", 100 * round);
            assert_eq!(status(status_addr), told, "{name}");
        }
    }
}
