//! The HTTP client, with the example server and with misbehaving servers.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use crate::http::Site;
use crate::process::{Ended, bounded, run};

#[test]
fn http_client_writes_the_body_and_nothing_else() {
    let site = Site::new("client");
    let server = site.serve();
    let host = server.addr.to_string();
    let ended = run("http_client", &[&host, "/large.bin"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(ended.stdout == site.large);
    let ended = run("http_client", &[&format!("localhost:{}", server.addr.port()), "/small.txt"]);
    assert_eq!((ended.code, ended.stdout.as_slice()), (Some(0), &b"small"[..]));
    let ended = run("http_client", &[host.as_str(), "/empty.css"]);
    assert_eq!((ended.code, ended.stdout.len()), (Some(0), 0));
}

/// Accepts one connection on `addr`, sends `answer` and closes it; returns the request's lines.
fn serve_once(addr: &str, answer: &'static [u8]) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind(addr).unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || {
        let mut stream = BufReader::new(bounded(listener.accept().unwrap().0));
        let mut request = Vec::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            if line == "\r\n" {
                break;
            }
            request.push(line.trim_end().to_owned());
        }
        stream.get_mut().write_all(answer).unwrap();
        request
    });
    (host, server)
}

#[test]
fn http_client_sends_http_1_0_and_reads_to_the_end() {
    let (host, server) =
        serve_once("127.0.0.1:0", b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nup to\r\n\r\nthe end");
    let ended = run("http_client", &[host.as_str(), "/a?b=c"]);
    assert_eq!((ended.code, ended.stdout.as_slice()), (Some(0), &b"up to\r\n\r\nthe end"[..]));
    assert_eq!(server.join().unwrap(), ["GET /a?b=c HTTP/1.0", &format!("Host: {host}")]);
}

#[test]
fn http_client_takes_an_ipv6_address_in_brackets() {
    if TcpListener::bind("[::1]:0").is_err() {
        return println!("skipped: this machine has no IPv6 loopback address");
    }
    let (host, server) = serve_once("[::1]:0", b"HTTP/1.0 404 Not Found\r\n\r\nnot here");
    assert!(host.starts_with("[::1]:"));
    let ended = run("http_client", &[host.as_str(), "/"]);
    assert_eq!((ended.code, ended.stdout.as_slice()), (Some(0), &b"not here"[..]));
    assert_eq!(server.join().unwrap()[1], format!("Host: {host}"));
}

#[test]
fn http_client_reads_at_most_the_content_length() {
    for (answer, body) in [
        (&b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbody and more"[..], &b"body"[..]),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", b""),
        (b"HTTP/1.0 204 No Content\r\n\r\n", b""),
    ] {
        let (host, server) = serve_once("127.0.0.1:0", answer);
        let ended = run("http_client", &[host.as_str(), "/"]);
        assert_eq!((ended.code, ended.stdout.as_slice()), (Some(0), body), "{}", ended.stderr);
        server.join().unwrap();
    }
}

#[track_caller]
fn assert_one_sentence(ended: &Ended, part: &str) {
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.starts_with("http_client: ") && ended.stderr.contains(part),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
}

#[test]
fn http_client_explains_a_malformed_response() {
    let endless = vec![b'a'; 70_000].leak();
    for (answer, part) in [
        (&b"nonsense\r\n\r\n"[..], "malformed headers (invalid HTTP version): \"nonsense\""),
        (b"nonsense\n", "malformed headers (invalid HTTP version): \"nonsense\""),
        (b"HTTP/1.1 abc OK\r\n\r\n", "malformed headers"),
        (b"HTTP/1.1 200 OK\r\n: x\r\n\r\n", "malformed headers"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "malformed Content-Length: \"x\""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbody", "5 bytes before the end of the body"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "chunked"),
        (b"HTTP/1.1 200 OK\r\nA: ", "within the headers"),
        (b"", "within the headers"),
        (&*endless, "too long"),
    ] {
        let (host, server) = serve_once("127.0.0.1:0", answer);
        assert_one_sentence(&run("http_client", &[host.as_str(), "/"]), part);
        server.join().unwrap();
    }
}

#[test]
fn http_client_explains_a_failed_connection() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let sentence = format!("cannot connect to {closed}: ");
    assert_one_sentence(&run("http_client", &[closed.as_str(), "/"]), &sentence);
    // A label this long is invalid, so the look-up fails without a name server.
    let name = "a".repeat(70);
    let sentence = format!("cannot resolve host \"{name}\": ");
    assert_one_sentence(&run("http_client", &[&format!("{name}:80"), "/"]), &sentence);
}
