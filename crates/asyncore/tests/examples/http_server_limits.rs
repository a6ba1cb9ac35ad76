//! The HTTP server's responses to invalid and excessive requests.

use std::io::Write;
use std::net::Shutdown;

use crate::http::{Dialogue, Site, ask};

#[test]
fn http_server_answers_431_to_endless_headers() {
    let site = Site::new("endless");
    let server = site.serve();
    for chunk in ["X-Filler: aaaaaaaaaaaaaaaa\r\n", "a"] {
        let mut dialogue = Dialogue::new(&server);
        let endless = format!("GET / HTTP/1.1\r\n{}", chunk.repeat(17_000 / chunk.len()));
        dialogue.send(endless);
        let answer = dialogue.answer();
        assert_eq!((answer.status, answer.header("Connection")), (431, Some("close")));
        dialogue.assert_ended();
    }
    let many = "A: b\r\n".repeat(101);
    let answer = ask(&server, format!("GET / HTTP/1.1\r\nHost: test\r\n{many}\r\n"));
    assert_eq!(answer.status, 431);
}

#[test]
fn http_server_answers_413_before_an_oversized_body() {
    let site = Site::new("long");
    let server = site.serve();
    for length in ["1048577", "18446744073709551616", "99999999999999999999999999"] {
        let mut dialogue = Dialogue::new(&server);
        dialogue.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"));
        assert_eq!(dialogue.answer().status, 413, "{length}");
        dialogue.assert_ended();
    }
    // The maximum that the server accepts.
    let body = format!("a={}", "b".repeat((1 << 20) - 2));
    let request = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n{body}");
    assert_eq!(ask(&server, request).body.len(), body.len() + "{\"\":\"\"}\n".len() - 1);
}

#[test]
fn http_server_delivers_413_to_a_client_that_keeps_sending() {
    let site = Site::new("sends-on");
    let server = site.serve();
    let mut dialogue = Dialogue::new(&server);
    let length = 4 << 20;
    let mut stream = dialogue.stream().try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&vec![b'x'; length]).expect("what is refused is still read");
        stream.shutdown(Shutdown::Write).unwrap();
    });
    writer.join().unwrap();
    assert_eq!(dialogue.answer().status, 413);
    dialogue.assert_ended();
}

#[test]
fn http_server_refuses_malformed_requests_and_serves_others() {
    let site = Site::new("refuses");
    let server = site.serve();
    let mut patient = Dialogue::new(&server);
    patient.send("GET /small.txt HTTP/1.1\r\nHo");
    for (request, status) in [
        ("nonsense\r\n\r\n", 400),
        ("GET /\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\x01\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: a\n\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na", 400),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0",
            411,
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n", 417),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("\u{16}\u{3}\u{1}\r\n\r\n", 400),
    ] {
        let mut dialogue = Dialogue::new(&server);
        dialogue.send(request);
        let answer = dialogue.answer();
        assert_eq!(answer.status, status, "{request:?}: {}", answer.text());
        assert_eq!(answer.header("Connection"), Some("close"));
        dialogue.assert_ended();
    }
    patient.send("st: test\r\n\r\n");
    assert_eq!(patient.answer().text(), "small");
    let log = server.process.stderr.so_far();
    assert!(!log.iter().any(|line| line.contains("ERROR")), "a client is no error: {log:?}");
}

#[test]
fn http_server_pauses_a_client_that_does_not_read() {
    let site = Site::new("greedy");
    let server = site.serve();
    let greedy = Dialogue::new(&server);
    let asked = "GET /large.bin HTTP/1.1\r\nHost: test\r\n\r\n".repeat(1000);
    let mut stream = greedy.stream().try_clone().unwrap();
    stream.set_nonblocking(true).unwrap();
    // The responses add up to 3 GB, so the server must not prepare them ahead.
    let mut rest = asked.as_bytes();
    while let Ok(n) = stream.write(rest) {
        rest = &rest[n..];
        if rest.is_empty() {
            break;
        }
    }
    assert_eq!(ask(&server, "GET /small.txt HTTP/1.0\r\n\r\n").text(), "small");
    #[cfg(target_os = "linux")]
    assert!(server.process.open_files() < 20, "{} files", server.process.open_files());
    #[cfg(target_os = "linux")]
    assert!(server.process.peak_memory() < 64 * 1024, "{} KiB", server.process.peak_memory());
}
