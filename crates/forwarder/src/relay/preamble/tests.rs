use std::time::Duration;

use asyncore::sim::{self, Network, Peer};

use crate::config::{ProxyVersion, Rule};
use crate::policy::Refusal;
use crate::relay::tests::fixture::Scene;

const LINE: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 443\r\n";

/// A rule whose proxies are on the simulated network's loopback, where all its peers are.
fn behind_proxies(network: &Network, change: impl FnOnce(&mut Rule)) -> Scene {
    Scene::new(network, |rule| {
        rule.proxy_accept_from = vec!["127.0.0.0/8".parse().unwrap()];
        change(rule);
    })
}

impl Scene {
    /// A client that begins with `first`.
    fn client(&self, first: &[u8]) -> Peer {
        let client = self.connect();
        client.send(first);
        client
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
}

#[test]
fn the_target_is_told_of_the_client_that_the_proxy_told_of() {
    sim::check(0..50, |network| {
        let mut scene = behind_proxies(&network, |rule| {
            rule.proxy_send = Some(ProxyVersion::V1);
        });
        let client = scene.client(&[LINE, b"hello"].concat());
        let target = scene.accepted();
        scene.expect(&target, &[LINE, b"hello"].concat());
        client.send(b", and more");
        scene.expect(&target, b", and more");
        target.send(b"answer");
        scene.expect(&client, b"answer");
        assert_eq!(
            scene.worker_rule.state.counts().clients().open("192.0.2.7".parse().unwrap()),
            1
        );
        client.shutdown();
        target.shutdown();
        scene.until("the end", |scene| (scene.open() == 0).then_some(()));
        let state = &scene.worker_rule.state.targets()[0];
        assert_eq!((state.bytes_sent(), state.bytes_received()), (15, 6));
    });
}

#[test]
fn a_header_may_come_byte_by_byte_and_in_either_version() {
    let ends = crate::relay::proxy_header::Ends {
        source: "192.0.2.7:5000".parse().unwrap(),
        destination: "198.51.100.1:443".parse().unwrap(),
    };
    let binary = crate::relay::proxy_header::encode(ProxyVersion::V2, Some(ends), 3).unwrap();
    for header in [LINE, &binary] {
        let mut scene = behind_proxies(&Network::new(7), |_| {});
        let client = scene.client(b"");
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
        let mut scene = behind_proxies(&network, |_| {});
        let good = scene.client(&[LINE, b"good"].concat());
        let bad = scene.client(b"GET / HTTP/1.1\r\n\r\n");
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
    let mut scene = behind_proxies(&Network::new(1), |_| {});
    let client = scene.client(&LINE[..LINE.len() - 1]);
    scene.until("its being let in", |scene| (scene.open() == 1).then_some(()));
    let began = scene.network.elapsed();
    scene.until("a reset", |_| client.was_reset().then_some(()));
    assert!(scene.network.elapsed() - began <= Duration::from_secs(6));
    assert_eq!(scene.open(), 0);
}

#[test]
fn access_is_the_named_clients_and_not_the_proxys() {
    let mut scene = behind_proxies(&Network::new(1), |rule| {
        rule.deny = vec!["192.0.2.0/24".parse().unwrap()];
    });
    let client = scene.client(LINE);
    scene.until("a reset", |_| client.was_reset().then_some(()));
    assert_eq!(scene.worker_rule.state.counts().refused(Refusal::Denied), 1);
    assert_eq!(scene.open(), 0);
    let other = scene.client(b"PROXY UNKNOWN\r\nhello");
    let target = scene.accepted();
    scene.expect(&target, b"hello");
    assert!(other.is_connected());
}

#[test]
fn a_header_from_anybody_else_is_the_clients_own_bytes() {
    let mut scene = behind_proxies(&Network::new(1), |rule| {
        rule.proxy_accept_from = vec!["203.0.113.0/24".parse().unwrap()];
        rule.proxy_send = Some(ProxyVersion::V1);
    });
    let client = scene.client(LINE);
    let target = scene.accepted();
    let port = client.local_addr().unwrap().port();
    let told = format!("PROXY TCP4 127.0.0.1 192.0.2.1 {port} 80\r\n");
    scene.expect(&target, &[told.as_bytes(), LINE].concat());
}
