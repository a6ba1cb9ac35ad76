use std::cell::RefCell;
use std::io::Read as _;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use asyncore::sim::{Faults, Network, Peer};
use asyncore::{Channel, Domain, EventLoop, ReaderProducer, SocketMap, Type};

use super::*;

const MAX_CONNECTIONS: usize = 20;

const ADDR: &str = "192.0.2.1:80";

/// Answers with what was asked for, except for some paths.
#[derive(Default)]
struct Mirror {
    /// What waits for an answer to `/later`.
    replies: RefCell<Vec<Reply>>,
}

impl Service for Rc<Mirror> {
    fn max_connections(&self) -> usize {
        MAX_CONNECTIONS
    }

    fn headers(&self) -> &'static str {
        "X-Always: yes\r\n"
    }

    fn respond(&self, _ch: &mut Channel<'_>, request: &Request, reply: Reply) -> Answer {
        match &*request.path {
            "/later" => {
                self.replies.borrow_mut().push(reply);
                Answer::Later
            }
            "/long" => {
                let zeros = ReaderProducer::new(std::io::repeat(b'0').take(200_000));
                Answer::Now(Response::produced("text/plain", 200_000, zeros))
            }
            path => {
                let body = String::from_utf8_lossy(&request.body);
                Answer::Now(Response::text(200, &format!("{} {path}{body}", request.method)))
            }
        }
    }
}

struct Harness {
    network: Network,
    map: EventLoop,
    mirror: Rc<Mirror>,
}

impl Harness {
    fn new() -> Self {
        Harness::on(Network::with_faults(7, Faults::none()))
    }

    fn on(network: Network) -> Self {
        let mut map = SocketMap::simulated(&network);
        let mirror = Rc::new(Mirror::default());
        let service = Rc::clone(&mirror);
        map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.bind(ADDR.parse::<SocketAddr>().unwrap())?;
            ch.listen(1024)?;
            Ok(Server::new(service))
        })
        .unwrap();
        Harness { network, map, mirror }
    }

    fn connect(&mut self) -> Peer {
        self.network.connect(ADDR.parse().unwrap())
    }

    /// Lets happen what happens within half a second.
    fn settle(&mut self) {
        let end = self.network.elapsed() + Duration::from_millis(500);
        while self.network.elapsed() < end {
            let _ = self.map.poll(Some(Duration::from_millis(1))).unwrap();
        }
    }

    fn wait(&mut self, span: Duration) {
        self.network.advance(span);
        self.settle();
    }

    /// What comes as the answer to `request`.
    fn ask(&mut self, peer: &Peer, request: &str) -> String {
        peer.send(request.as_bytes());
        self.settle();
        text(peer)
    }
}

fn text(peer: &Peer) -> String {
    String::from_utf8(peer.received()).unwrap()
}

/// The status lines and bodies of answers in a row, by their lengths.
fn answers(mut text: &str) -> Vec<(u16, &str)> {
    let mut answers = Vec::new();
    while !text.is_empty() {
        let (head, rest) = text.split_once("\r\n\r\n").expect("a head");
        let status = head["HTTP/1.1 ".len()..][..3].parse().expect("a status");
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let (body, next) = rest.split_at(length.expect("a length").parse().expect("a number"));
        answers.push((status, body));
        text = next;
    }
    answers
}

