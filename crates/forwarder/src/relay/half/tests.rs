use std::net::SocketAddr;
use std::time::Duration;

use asyncore::sim::{Faults, Network, Peer};
use asyncore::{EventLoop, SocketMap, Token};

use super::{HIGH_WATER, Half, READ};
use crate::config::{Endpoint, Listen, Rule};
use crate::relay::{Listener, Side};
use crate::worker_rule::WorkerRule;

/// More than all windows and queues together hold.
const STREAM: usize = 600 * 1024;
const PASSES: usize = 50_000;

/// A client and a target with the relay between them.
struct Scene {
    network: Network,
    map: EventLoop,
    client: Peer,
    target: Peer,
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

impl Scene {
    fn new(seed: u64, limit: impl FnOnce(&mut Rule)) -> Self {
        let faults = Faults { segment: 16 * 1024, ..Faults::mild() };
        let network = Network::with_faults(seed, faults);
        let target = network.listen(addr("192.0.2.9:80")).unwrap();
        let endpoint = Endpoint::Host("192.0.2.9".to_owned(), 80);
        let mut rule = Rule::new(Listen::Tcp(addr("192.0.2.1:80")), vec![endpoint.into()]);
        limit(&mut rule);
        let mut map = SocketMap::simulated(&network);
        let worker_rule = WorkerRule::alone(rule, map.now());
        Listener::simulated(&mut map, &worker_rule);
        let client = network.connect(addr("192.0.2.1:80"));
        for _ in 0..PASSES {
            if let Some(target) = target.accept() {
                return Scene { network, map, client, target };
            }
            let _ = map.poll(Some(Duration::from_millis(1))).unwrap();
        }
        panic!("the target was not connected to");
    }

    fn pass(&mut self) {
        let _ = self.map.poll(Some(Duration::from_millis(1))).unwrap();
    }

    /// How much waits to be sent to a side.
    fn queued(&self, side: Side) -> usize {
        let halves = self.map.tokens().map(Token::cast::<Half>);
        let of = halves.filter(|it| self.map.get(*it).is_some_and(|half| half.side == side));
        of.filter_map(|half| self.map.channel_stats(half)).map(|stats| stats.output_len).sum()
    }

    /// Until the queue towards `side` has been full for a while, and no fuller than it may be.
    fn fill(&mut self, side: Side) {
        let mut full = 0;
        for _ in 0..PASSES {
            self.pass();
            let queued = self.queued(side);
            assert!(queued < HIGH_WATER + 2 * READ, "{queued} bytes are queued");
            full = if queued >= HIGH_WATER { full + 1 } else { 0 };
            if full > 100 {
                return;
            }
        }
        panic!("the queue did not fill up");
    }
}

/// Bytes of which no two stretches are alike.
fn stream(seed: u64) -> Vec<u8> {
    (0..STREAM as u64)
        .map(|n| ((n + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u8)
        .collect()
}

#[test]
fn a_reader_that_stalls_holds_its_sender_up_and_then_gets_every_byte() {
    for seed in 0..4 {
        let mut scene = Scene::new(seed, |_| {});
        let sent = stream(seed);
        scene.target.pause_reading();
        scene.client.send(&sent);
        scene.fill(Side::Target);
        scene.target.resume_reading();
        let mut received = scene.target.received();
        for _ in 0..PASSES {
            if received.len() == STREAM {
                break;
            }
            scene.pass();
            received.extend(scene.target.received());
        }
        assert!(received == sent, "seed {seed}: {} of {STREAM} bytes", received.len());
    }
}

#[test]
fn one_direction_that_stalls_does_not_hold_the_other_up() {
    let mut scene = Scene::new(1, |_| {});
    let sent = stream(0);
    scene.target.pause_reading();
    scene.client.send(&sent);
    scene.fill(Side::Target);
    scene.target.send(&sent);
    let mut received = Vec::new();
    for _ in 0..PASSES {
        if received.len() == STREAM {
            break;
        }
        scene.pass();
        received.extend(scene.client.received());
    }
    assert!(received == sent, "{} of {STREAM} bytes", received.len());
    assert!(scene.queued(Side::Target) >= HIGH_WATER);
}

#[test]
fn stalls_in_both_directions_again_and_again_lose_nothing() {
    for seed in 0..4 {
        let mut scene = Scene::new(seed, |_| {});
        let (up, down) = (stream(1), stream(2));
        scene.client.send(&up);
        scene.target.send(&down);
        let (mut at_target, mut at_client) = (Vec::new(), Vec::new());
        for pass in 0..PASSES {
            if at_target.len() + at_client.len() == 2 * STREAM {
                break;
            }
            match (pass as u64 + seed) % 800 {
                0 => scene.target.pause_reading(),
                200 => scene.client.pause_reading(),
                400 => scene.target.resume_reading(),
                600 => scene.client.resume_reading(),
                _ => {}
            }
            scene.pass();
            at_target.extend(scene.target.received());
            at_client.extend(scene.client.received());
        }
        assert!(at_target == up, "seed {seed}: {} of {STREAM} bytes up", at_target.len());
        assert!(at_client == down, "seed {seed}: {} of {STREAM} bytes down", at_client.len());
    }
}

#[test]
fn what_the_limit_on_bytes_holds_up_goes_on_by_itself() {
    let rate = STREAM as u64 / 4;
    let mut scene = Scene::new(3, |rule| rule.rate_per_connection = Some(rate));
    let sent = stream(3);
    scene.client.send(&sent);
    // What comes back meanwhile must not disturb the wait.
    scene.target.send(b"something");
    let began = scene.map.now();
    let mut received = Vec::new();
    for _ in 0..PASSES {
        if received.len() == STREAM {
            break;
        }
        scene.pass();
        received.extend(scene.target.received());
    }
    assert!(received == sent, "{} of {STREAM} bytes", received.len());
    // The burst is that of a second at the most.
    assert!(scene.map.now() - began > Duration::from_secs(2));
    assert_eq!(scene.client.received(), b"something");
}

#[test]
fn a_connection_is_idle_after_its_time_however_often_its_peers_were_probed_before() {
    let second = Duration::from_secs(1);
    let mut scene = Scene::new(6, |rule| {
        (rule.keepalive, rule.idle_timeout) = (Some(2 * second), Some(5 * second));
    });
    let network = scene.network.clone();
    let silent_for = |scene: &mut Scene, time: Duration| {
        let until = network.now() + time;
        while network.now() < until {
            network.advance((until - network.now()).min(second / 10));
            scene.pass();
        }
    };
    silent_for(&mut scene, 4 * second);
    scene.client.send(b"x");
    // The byte takes a while, and so does its acknowledgement.
    silent_for(&mut scene, 4 * second);
    assert!(!scene.client.was_reset() && !scene.target.was_reset());
    silent_for(&mut scene, 2 * second);
    assert!(scene.client.was_reset() && scene.target.was_reset());
}
