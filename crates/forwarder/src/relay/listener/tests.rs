use asyncore::sim::{Network, Peer};

use super::*;
use crate::config::{Listen, Rule};
use crate::policy::Refusal;
use crate::relay::tests::fixture::{LISTEN, Scene, addr};

/// A rule that may have so many connections.
fn limited_to(limit: usize) -> Scene {
    Scene::new(&Network::new(1), |rule| rule.max_connections = limit)
}

impl Scene {
    /// A client for whom nothing is done yet.
    fn arrive(&mut self, listener: &str) -> Peer {
        let client = self.network.connect(addr(listener));
        while !client.is_connected() {
            self.network.step();
        }
        client
    }

    /// Two clients, the second of whom waits for the first one's place.
    fn one_served_and_one_waiting(&mut self) -> (Peer, Peer) {
        let first = self.arrive(LISTEN);
        let _ = self.accepted();
        let second = self.arrive(LISTEN);
        self.settle();
        assert!(self.target.accept().is_none() && !second.was_reset());
        assert_eq!(self.open(), 1);
        (first, second)
    }

    fn drain(&mut self) {
        self.map.with(self.listener, Listener::drain).unwrap();
    }
}

#[test]
fn who_is_over_the_limit_waits_and_is_served_when_another_ends() {
    let mut scene = limited_to(1);
    let (first, second) = scene.one_served_and_one_waiting();
    first.reset();
    let server = scene.accepted();
    server.send(b"hello");
    scene.settle();
    assert_eq!(second.received(), b"hello");
    let counts = scene.worker_rule.state.counts();
    assert_eq!((counts.admitted(), counts.refused(Refusal::RuleLimit)), (2, 0));
    assert_eq!(counts.waits(Refusal::RuleLimit), 1);
}

#[test]
fn a_place_that_a_listener_does_not_live_to_take_goes_to_the_next() {
    let mut scene = limited_to(1);
    // As another worker's, which has the same rule.
    let other = "192.0.2.2:80";
    let mut rule = Rule::clone(&scene.worker_rule.rule);
    rule.listen = Listen::Tcp(addr(other));
    let (state, load) =
        (Arc::clone(&scene.worker_rule.state), Rc::clone(&scene.worker_rule.worker));
    let worker_rule = Rc::new(WorkerRule::new(Arc::new(rule), state, load));
    *worker_rule.addresses[0].borrow_mut() = Some(vec![addr("192.0.2.9:80")]);
    Listener::simulated(&mut scene.map, &worker_rule);
    let (first, _second) = scene.one_served_and_one_waiting();
    let third = scene.arrive(other);
    scene.settle();
    scene.map.channel(scene.listener).unwrap().close();
    first.reset();
    scene.accepted().send(b"hello");
    scene.settle();
    assert_eq!(third.received(), b"hello");
}

#[test]
fn who_has_gone_while_he_waited_leaves_the_place_to_others() {
    let mut scene = limited_to(1);
    let (first, second) = scene.one_served_and_one_waiting();
    second.reset();
    first.reset();
    scene.settle();
    assert_eq!(scene.open(), 0);
    let _third = scene.arrive(LISTEN);
    let _ = scene.accepted();
}

#[test]
fn a_listener_lets_everybody_in_before_it_closes() {
    let mut scene = limited_to(2);
    let client = scene.arrive(LISTEN);
    scene.drain();
    scene.pass();
    assert!(!scene.map.contains(scene.listener));
    scene.accepted().send(b"hello");
    scene.settle();
    assert_eq!(client.received(), b"hello");
}

#[test]
fn a_listener_stays_open_for_those_who_wait_for_a_place_and_closes_then() {
    let mut scene = limited_to(1);
    let (first, second) = scene.one_served_and_one_waiting();
    scene.drain();
    scene.settle();
    assert!(scene.map.contains(scene.listener) && !second.was_reset());
    first.reset();
    scene.accepted().send(b"hello");
    scene.settle();
    assert_eq!(second.received(), b"hello");
    // Nobody is left, but that is seen only when the next place is free.
    second.reset();
    scene.settle();
    assert!(!scene.map.contains(scene.listener));
}

#[test]
fn a_listener_that_is_about_to_close_lets_no_more_in_than_the_backlog_holds() {
    let mut scene = limited_to(9);
    let mut rule = Rule::clone(&scene.worker_rule.rule);
    // As a reload has it, which changes no socket.
    rule.backlog = 2;
    let worker_rule = WorkerRule::alone(rule, scene.map.now());
    scene.map.get_mut(scene.listener).unwrap().worker_rule = Rc::clone(&worker_rule);
    let _clients = [(); 3].map(|()| scene.arrive(LISTEN));
    scene.drain();
    scene.pass();
    assert!(!scene.map.contains(scene.listener));
    assert_eq!(worker_rule.state.counts().admitted(), 2);
}

#[test]
fn at_the_end_of_a_drain_nobody_is_waited_for() {
    let mut scene = limited_to(1);
    let (_first, second) = scene.one_served_and_one_waiting();
    scene.drain();
    end(&mut scene.map, scene.listener);
    scene.settle();
    assert!(!scene.map.contains(scene.listener) && second.was_reset());
}
