//! The echo server behind a PROXY header.

use std::io::{Read, Write};
use std::net::Shutdown;

use crate::process::Server;

const HEADER: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n";

#[test]
fn proxied_echo_returns_what_follows_the_header_and_prints_the_client() {
    let server = Server::start("proxied_echo", &["127.0.0.1:0"]);
    for pieces in [&[HEADER, b"hello"][..], &[&HEADER[..20], &HEADER[20..], b"hel", b"lo"]] {
        let mut stream = server.connect();
        stream.set_nodelay(true).unwrap();
        for piece in pieces {
            stream.write_all(piece).unwrap();
        }
        stream.shutdown(Shutdown::Write).unwrap();
        let mut copy = Vec::new();
        stream.read_to_end(&mut copy).unwrap();
        assert_eq!(copy, b"hello");
        assert_eq!(server.process.stdout.next(), "192.0.2.1:56324");
    }
}

#[test]
fn proxied_echo_closes_a_connection_without_a_header() {
    let server = Server::start("proxied_echo", &["127.0.0.1:0"]);
    for wrong in [&b"GET / HTTP/1.0\r\n\r\n"[..], &[b'P'; 200]] {
        let mut stream = server.connect();
        stream.write_all(wrong).unwrap();
        let mut answer = Vec::new();
        // Input that was not read can make the close a reset.
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty());
        let line = server.process.stderr.next();
        assert!(line.contains("the connection begins with no PROXY header"), "{line}");
    }
}