#[test]
fn a_connection_serves_one_request_after_the_other() {
    let mut harness = Harness::new();
    let peer = harness.connect();
    for path in ["/a", "/b", "http://192.0.2.1/c?x=1"] {
        let answer = harness.ask(&peer, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert!(!answer.contains("Connection:"), "{answer}");
        assert_eq!(answers(&answer)[0].0, 200);
    }
    assert!(peer.is_connected());
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    for seed in 0..8 {
        let mut harness = Harness::on(Network::with_faults(seed, Faults::mild()));
        let peer = harness.connect();
        let paths = ["/1", "/later", "/long", "/3"];
        for path in paths {
            peer.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        }
        let mut all = String::new();
        for _ in 0..40 {
            harness.settle();
            all += &text(&peer);
        }
        assert!(!all.contains("000") && !all.contains("/3"), "seed {seed}: out of turn: {all}");
        let reply = harness.mirror.replies.borrow_mut().pop();
        if let Some(reply) = reply {
            let service = Rc::clone(&harness.mirror);
            let helper = harness.map.add_with(|_| Ok(Server::new(service))).unwrap();
            harness.map.with(helper, |_, ch| {
                reply.send(ch, Response::text(200, "at last"));
                reply.send(ch, Response::text(200, "twice"));
            });
        }
        // However slow this network is.
        for _ in 0..100 {
            harness.settle();
            all += &text(&peer);
        }
        let zeros = "0".repeat(200_000);
        let wanted = [(200, "GET /1\n"), (200, "at last\n"), (200, &zeros), (200, "GET /3\n")];
        assert_eq!(answers(&all), wanted, "seed {seed}");
    }
}

#[test]
fn head_gets_the_head_only() {
    let mut harness = Harness::new();
    let peer = harness.connect();
    let answer = harness.ask(&peer, "HEAD /long HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.contains("Content-Length: 200000\r\n") && answer.ends_with("\r\n\r\n"));
    let answer = harness.ask(&peer, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(answers(&answer), [(200, "GET /a\n")]);
}

#[test]
fn bodies_are_collected() {
    let mut harness = Harness::new();
    let peer = harness.connect();
    let body = "GET /no HTTP/1.1\r\n\r\n";
    let length = body.len();
    let post = format!("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}");
    let answer = harness.ask(&peer, &format!("{post}DELETE /b HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_eq!(answers(&answer), [(200, &*format!("POST /a{body}\n")), (200, "DELETE /b\n")]);
}

#[test]
fn a_client_that_expects_100_continue_gets_it() {
    let mut harness = Harness::new();
    let peer = harness.connect();
    let expect = "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    let go_on = harness.ask(&peer, &format!("POST /a HTTP/1.1\r\nHost: x\r\n{expect}"));
    assert_eq!(go_on, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(answers(&harness.ask(&peer, "ok")), [(200, "POST /aok\n")]);
}

#[test]
fn connections_end_when_the_client_or_its_version_says_so() {
    for request in [
        "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "GET /a HTTP/1.0\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: x\r\nConnection: Keep-Alive, Close\r\n\r\n",
    ] {
        let mut harness = Harness::new();
        let peer = harness.connect();
        let answer = harness.ask(&peer, request);
        assert!(answer.contains("\r\nConnection: close\r\n"), "{request} got {answer}");
        assert!(peer.saw_eof(), "{request}");
    }
    let mut harness = Harness::new();
    let peer = harness.connect();
    let answer = harness.ask(&peer, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert!(answer.contains("\r\nConnection: keep-alive\r\n") && !peer.saw_eof());
}

#[test]
fn a_client_that_has_ended_its_half_is_still_answered() {
    let mut harness = Harness::new();
    let peer = harness.connect();
    peer.send(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    peer.shutdown();
    harness.settle();
    assert_eq!(answers(&text(&peer)), [(200, "GET /a\n")]);
    assert!(peer.saw_eof());
}

#[test]
fn malformed_requests_are_refused_and_end_the_connection() {
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(100));
    let headed = |header: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n");
    for (request, status) in [
        ("\u{16}\u{3}\u{1}\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        ("GET nowhere HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: x\n\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (&long, 431),
        (&many, 431),
        (&headed("Content-Length: 65537"), 413),
        (&headed("Content-Length: 99999999999999999999999"), 413),
        (&headed("Content-Length: +5"), 400),
        (&headed("Content-Length: 5\r\nContent-Length: 6"), 400),
        (&headed("Transfer-Encoding: chunked"), 411),
        (&headed("Expect: the-unexpected"), 417),
    ] {
        let mut harness = Harness::new();
        let peer = harness.connect();
        let answer = harness.ask(&peer, request);
        assert_eq!(answers(&answer)[0].0, status, "{request:?} got {answer:?}");
        assert!(peer.saw_eof(), "{request:?}");
    }
}

#[test]
fn idle_clients_get_408_within_a_request_and_are_closed_between_two() {
    let mut harness = Harness::new();
    let (inside, between) = (harness.connect(), harness.connect());
    assert_eq!(harness.ask(&inside, "GET / HT"), "");
    harness.ask(&between, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    harness.wait(Duration::from_secs(31));
    assert_eq!(answers(&text(&inside))[0].0, 408);
    assert_eq!(text(&between), "");
    assert!(between.saw_eof());
}

#[test]
fn a_request_that_trickles_in_is_refused_after_a_minute() {
    let mut harness = Harness::new();
    let peer = harness.connect();
    for _ in 0..7 {
        peer.send(b"G");
        harness.wait(Duration::from_secs(10));
    }
    assert_eq!(answers(&text(&peer))[0].0, 408);
    assert!(peer.saw_eof());
}

/// Occupies all places with connections that have sent `begun`.
fn fill(harness: &mut Harness, begun: &str) -> Vec<Peer> {
    let peers: Vec<_> = (0..MAX_CONNECTIONS).map(|_| harness.connect()).collect();
    peers.iter().for_each(|peer| peer.send(begun.as_bytes()));
    harness.settle();
    peers
}

#[test]
fn a_new_client_displaces_the_quietest_one_when_all_places_are_taken() {
    let complete = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
    let unread = "GET /long HTTP/1.1\r\nHost: x\r\n\r\n";
    for begun in ["", "GET / HT", complete, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n", unread] {
        let mut harness = Harness::new();
        let peers = fill(&mut harness, begun);
        for _ in 0..3 {
            let next = harness.connect();
            let answer = harness.ask(&next, complete);
            assert_eq!(answers(&answer), [(200, "GET /a\n")], "beside {begun:?}");
        }
        let is_open = |peer: &&Peer| peer.is_connected() && !peer.saw_eof();
        assert!(peers.iter().filter(is_open).count() >= MAX_CONNECTIONS - 3, "beside {begun:?}");
    }
}

#[test]
fn slow_requests_are_displaced_before_idle_clients_and_these_before_answers() {
    let mut harness = Harness::new();
    let waiting = harness.connect();
    waiting.send(b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    let slow = harness.connect();
    slow.send(b"G");
    harness.wait(Duration::from_secs(5));
    let mut idle: Vec<_> = (2..MAX_CONNECTIONS).map(|_| harness.connect()).collect();
    harness.wait(Duration::from_secs(2));
    // However recent its last byte is.
    slow.send(b"E");
    harness.settle();
    idle.push(harness.connect());
    harness.settle();
    assert!(slow.saw_eof() || slow.was_reset());
    idle.push(harness.connect());
    harness.settle();
    assert!(idle[0].saw_eof() || idle[0].was_reset(), "the oldest of them");
    assert!(!waiting.saw_eof() && waiting.is_connected());
}

#[test]
fn every_response_has_the_headers_of_the_service() {
    let mut harness = Harness::new();
    let peer = harness.connect();
    let answer =
        harness.ask(&peer, "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET nowhere HTTP/1.1\r\n\r\n");
    assert_eq!(answer.matches("\r\nX-Always: yes\r\n").count(), 2, "{answer}");
}

#[test]
fn a_request_shows_no_header_when_it_is_logged() {
    let head = b"GET /a?b HTTP/1.1\r\nHost: x\r\nAuthorization: bearer s3cret";
    let request = Request::parse(head).unwrap();
    assert_eq!(request.header("authorization"), Some(&b"bearer s3cret"[..]));
    assert_eq!(format!("{request:?}"), "Request(GET /a?b HTTP/1.1)");
}
