//! A side that resets, in every state that a connection can be in: the other side is reset at once
//! rather than sent what is queued, and the place is the next client's.

use asyncore::sim::{Network, Peer};

use crate::config::Rule;
use crate::policy::EndReason;
use crate::relay::Side;
use crate::relay::tests::fixture::{STREAM, Scene, addr, endpoint};

/// One connection on a rule that may have one.
struct Pair {
    scene: Scene,
    /// The client first.
    ends: [Peer; 2],
}

impl Pair {
    fn new(change: impl FnOnce(&mut Rule)) -> Self {
        let mut scene = Scene::new(&Network::new(1), |rule| {
            rule.max_connections = 1;
            change(rule);
        });
        let client = scene.connect();
        let target = scene.accepted();
        scene.settle();
        Pair { scene, ends: [client, target] }
    }

    fn end(&self, side: Side) -> &Peer {
        &self.ends[side as usize]
    }

    /// `side` sends more than its peer, which does not read, and the queues on the way hold.
    fn stall_sender(&mut self, side: Side) {
        self.end(other(side)).pause_reading();
        self.end(side).send(&vec![b'x'; STREAM]);
        self.scene.fill(other(side));
    }

    /// The last act of `side`, and what has to follow from it.
    #[track_caller]
    fn reset_by(mut self, side: Side) {
        self.end(side).reset();
        let left = &self.ends[other(side) as usize];
        self.scene.until("a reset of the other side", |_| left.was_reset().then_some(()));
        left.resume_reading();
        while self.scene.network.step() {}
        let left = self.end(other(side));
        assert!(left.received().len() < STREAM && !left.saw_eof());
        self.scene.until_nothing_is_left();
        let reason = match side {
            Side::Client => EndReason::ClientReset,
            Side::Target => EndReason::TargetReset,
        };
        assert_eq!(self.scene.ended(reason), 1);
        serves_the_next(&mut self.scene);
    }
}

fn other(side: Side) -> Side {
    match side {
        Side::Client => Side::Target,
        Side::Target => Side::Client,
    }
}

#[track_caller]
fn serves_the_next(scene: &mut Scene) {
    let client = scene.connect();
    let target = scene.accepted();
    client.send(b"question");
    target.send(b"answer");
    scene.settle();
    assert_eq!((&*target.received(), &*client.received()), (&b"question"[..], &b"answer"[..]));
}

const SIDES: [Side; 2] = [Side::Client, Side::Target];

#[test]
fn a_sender_whose_peer_stalls_resets() {
    for side in SIDES {
        let mut pair = Pair::new(|_| {});
        pair.stall_sender(side);
        pair.reset_by(side);
    }
}

#[test]
fn a_reader_that_stalls_resets() {
    for side in SIDES {
        let mut pair = Pair::new(|_| {});
        pair.stall_sender(other(side));
        pair.reset_by(side);
    }
}

#[test]
fn a_side_resets_after_it_has_ended_its_half() {
    for side in SIDES {
        let mut pair = Pair::new(|_| {});
        pair.end(side).send(b"all of it");
        pair.end(side).shutdown();
        pair.scene.settle();
        assert!(pair.end(other(side)).saw_eof() || pair.end(other(side)).received().is_empty());
        pair.end(other(side)).pause_reading();
        pair.end(side).reset();
        pair.scene.settle();
        assert!(pair.end(other(side)).was_reset());
        pair.scene.until_nothing_is_left();
        serves_the_next(&mut pair.scene);
    }
}

#[test]
fn a_side_resets_while_the_end_of_its_half_waits_behind_a_queue() {
    for side in SIDES {
        let mut pair = Pair::new(|_| {});
        pair.end(other(side)).pause_reading();
        pair.end(side).send(&vec![b'x'; STREAM / 2]);
        pair.end(side).shutdown();
        pair.scene.until_queued(other(side));
        pair.scene.settle();
        pair.reset_by(side);
    }
}

#[test]
fn a_side_resets_after_the_other_has_ended_its_half() {
    for side in SIDES {
        let mut pair = Pair::new(|_| {});
        pair.end(other(side)).send(b"something first");
        pair.end(other(side)).shutdown();
        pair.scene.settle();
        pair.reset_by(side);
    }
}

#[test]
fn a_side_resets_while_both_stall() {
    for side in SIDES {
        let mut pair = Pair::new(|_| {});
        pair.stall_sender(Side::Client);
        pair.stall_sender(Side::Target);
        pair.reset_by(side);
    }
}

#[test]
fn a_side_resets_while_the_limit_on_bytes_holds_it_up() {
    for side in SIDES {
        let mut pair = Pair::new(|rule| {
            rule.rate_per_connection = Some(16 * 1024);
        });
        pair.end(side).send(&vec![b'x'; STREAM]);
        pair.scene.settle();
        pair.reset_by(side);
    }
}

#[test]
fn a_client_that_resets_before_there_is_a_target_is_forgotten() {
    let network = Network::new(1);
    let silent = "192.0.2.8:80";
    network.blackhole(addr(silent));
    for first in [&b""[..], b"a request"] {
        let mut scene = Scene::new(&network, |rule| {
            rule.targets = vec![endpoint(silent).into()];
            rule.max_connections = 1;
        });
        let client = scene.connect();
        scene.until("a dialled target", |scene| (scene.map.len() == 3).then_some(()));
        client.send(first);
        scene.settle();
        client.reset();
        scene.settle();
        scene.until_nothing_is_left();
        assert_eq!(scene.ended(EndReason::ClientReset), 1);
    }
}

#[test]
fn a_proxy_that_resets_within_its_header_or_after_it_gives_its_place_back() {
    const LINE: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 443\r\n";
    for sent in [&b""[..], &LINE[..20]] {
        let mut scene = Scene::new(&Network::new(1), |rule| {
            rule.max_connections = 1;
            rule.proxy_accept_from = vec!["127.0.0.0/8".parse().unwrap()];
        });
        let proxy = scene.connect();
        proxy.send(sent);
        scene.settle();
        assert_eq!(scene.open(), 1);
        proxy.reset();
        scene.settle();
        scene.until_nothing_is_left();
    }
    let mut pair = Pair::new_behind_proxy(LINE);
    pair.stall_sender(Side::Client);
    pair.ends[0].reset();
    pair.scene.settle();
    assert!(pair.ends[1].was_reset());
    pair.scene.until_nothing_is_left();
}

impl Pair {
    fn new_behind_proxy(header: &[u8]) -> Self {
        let mut scene = Scene::new(&Network::new(1), |rule| {
            rule.proxy_accept_from = vec!["127.0.0.0/8".parse().unwrap()];
        });
        let client = scene.connect();
        client.send(header);
        let target = scene.accepted();
        scene.settle();
        Pair { scene, ends: [client, target] }
    }
}
