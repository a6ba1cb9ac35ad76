use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use asyncore::sim::{Faults, Network};
use asyncore::{Channel, Dispatcher, Domain, EventLoop, Result, SocketMap, Token, Type};

use super::Listener;
use crate::config::{Balance, Endpoint, Listen, Rule, Target};
use crate::policy::{DatagramDrop, FALL};
use crate::shared::Drain;
use crate::worker_rule::WorkerRule;

const LISTEN: &str = "192.0.2.1:53";
const SECOND: Duration = Duration::from_secs(1);

/// A client or a target, which notes what it receives.
struct Host {
    echoes: bool,
    received: Vec<(SocketAddr, Vec<u8>)>,
}

impl Dispatcher for Host {
    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        let mut buf = vec![0; 65536];
        loop {
            let (n, from) = ch.recv_from(&mut buf)?;
            if self.echoes {
                ch.send_to(&buf[..n], &from)?;
            }
            self.received.push((from.inet().unwrap(), buf[..n].to_vec()));
        }
    }
}

struct Scene {
    map: EventLoop,
    worker_rule: Rc<WorkerRule>,
    listener: Token<Listener>,
}

impl Scene {
    fn new(change: impl FnOnce(&mut Rule), targets: &[&str]) -> Self {
        let targets = targets.iter().map(|target| {
            let (host, port) = target.rsplit_once(':').unwrap();
            Target { endpoint: Endpoint::Host(host.to_owned(), port.parse().unwrap()), weight: 1 }
        });
        let mut rule = Rule::new(Listen::Udp(LISTEN.parse().unwrap()), targets.collect());
        rule.balance = Balance::First;
        change(&mut rule);
        let network = Network::with_faults(1, Faults::none());
        let mut map = SocketMap::simulated(&network);
        let worker_rule = WorkerRule::alone(rule, map.now());
        let made = Rc::clone(&worker_rule);
        let listener = map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::DGRAM)?;
            ch.bind(LISTEN.parse::<SocketAddr>().unwrap())?;
            Ok(Listener::new(made))
        });
        Scene { map, worker_rule, listener: listener.unwrap() }
    }

    fn host(&mut self, addr: &str, echoes: bool) -> Token<Host> {
        let added = self.map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::DGRAM)?;
            ch.bind(addr.parse::<SocketAddr>().unwrap())?;
            Ok(Host { echoes, received: Vec::new() })
        });
        added.unwrap()
    }

    fn send(&mut self, from: Token<Host>, datagram: &[u8]) {
        let to: SocketAddr = LISTEN.parse().unwrap();
        self.map.channel(from).unwrap().send_to(datagram, to).unwrap();
        self.settle();
    }

    /// Lets everything arrive that is under way, in much less than a session's silence.
    fn settle(&mut self) {
        for _ in 0..50 {
            let _ = self.map.poll(Some(Duration::from_micros(10))).unwrap();
        }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.map.now() + time;
        while self.map.now() < until {
            let left = until - self.map.now();
            let _ = self.map.poll(Some(left)).unwrap();
        }
        self.settle();
    }

    fn received(&mut self, host: Token<Host>) -> Vec<(SocketAddr, Vec<u8>)> {
        std::mem::take(&mut self.map.get_mut(host).unwrap().received)
    }

    fn open(&self) -> usize {
        self.worker_rule.state.counts().open()
    }
}

fn datagrams(received: &[(SocketAddr, Vec<u8>)]) -> Vec<&[u8]> {
    received.iter().map(|(_, datagram)| datagram.as_slice()).collect()
}

#[test]
fn answers_come_back_to_each_client_from_the_address_it_sent_to() {
    let mut scene = Scene::new(|_| {}, &["192.0.2.9:53"]);
    let target = scene.host("192.0.2.9:53", true);
    let clients = [scene.host("192.0.2.20:1000", false), scene.host("192.0.2.21:1000", false)];
    for (client, datagram) in clients.into_iter().zip([b"one", b"two"]) {
        scene.send(client, datagram);
        let listen: SocketAddr = LISTEN.parse().unwrap();
        assert_eq!(scene.received(client), [(listen, datagram.to_vec())]);
    }
    let sources = scene.received(target);
    assert_eq!(datagrams(&sources), [b"one", b"two"]);
    assert_ne!(sources[0].0, sources[1].0);
    assert_eq!(scene.open(), 2);
}

