//! The HTTP server's connection handler on a simulated network, in virtual time.

#[allow(dead_code, reason = "the test serves no directory")]
#[path = "../../examples/http_server/builtin.rs"]
mod builtin;
#[path = "../../examples/http_server/files.rs"]
mod files;
#[path = "../../examples/http_server/form.rs"]
mod form;
#[allow(dead_code, reason = "the test serves no directory")]
#[path = "../../examples/http_server/site.rs"]
mod site;

use std::net::SocketAddr;
use std::time::Duration;

use asyncore::sim::{Faults, Network, Peer};
use asyncore::{Domain, EventLoop, SocketMap, Type};
use asyncore_http::Server;
use site::Site;

/// Starts a server on `network`; returns its map and a connected client.
fn serve(network: &Network) -> (EventLoop, Peer) {
    let mut map = SocketMap::simulated(network);
    let addr = SocketAddr::from(([127, 0, 0, 1], 80));
    map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.bind(addr)?;
        ch.listen(16)?;
        Ok(Server::new(Site::built_in()))
    })
    .expect("a listener");
    (map, network.connect(addr))
}

/// Runs the server until the client has seen the end; returns everything that it received.
fn run_to_the_end(map: &mut EventLoop, client: &Peer) -> String {
    let mut received = Vec::new();
    for _ in 0..100_000 {
        received.extend(client.received());
        if client.saw_eof() || client.was_reset() {
            return String::from_utf8_lossy(&received).into_owned();
        }
        let _ = map.poll(Some(Duration::from_millis(100))).expect("a pass");
    }
    panic!("the connection does not end");
}

#[test]
fn http_server_closes_an_idle_connection_after_30_seconds() {
    let network = Network::with_faults(1, Faults::none());
    let (mut map, client) = serve(&network);
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n");
    let received = run_to_the_end(&mut map, &client);
    assert!(received.starts_with("HTTP/1.1 200 ") && received.ends_with("\r\n\r\n{}\n"));
    assert_eq!(network.elapsed().as_secs(), 30);
}

#[test]
fn http_server_answers_408_to_a_stalled_request() {
    for begun in ["GET / HT", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc"] {
        let network = Network::with_faults(2, Faults::none());
        let (mut map, client) = serve(&network);
        client.send(begun.as_bytes());
        let received = run_to_the_end(&mut map, &client);
        assert!(received.starts_with("HTTP/1.1 408 "), "{received}");
        assert_eq!(network.elapsed().as_secs(), 30);
    }
}

#[test]
fn http_server_answers_408_to_a_trickling_request() {
    let network = Network::with_faults(3, Faults::none());
    let (mut map, client) = serve(&network);
    let mut received = Vec::new();
    while network.elapsed() < Duration::from_secs(120) && !client.saw_eof() {
        client.send(b"x");
        let until = network.elapsed() + Duration::from_secs(5);
        while network.elapsed() < until {
            let _ = map.poll(Some(Duration::from_secs(1))).expect("a pass");
        }
        received.extend(client.received());
    }
    assert!(received.starts_with(b"HTTP/1.1 408 "), "{}", received.escape_ascii());
    assert!((60..80).contains(&network.elapsed().as_secs()), "{:?}", network.elapsed());
}

#[test]
fn http_server_answers_do_not_depend_on_segmentation() {
    let faults = Faults { reset: 0.0, ..Faults::harsh() };
    for seed in 0..50 {
        let network = Network::with_faults(seed, faults.clone());
        let (mut map, client) = serve(&network);
        for number in 0..20 {
            let (body, closing) = (format!("n={number}"), ["", "Connection: close\r\n"]);
            let (length, close) = (body.len(), closing[usize::from(number == 19)]);
            let request = format!(
                "POST / HTTP/1.1\r\nHost: a\r\n{close}Content-Length: {length}\r\n\r\n{body}"
            );
            client.send(request.as_bytes());
        }
        let received = run_to_the_end(&mut map, &client);
        let bodies: Vec<&str> = received.lines().filter(|line| line.starts_with('{')).collect();
        let expected: Vec<String> = (0..20).map(|n| format!("{{\"n\":\"{n}\"}}")).collect();
        assert_eq!(bodies, expected, "seed {seed}");
    }
}
