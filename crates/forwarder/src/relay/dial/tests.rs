use std::net::SocketAddr;
use std::time::{Duration, Instant};

use asyncore::sim::{Network, Peer};
use asyncore::{Domain, Type};
use rustix::io::Errno;

use super::*;
use crate::config::{Balance, Endpoint, Listen, Rule};
use crate::policy::HealthState;
use crate::relay::Listener;

/// A client whose first target does not answer, and a second target that would.
struct Scene {
    network: Network,
    map: SocketMap,
    serving: Rc<Serving>,
    client: Peer,
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

impl Scene {
    fn new() -> Self {
        let network = Network::new(1);
        let targets = ["192.0.2.8", "192.0.2.9"].map(|ip| Endpoint::Host(ip.to_owned(), 80).into());
        let mut rule = Rule::new(Listen::Tcp(addr("192.0.2.1:80")), targets.to_vec());
        rule.balance = Balance::First;
        network.blackhole(addr("192.0.2.8:80"));
        let mut map = SocketMap::simulated(&network);
        let serving = Serving::alone(rule, map.now());
        let made = Rc::clone(&serving);
        map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.bind(addr("192.0.2.1:80"))?;
            ch.listen(16)?;
            Ok(Listener::new(made))
        })
        .unwrap();
        let client = network.connect(addr("192.0.2.1:80"));
        Scene { network, map, serving, client }
    }

    /// The first target's connection fails with `errno`, as the system could have it.
    fn fail(&mut self, errno: Errno) {
        for _ in 0..10_000 {
            let tokens: Vec<Token<Half>> = self.map.tokens().map(Token::cast).collect();
            let is_target = |half: &Half| half.side == Side::Target;
            let target = tokens.into_iter().find(|it| self.map.get(*it).is_some_and(is_target));
            if let Some(target) = target {
                let error = Error::from(std::io::Error::from(errno));
                self.map.with(target, |half, ch| failed(half, ch, &error)).unwrap();
                return;
            }
            self.pass();
        }
        panic!("no target was dialled");
    }

    fn pass(&mut self) {
        let _ = self.map.poll(Some(Duration::from_millis(1))).unwrap();
    }

    fn rests(&self, now: Instant) -> bool {
        self.serving.state.targets()[0].health().state(now) != HealthState::Well
    }
}

#[test]
fn running_out_of_descriptors_ends_the_connection_and_rests_no_target() {
    let mut scene = Scene::new();
    scene.fail(Errno::MFILE);
    assert!(!scene.rests(scene.map.now()));
    for _ in 0..10_000 {
        if scene.serving.state.counts().open() == 0 {
            assert_eq!(scene.serving.state.targets()[1].total(), 0);
            return;
        }
        scene.pass();
    }
    panic!("the connection did not end");
}

#[test]
fn running_out_of_ports_goes_on_to_the_next_target_and_rests_none() {
    let mut scene = Scene::new();
    let next = scene.network.listen(addr("192.0.2.9:80")).unwrap();
    scene.fail(Errno::ADDRNOTAVAIL);
    assert!(!scene.rests(scene.map.now()));
    for _ in 0..10_000 {
        if next.accept().is_some() {
            drop(scene.client);
            return;
        }
        scene.pass();
    }
    panic!("the next target was not connected to");
}

#[test]
fn a_refusal_rests_the_target() {
    let mut scene = Scene::new();
    scene.fail(Errno::CONNREFUSED);
    assert!(scene.rests(scene.map.now()));
}
