use std::cell::RefCell;
use std::io::Read as _;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use asyncore::sim::{Faults, Network, Peer};
use asyncore::{Channel, Domain, EventLoop, ReaderProducer, SocketMap, Type};

use super::server::MAX_CONNECTIONS;
use super::*;

const ADDR: &str = "192.0.2.1:80";

/// Answers with what was asked for, except for some paths.
#[derive(Default)]
struct Mirror {
    /// What waits for an answer to `/later`.
    replies: RefCell<Vec<Reply>>,
}

impl Service for Rc<Mirror> {
    fn respond(&self, _ch: &mut Channel<'_>, request: &Request, reply: Reply) -> Answer {
        match &*request.path {
            "/later" => {
                self.replies.borrow_mut().push(reply);
                Answer::Later
            }
            "/long" => {
                let zeros = ReaderProducer::new(std::io::repeat(b'0').take(200_000));
                Answer::Now(Response::made("text/plain", 200_000, zeros))
            }
            path => Answer::Now(Response::text(200, &format!("{} {path}", request.method))),
        }
    }
}

struct Scene {
    network: Network,
    map: EventLoop,
    mirror: Rc<Mirror>,
}

impl Scene {
    fn new() -> Self {
        Scene::on(Network::with_faults(7, Faults::none()))
    }

    fn on(network: Network) -> Self {
        let mut map = SocketMap::simulated(&network);
        let mirror = Rc::new(Mirror::default());
        let service: Rc<dyn Service> = Rc::new(Rc::clone(&mirror));
        map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.bind(ADDR.parse::<SocketAddr>().unwrap())?;
            ch.listen(1024)?;
            Ok(Server::new(service))
        })
        .unwrap();
        Scene { network, map, mirror }
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
    let mut scene = Scene::new();
    let peer = scene.connect();
    for path in ["/a", "/b", "http://192.0.2.1/c?x=1"] {
        let answer = scene.ask(&peer, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert!(!answer.contains("Connection:"), "{answer}");
        assert_eq!(answers(&answer)[0].0, 200);
    }
    assert!(peer.is_connected());
}

#[test]
fn requests_sent_ahead_are_answered_in_their_order_even_when_one_takes_time() {
    for seed in 0..8 {
        let mut scene = Scene::on(Network::with_faults(seed, Faults::mild()));
        let peer = scene.connect();
        let paths = ["/1", "/later", "/long", "/3"];
        for path in paths {
            peer.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        }
        let mut all = String::new();
        for _ in 0..40 {
            scene.settle();
            all += &text(&peer);
        }
        assert!(!all.contains("000") && !all.contains("/3"), "seed {seed}: out of turn: {all}");
        let reply = scene.mirror.replies.borrow_mut().pop();
        if let Some(reply) = reply {
            let service: Rc<dyn Service> = Rc::new(Rc::clone(&scene.mirror));
            let helper = scene.map.add_with(|_| Ok(Server::new(service))).unwrap();
            scene.map.with(helper, |_, ch| {
                reply.send(ch, Response::text(200, "at last"));
                reply.send(ch, Response::text(200, "twice"));
            });
        }
        // However slow this network is.
        for _ in 0..100 {
            scene.settle();
            all += &text(&peer);
        }
        let zeros = "0".repeat(200_000);
        let wanted = [(200, "GET /1\n"), (200, "at last\n"), (200, &zeros), (200, "GET /3\n")];
        assert_eq!(answers(&all), wanted, "seed {seed}");
    }
}

