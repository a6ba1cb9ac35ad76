use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use asyncore::sim::{self, Network, Peer, PeerListener};
use asyncore::{Domain, SocketMap, Type};

use crate::config::{Endpoint, Listen, ProxyVersion, Rule, Target};
use crate::policy::Refusal;
use crate::relay::Listener;
use crate::serving::Serving;

const LINE: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 443\r\n";

fn listen() -> SocketAddr {
    "192.0.2.1:80".parse().unwrap()
}

struct Scene {
    network: Network,
    map: SocketMap,
    serving: Rc<Serving>,
    target: PeerListener,
}

impl Scene {
    /// Proxies are on the simulated network's loopback, where all its peers are.
    fn new(network: Network, change: impl FnOnce(&mut Rule)) -> Self {
        let endpoint = Endpoint::Host("192.0.2.9".to_owned(), 80);
        let mut rule = Rule::new(Listen::Tcp(listen()), vec![Target { endpoint, weight: 1 }]);
        rule.proxy_protocol.accept_from = vec!["127.0.0.0/8".parse().unwrap()];
        change(&mut rule);
        let target = network.listen("192.0.2.9:80".parse().unwrap()).unwrap();
        let mut map = SocketMap::simulated(&network);
        let serving = Serving::alone(rule, map.now());
        let made = Rc::clone(&serving);
        map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.bind(listen())?;
            ch.listen(16)?;
            Ok(Listener::new(made))
        })
        .unwrap();
        Scene { network, map, serving, target }
    }

    fn connect(&self, first: &[u8]) -> Peer {
        let client = self.network.connect(listen());
        client.send(first);
        client
    }

    fn until<T>(&mut self, what: &str, mut done: impl FnMut(&Scene) -> Option<T>) -> T {
        for _ in 0..10_000 {
            if let Some(it) = done(self) {
                return it;
            }
            let _ = self.map.poll(Some(Duration::from_millis(1))).unwrap();
        }
        panic!("never: {what}");
    }

    fn accepted(&mut self) -> Peer {
        self.until("a connection to the target", |scene| scene.target.accept())
    }

    /// What the target has received once it is as much as `expected`.
    fn expect(&mut self, peer: &Peer, expected: &[u8]) {
        let mut received = Vec::new();
        self.until("all bytes", |_| {
            received.extend(peer.received());
            (received.len() >= expected.len()).then_some(())
        });
        assert_eq!(received.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }

    fn open(&self) -> usize {
        self.serving.state.counts().open()
    }
}

#[test]
fn the_target_is_told_of_the_client_that_the_proxy_told_of() {
    sim::check(0..50, |network| {
        let mut scene = Scene::new(network, |rule| {
            rule.proxy_protocol.send = Some(ProxyVersion::V1);
        });
        let client = scene.connect(&[LINE, b"hello"].concat());
        let target = scene.accepted();
        scene.expect(&target, &[LINE, b"hello"].concat());
        client.send(b", and more");
        scene.expect(&target, b", and more");
        target.send(b"answer");
        scene.expect(&client, b"answer");
        assert_eq!(scene.serving.state.counts().clients().open("192.0.2.7".parse().unwrap()), 1);
        client.shutdown();
        target.shutdown();
        scene.until("the end", |scene| (scene.open() == 0).then_some(()));
        let state = &scene.serving.state.targets()[0];
        assert_eq!((state.bytes_sent(), state.bytes_received()), (15, 6));
    });
}

#[test]
fn a_header_may_come_byte_by_byte_and_in_either_version() {
    let ends = crate::relay::proxy_header::Ends {
        source: "192.0.2.7:5000".parse().unwrap(),
        destination: "198.51.100.1:443".parse().unwrap(),
    };
    let binary = crate::relay::proxy_header::encode(ProxyVersion::V2, Some(ends));
    for header in [LINE, &binary] {
        let mut scene = Scene::new(Network::new(7), |_| {});
        let client = scene.connect(b"");
        for byte in header {
            client.send(&[*byte]);
            let _ = scene.map.poll(Some(Duration::from_millis(10))).unwrap();
        }
        client.send(b"hello");
        let target = scene.accepted();
        scene.expect(&target, b"hello");
    }
}

#[test]
fn a_malformed_header_costs_its_connection_only() {
    sim::check(0..20, |network| {
        let mut scene = Scene::new(network, |_| {});
        let good = scene.connect(&[LINE, b"good"].concat());
        let bad = scene.connect(b"GET / HTTP/1.1\r\n\r\n");
        scene.until("a reset", |_| bad.was_reset().then_some(()));
        let target = scene.accepted();
        scene.expect(&target, b"good");
        assert!(good.is_connected());
        assert!(scene.target.accept().is_none());
        assert_eq!(scene.open(), 1);
    });
}

#[test]
fn a_header_that_does_not_end_in_time_ends_the_connection() {
    let mut scene = Scene::new(Network::new(1), |_| {});
    let client = scene.connect(&LINE[..LINE.len() - 1]);
    scene.until("its being let in", |scene| (scene.open() == 1).then_some(()));
    let began = scene.network.elapsed();
    scene.until("a reset", |_| client.was_reset().then_some(()));
    assert!(scene.network.elapsed() - began <= Duration::from_secs(6));
    assert_eq!(scene.open(), 0);
}

#[test]
fn access_is_the_named_clients_and_not_the_proxys() {
    let mut scene = Scene::new(Network::new(1), |rule| {
        rule.access.deny = vec!["192.0.2.0/24".parse().unwrap()];
    });
    let client = scene.connect(LINE);
    scene.until("a reset", |_| client.was_reset().then_some(()));
    assert_eq!(scene.serving.state.counts().refused(Refusal::Denied), 1);
    assert_eq!(scene.open(), 0);
    let other = scene.connect(b"PROXY UNKNOWN\r\nhello");
    let target = scene.accepted();
    scene.expect(&target, b"hello");
    assert!(other.is_connected());
}

#[test]
fn a_header_from_anybody_else_is_the_clients_own_bytes() {
    let mut scene = Scene::new(Network::new(1), |rule| {
        rule.proxy_protocol.accept_from = vec!["203.0.113.0/24".parse().unwrap()];
        rule.proxy_protocol.send = Some(ProxyVersion::V1);
    });
    let client = scene.connect(LINE);
    let target = scene.accepted();
    let port = client.local_addr().unwrap().port();
    let told = format!("PROXY TCP4 127.0.0.1 192.0.2.1 {port} 80\r\n");
    scene.expect(&target, &[told.as_bytes(), LINE].concat());
}