#[test]
fn a_client_keeps_its_session_while_datagrams_go_either_way() {
    let mut scene = Scene::new(|_| {}, &["192.0.2.9:53"]);
    let target = scene.host("192.0.2.9:53", false);
    let client = scene.host("192.0.2.20:1000", false);
    scene.send(client, b"question");
    let [(session, _)] = scene.received(target)[..] else { panic!() };
    for _ in 0..3 {
        scene.pass(Duration::from_secs(40));
        scene.map.channel(target).unwrap().send_to(b"news", session).unwrap();
        scene.settle();
    }
    assert_eq!(datagrams(&scene.received(client)), [b"news"; 3]);
    scene.pass(Duration::from_secs(40));
    scene.send(client, b"again");
    assert_eq!(scene.received(target), [(session, b"again".to_vec())]);
}

#[test]
fn a_silent_session_ends_and_the_next_datagram_begins_another() {
    let mut scene = Scene::new(|_| {}, &["192.0.2.9:53"]);
    let target = scene.host("192.0.2.9:53", true);
    let client = scene.host("192.0.2.20:1000", false);
    scene.send(client, b"one");
    scene.pass(Duration::from_secs(61));
    assert_eq!(scene.open(), 0);
    let state = &scene.worker_rule.state.targets()[0];
    assert_eq!((state.active(), state.bytes_sent(), state.bytes_received()), (0, 3, 3));
    scene.send(client, b"two");
    assert_eq!(datagrams(&scene.received(client)), [b"one", b"two"]);
    assert_eq!((scene.open(), scene.received(target).len()), (1, 2));
}

#[test]
fn datagrams_of_any_length_pass() {
    let mut scene = Scene::new(|_| {}, &["192.0.2.9:53"]);
    scene.host("192.0.2.9:53", true);
    let client = scene.host("192.0.2.20:1000", false);
    for len in [0, 1, 65_507] {
        let datagram = vec![7; len];
        scene.send(client, &datagram);
        assert_eq!(datagrams(&scene.received(client)), [datagram]);
    }
}

#[test]
fn after_a_refusal_datagrams_go_to_the_next_target() {
    let mut scene = Scene::new(|_| {}, &["192.0.2.8:53", "192.0.2.9:53"]);
    let second = scene.host("192.0.2.9:53", true);
    let client = scene.host("192.0.2.20:1000", false);
    scene.send(client, b"lost");
    assert_eq!(scene.open(), 0);
    assert_eq!(scene.worker_rule.state.targets()[0].failures(), 1);
    scene.send(client, b"found");
    assert_eq!(datagrams(&scene.received(second)), [b"found"]);
    assert_eq!(datagrams(&scene.received(client)), [b"found"]);
}

#[test]
fn no_more_sessions_than_the_rule_allows() {
    let mut scene = Scene::new(|rule| rule.max_connections = 1, &["192.0.2.9:53"]);
    let target = scene.host("192.0.2.9:53", true);
    let clients = [scene.host("192.0.2.20:1000", false), scene.host("192.0.2.21:1000", false)];
    for client in clients {
        scene.send(client, b"question");
    }
    assert_eq!((scene.open(), scene.received(target).len()), (1, 1));
    assert_eq!(scene.received(clients[1]), []);
}

#[test]
fn a_target_without_a_known_address_costs_nothing_but_the_datagram() {
    let mut scene = Scene::new(|_| {}, &["name.invalid:53"]);
    let client = scene.host("192.0.2.20:1000", false);
    scene.send(client, b"question");
    assert_eq!(scene.open(), 0);
    assert_eq!(scene.worker_rule.state.targets()[0].failures(), 0);
}