#[test]
fn head_gets_the_head_only() {
    let mut scene = Scene::new();
    let peer = scene.connect();
    let answer = scene.ask(&peer, "HEAD /long HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.contains("Content-Length: 200000\r\n") && answer.ends_with("\r\n\r\n"));
    let answer = scene.ask(&peer, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(answers(&answer), [(200, "GET /a\n")]);
}

#[test]
fn bodies_are_read_past() {
    let mut scene = Scene::new();
    let peer = scene.connect();
    let body = "GET /no HTTP/1.1\r\n\r\n";
    let length = body.len();
    let post = format!("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}");
    let answer = scene.ask(&peer, &format!("{post}DELETE /b HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_eq!(answers(&answer), [(200, "POST /a\n"), (200, "DELETE /b\n")]);
}

#[test]
fn a_client_that_waits_to_send_its_body_is_told_to_go_on() {
    let mut scene = Scene::new();
    let peer = scene.connect();
    let expect = "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    let go_on = scene.ask(&peer, &format!("POST /a HTTP/1.1\r\nHost: x\r\n{expect}"));
    assert_eq!(go_on, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(answers(&scene.ask(&peer, "ok")), [(200, "POST /a\n")]);
}

#[test]
fn connections_end_when_the_client_or_its_version_says_so() {
    for request in [
        "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "GET /a HTTP/1.0\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: x\r\nConnection: Keep-Alive, Close\r\n\r\n",
    ] {
        let mut scene = Scene::new();
        let peer = scene.connect();
        let answer = scene.ask(&peer, request);
        assert!(answer.contains("\r\nConnection: close\r\n"), "{request} got {answer}");
        assert!(peer.saw_eof(), "{request}");
    }
    let mut scene = Scene::new();
    let peer = scene.connect();
    let answer = scene.ask(&peer, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert!(answer.contains("\r\nConnection: keep-alive\r\n") && !peer.saw_eof());
}

#[test]
fn a_client_that_has_ended_its_half_is_still_answered() {
    let mut scene = Scene::new();
    let peer = scene.connect();
    peer.send(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    peer.shutdown();
    scene.settle();
    assert_eq!(answers(&text(&peer)), [(200, "GET /a\n")]);
    assert!(peer.saw_eof());
}

#[test]
fn what_is_no_request_is_refused_and_ends_the_connection() {
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
        let mut scene = Scene::new();
        let peer = scene.connect();
        let answer = scene.ask(&peer, request);
        assert_eq!(answers(&answer)[0].0, status, "{request:?} got {answer:?}");
        assert!(peer.saw_eof(), "{request:?}");
    }
}

#[test]
fn silent_clients_are_told_so_inside_a_request_and_let_go_between_two() {
    let mut scene = Scene::new();
    let (inside, between) = (scene.connect(), scene.connect());
    assert_eq!(scene.ask(&inside, "GET / HT"), "");
    scene.ask(&between, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    scene.wait(Duration::from_secs(31));
    assert_eq!(answers(&text(&inside))[0].0, 408);
    assert_eq!(text(&between), "");
    assert!(between.saw_eof());
}

#[test]
fn a_request_that_comes_byte_by_byte_is_given_up_after_a_minute() {
    let mut scene = Scene::new();
    let peer = scene.connect();
    for _ in 0..7 {
        peer.send(b"G");
        scene.wait(Duration::from_secs(10));
    }
    assert_eq!(answers(&text(&peer))[0].0, 408);
    assert!(peer.saw_eof());
}

/// Occupies all places with connections that have sent `begun`.
fn fill(scene: &mut Scene, begun: &str) -> Vec<Peer> {
    let peers: Vec<_> = (0..MAX_CONNECTIONS).map(|_| scene.connect()).collect();
    peers.iter().for_each(|peer| peer.send(begun.as_bytes()));
    scene.settle();
    peers
}

#[test]
fn a_new_client_displaces_the_quietest_one_when_all_places_are_taken() {
    let complete = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
    let unread = "GET /long HTTP/1.1\r\nHost: x\r\n\r\n";
    for begun in ["", "GET / HT", complete, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n", unread] {
        let mut scene = Scene::new();
        let peers = fill(&mut scene, begun);
        for _ in 0..3 {
            let next = scene.connect();
            let answer = scene.ask(&next, complete);
            assert_eq!(answers(&answer), [(200, "GET /a\n")], "beside {begun:?}");
        }
        let is_open = |peer: &&Peer| peer.is_connected() && !peer.saw_eof();
        assert!(peers.iter().filter(is_open).count() >= MAX_CONNECTIONS - 3, "beside {begun:?}");
    }
}

#[test]
fn slow_requests_are_displaced_before_idle_clients_and_these_before_answers() {
    let mut scene = Scene::new();
    let waiting = scene.connect();
    waiting.send(b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    let slow = scene.connect();
    slow.send(b"G");
    scene.wait(Duration::from_secs(5));
    let mut idle: Vec<_> = (2..MAX_CONNECTIONS).map(|_| scene.connect()).collect();
    scene.wait(Duration::from_secs(2));
    // However recent its last byte is.
    slow.send(b"E");
    scene.settle();
    idle.push(scene.connect());
    scene.settle();
    assert!(slow.saw_eof() || slow.was_reset());
    idle.push(scene.connect());
    scene.settle();
    assert!(idle[0].saw_eof() || idle[0].was_reset(), "the oldest of them");
    assert!(!waiting.saw_eof() && waiting.is_connected());
}

#[test]
fn every_answer_tells_browsers_to_keep_it_to_this_page() {
    let mut scene = Scene::new();
    let peer = scene.connect();
    let answer = scene.ask(&peer, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    for header in [
        "Cache-Control: no-store",
        "Content-Security-Policy: default-src 'none';",
        "Cross-Origin-Resource-Policy: same-origin",
        "X-Content-Type-Options: nosniff",
    ] {
        assert!(answer.contains(&format!("\r\n{header}")), "no {header} in {answer}");
    }
    assert!(!answer.contains("Access-Control"), "{answer}");
}

#[test]
fn a_bearer_is_the_token_or_not_and_is_never_shown() {
    let head = b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: bearer s3cret-s3cret";
    let request = Request::parse(head).unwrap();
    let bearer = request.bearer.as_ref().unwrap();
    assert!(bearer.is("s3cret-s3cret"));
    assert!(!bearer.is("s3cret-s3creT") && !bearer.is("s3cret") && !bearer.is(""));
    assert!(!format!("{request:?}").contains("s3cret"));
    let basic = b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic s3cret-s3cret";
    assert!(Request::parse(basic).unwrap().bearer.is_none());
}
