use std::time::{Duration, Instant};

use asyncore::sim::{Network, Peer, PeerListener};
use rustix::io::Errno;

use super::*;
use crate::config::{Balance, Rule};
use crate::policy::HealthState;
use crate::relay::tests::fixture::{Scene, addr, endpoint};

const FIRST: &str = "192.0.2.8:80";

/// A client of a rule with two targets, of which the scene's stands by.
fn with_first(network: &Network, change: impl FnOnce(&mut Rule)) -> (Scene, Peer) {
    let scene = Scene::new(network, |rule| {
        rule.targets.insert(0, endpoint(FIRST).into());
        rule.balance = Balance::First;
        change(rule);
    });
    let client = scene.connect();
    (scene, client)
}

/// The first target does not answer.
fn without_answer() -> (Scene, Peer) {
    let network = Network::new(1);
    network.blackhole(addr(FIRST));
    with_first(&network, |_| {})
}

/// Both targets answer; with the first one's listener.
fn with_both() -> (Scene, Peer, PeerListener) {
    let network = Network::new(1);
    let first = network.listen(addr(FIRST)).unwrap();
    let (scene, client) = with_first(&network, |_| {});
    (scene, client, first)
}

impl Scene {
    /// The first target's connection fails with `errno`, as the system could have it.
    fn fail(&mut self, errno: Errno) {
        let is_target = |half: &Half| half.side == Side::Target;
        let target = self.until("a dialled target", |scene| {
            let mut halves = scene.map.tokens().map(Token::cast::<Half>);
            halves.find(|half| scene.map.get(*half).is_some_and(is_target))
        });
        let error = Error::from(std::io::Error::from(errno));
        self.map.with(target, |half, ch| failed(half, ch, &error)).unwrap();
    }

    /// The end of a connection at the first target, when both ends of the relay know of it.
    fn accepted_at(&mut self, first: &PeerListener) -> Peer {
        let target = self.until("a connection to the first target", |_| first.accept());
        self.settle();
        target
    }

    fn backs_off(&self, now: Instant) -> bool {
        let state = self.worker_rule.state.targets()[0].health().state(now);
        matches!(state, HealthState::BackingOff { .. })
    }
}

#[test]
fn running_out_of_descriptors_ends_the_connection_and_rests_no_target() {
    let (mut scene, _client) = without_answer();
    scene.fail(Errno::MFILE);
    assert!(!scene.backs_off(scene.map.now()));
    scene.until("the end", |scene| (scene.open() == 0).then_some(()));
    assert_eq!(scene.worker_rule.state.targets()[1].total(), 0);
}

#[test]
fn running_out_of_ports_goes_on_to_the_next_target_and_rests_none() {
    let (mut scene, _client) = without_answer();
    scene.fail(Errno::ADDRNOTAVAIL);
    assert!(!scene.backs_off(scene.map.now()));
    let _ = scene.accepted();
}

#[test]
fn a_refusal_rests_the_target() {
    let (mut scene, _client) = without_answer();
    scene.fail(Errno::CONNREFUSED);
    assert!(scene.backs_off(scene.map.now()));
}

#[test]
fn a_target_that_resets_before_a_byte_went_through_is_followed_by_the_next() {
    let (mut scene, client, first) = with_both();
    scene.accepted_at(&first).reset();
    let target = scene.accepted();
    scene.settle();
    assert!(!client.was_reset() && !scene.backs_off(scene.map.now()));
    client.send(b"question");
    target.send(b"answer");
    scene.settle();
    assert_eq!((&*target.received(), &*client.received()), (&b"question"[..], &b"answer"[..]));
    let active = [0, 1].map(|index| scene.worker_rule.state.targets()[index].active());
    assert_eq!(active, [0, 1]);
    target.shutdown();
    client.shutdown();
    scene.until("both ends", |scene| (client.saw_eof() && scene.open() == 0).then_some(()));
}

#[test]
fn when_every_target_has_reset_so_is_the_client() {
    let (mut scene, client, first) = with_both();
    scene.accepted_at(&first).reset();
    let second = scene.accepted();
    scene.settle();
    second.reset();
    scene.settle();
    assert!(client.was_reset() && first.accept().is_none());
    assert_eq!(scene.open(), 0);
}

#[test]
fn a_reset_after_a_byte_or_an_end_is_the_clients() {
    let cases: [fn(&Peer, &Peer); 3] = [
        |client, _| client.send(b"x"),
        |_, target| target.send(b"x"),
        |client, _| client.shutdown(),
    ];
    for act in cases {
        let (mut scene, client, first) = with_both();
        let target = scene.accepted_at(&first);
        act(&client, &target);
        scene.settle();
        target.reset();
        scene.settle();
        assert!(client.was_reset() && scene.target.accept().is_none());
        assert_eq!(scene.open(), 0);
    }
}

#[test]
fn an_end_in_good_order_before_any_byte_is_the_clients() {
    let (mut scene, client, first) = with_both();
    scene.accepted_at(&first).shutdown();
    scene.settle();
    assert!(client.saw_eof() && scene.target.accept().is_none());
}

#[test]
fn while_the_second_target_is_dialled_a_connection_is_neither_idle_nor_too_old() {
    let network = Network::new(1);
    let first = network.listen(addr(FIRST)).unwrap();
    network.blackhole(addr("192.0.2.9:80"));
    let second = Duration::from_secs(1);
    let (mut scene, client) = with_first(&network, |rule| {
        (rule.idle_timeout, rule.lifetime) = (Some(second), Some(second));
        rule.connect_timeout = 10 * second;
    });
    scene.accepted_at(&first).reset();
    scene.settle();
    scene.network.advance(5 * second);
    scene.settle();
    assert!(!client.was_reset());
    scene.network.advance(10 * second);
    scene.settle();
    assert!(client.was_reset(), "the second target does not answer");
}