/// Drains the listener, as a process does that is to end.
fn drain(scene: &mut Scene) {
    scene.worker_rule.state.counts().process().drain();
    let listener = scene.listener;
    scene.map.with(listener, |listener, ch| listener.drain(ch, Drain::Stop));
}

#[test]
fn a_drained_listener_serves_its_sessions_until_nothing_is_on_its_way() {
    let mut scene = Scene::new(|_| {}, &["192.0.2.9:53"]);
    let target = scene.host("192.0.2.9:53", false);
    let known = scene.host("192.0.2.20:1000", false);
    let late = scene.host("192.0.2.21:1000", false);
    scene.send(known, b"question");
    let [(session, _)] = scene.received(target)[..] else { panic!() };
    drain(&mut scene);
    scene.send(late, b"too late");
    scene.pass(Duration::from_secs(4));
    for _ in 0..3 {
        scene.map.channel(target).unwrap().send_to(b"answer", session).unwrap();
        scene.pass(Duration::from_millis(300));
    }
    assert_eq!(datagrams(&scene.received(known)), [b"answer"; 3]);
    assert_eq!((scene.received(late).len(), scene.received(target).len()), (0, 0));
    assert!(scene.map.contains(scene.listener));
    scene.pass(Duration::from_secs(1));
    assert!(!scene.map.contains(scene.listener));
}

#[test]
fn clients_that_are_merely_remembered_do_not_hold_a_drain_up() {
    let mut scene = Scene::new(|_| {}, &["192.0.2.9:53"]);
    scene.host("192.0.2.9:53", true);
    let client = scene.host("192.0.2.20:1000", false);
    scene.send(client, b"one");
    scene.pass(Duration::from_secs(2));
    drain(&mut scene);
    scene.settle();
    assert_eq!((scene.open(), scene.map.contains(scene.listener)), (0, false));
}

#[test]
fn what_flows_one_way_ends_a_few_seconds_into_a_drain() {
    let mut scene = Scene::new(|_| {}, &["192.0.2.9:53"]);
    scene.host("192.0.2.9:53", false);
    let client = scene.host("192.0.2.20:1000", false);
    scene.send(client, b"a line of a log");
    drain(&mut scene);
    for second in 0..6 {
        assert_eq!(scene.map.contains(scene.listener), second < 5, "after {second} s");
        scene.send(client, b"another");
        scene.pass(Duration::from_secs(1));
    }
}

#[test]
fn a_client_that_gets_no_answer_is_sent_to_each_target_until_one_answers() {
    let targets = ["192.0.2.7:53", "192.0.2.8:53", "192.0.2.9:53"];
    let mut scene = Scene::new(|rule| rule.udp_session = SECOND, &targets);
    let silent = [scene.host(targets[0], false), scene.host(targets[1], false)];
    scene.host(targets[2], true);
    let client = scene.host("192.0.2.20:1000", false);
    for _ in 0..10 {
        scene.send(client, b"question");
        scene.pass(SECOND / 2);
    }
    let asked = silent.map(|target| scene.received(target).len());
    assert_eq!((asked, scene.received(client).len()), ([2, 2], 6));
    assert_eq!(scene.open(), 1);
    assert_eq!(
        scene.worker_rule.state.targets()[0].failures(),
        0,
        "what flows one way is no failure"
    );
}

#[test]
fn a_client_without_an_answer_stays_with_the_only_target() {
    let mut scene = Scene::new(|rule| rule.udp_session = SECOND, &["192.0.2.9:53"]);
    let target = scene.host("192.0.2.9:53", false);
    let client = scene.host("192.0.2.20:1000", false);
    for _ in 0..10 {
        scene.send(client, b"a line of a log");
        scene.pass(SECOND / 2);
    }
    let sources: Vec<_> = scene.received(target).into_iter().map(|(from, _)| from).collect();
    assert!(sources.len() == 10 && sources.iter().all(|from| *from == sources[0]));
}

#[test]
fn a_target_that_health_checks_find_down_is_left_by_its_clients() {
    let targets = ["192.0.2.8:53", "192.0.2.9:53"];
    let mut scene = Scene::new(|_| {}, &targets);
    let hosts = targets.map(|target| scene.host(target, true));
    let client = scene.host("192.0.2.20:1000", false);
    scene.send(client, b"one");
    for _ in 0..FALL {
        scene.worker_rule.state.targets()[0].health().check_failed();
    }
    scene.send(client, b"two");
    assert_eq!(hosts.map(|host| scene.received(host).len()), [1, 1]);
    assert_eq!(datagrams(&scene.received(client)), [b"one", b"two"]);
}

#[test]
fn the_end_of_a_session_leaves_the_clients_next_session_alone() {
    let targets = ["192.0.2.8:53", "192.0.2.9:53"];
    let mut scene = Scene::new(|_| {}, &targets);
    let hosts = targets.map(|target| scene.host(target, false));
    let client = scene.host("192.0.2.20:1000", false);
    scene.send(client, b"one");
    for _ in 0..FALL {
        scene.worker_rule.state.targets()[0].health().check_failed();
    }
    // The first session ends while the second one is in its place in the table already.
    scene.send(client, b"two");
    scene.send(client, b"three");
    let received = scene.received(hosts[1]);
    assert_eq!(datagrams(&received), [&b"two"[..], b"three"]);
    assert_eq!(received[0].0, received[1].0, "a third session was made");
    assert_eq!(scene.open(), 1);
}

#[test]
fn datagrams_that_are_not_passed_on_are_counted_by_reason() {
    let dropped = |scene: &Scene| {
        let counts = scene.worker_rule.state.counts();
        DatagramDrop::ALL.map(|reason| counts.dropped(reason))
    };
    let mut scene = Scene::new(|rule| rule.max_connections = 1, &["192.0.2.9:53"]);
    scene.host("192.0.2.9:53", true);
    let clients = [scene.host("192.0.2.20:1000", false), scene.host("192.0.2.21:1000", false)];
    for client in clients {
        scene.send(client, b"question");
    }
    assert_eq!(dropped(&scene), [1, 0, 0, 0]);

    let mut scene = Scene::new(|_| {}, &["name.invalid:53"]);
    let client = scene.host("192.0.2.20:1000", false);
    scene.send(client, b"question");
    assert_eq!(dropped(&scene), [0, 1, 0, 0]);

    let mut scene = Scene::new(|rule| rule.rate = Some(1), &["192.0.2.9:53"]);
    scene.host("192.0.2.9:53", false);
    let client = scene.host("192.0.2.20:1000", false);
    (0..2).for_each(|_| scene.send(client, &[7; 40_000]));
    assert_eq!(dropped(&scene), [0, 0, 1, 0]);
}

#[test]
fn closing_the_listener_ends_its_sessions() {
    let mut scene = Scene::new(|_| {}, &["192.0.2.9:53"]);
    scene.host("192.0.2.9:53", true);
    let client = scene.host("192.0.2.20:1000", false);
    scene.send(client, b"one");
    let listener = scene.listener;
    scene.map.channel(listener).unwrap().close();
    scene.settle();
    assert_eq!(scene.open(), 0);
}

#[test]
fn datagrams_over_the_limit_on_bytes_are_lost() {
    let mut scene = Scene::new(|rule| rule.rate = Some(1000), &["192.0.2.9:53"]);
    let target = scene.host("192.0.2.9:53", false);
    let client = scene.host("192.0.2.20:1000", false);
    for _ in 0..20 {
        scene.send(client, &[7; 10_000]);
    }
    // What may come in one burst is 64 KiB.
    assert_eq!(scene.received(target).len(), 6);
    scene.pass(Duration::from_secs(10));
    scene.send(client, &[7; 10_000]);
    assert_eq!(scene.received(target).len(), 1);
}

mod real;
