//! The system's own sockets, on the loopback, served by a worker.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use asyncore::{EventLoop, SocketMap, Token};

use crate::config::{Endpoint, Listen, Rule, Target};
use crate::policy::RuleState;
use crate::shared::{Drain, Shared};
use crate::worker::{RuleChange, Worker};

struct Scene {
    map: EventLoop,
    worker: Token<Worker>,
    listen: SocketAddr,
    shared: Arc<Shared>,
    state: Option<Arc<RuleState>>,
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

impl Scene {
    fn new() -> Self {
        let mut map = SocketMap::new().unwrap();
        let shared = Shared::new(100, 1);
        let worker = Worker::start(&mut map, Arc::clone(&shared)).unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        Scene { map, worker, listen, shared, state: None }
    }

    /// Serves one rule with these targets, from the socket that it has or from a new one.
    fn apply(&mut self, targets: &[SocketAddr]) {
        let mut sockets = Vec::new();
        if self.state.is_none() {
            let socket = socket();
            self.listen = socket.local_addr().unwrap();
            sockets.push(socket.into());
        }
        let targets = targets.iter().map(|target| {
            let endpoint = Endpoint::Host(target.ip().to_string(), target.port());
            Target { endpoint, weight: 1 }
        });
        let mut rule = Rule::new(Listen::Udp(self.listen), targets.collect());
        rule.balance = crate::config::Balance::First;
        let now = Instant::now();
        let state = Arc::new(match &self.state {
            Some(state) => state.reloaded(&rule, now),
            None => RuleState::new(&rule, Arc::clone(&self.shared.process), now),
        });
        self.state = Some(Arc::clone(&state));
        let served = RuleChange::Serve { rule: Arc::new(rule), state, sockets, checks: false };
        self.map.with(self.worker, |worker, ch| worker.apply(ch, vec![served]));
    }

    fn receive(&mut self, socket: &UdpSocket) -> (SocketAddr, Vec<u8>) {
        let mut buf = [0; 100];
        self.until("a datagram", |_| {
            socket.recv_from(&mut buf).ok().map(|(n, from)| (from, buf[..n].to_vec()))
        })
    }

    fn until<T>(&mut self, what: &str, mut done: impl FnMut(&Scene) -> Option<T>) -> T {
        for _ in 0..1000 {
            if let Some(it) = done(self) {
                return it;
            }
            let _ = self.map.poll(Some(Duration::from_millis(10))).unwrap();
        }
        panic!("never: {what}");
    }

    fn state(&self) -> &RuleState {
        self.state.as_ref().unwrap()
    }
}

#[test]
fn sessions_stay_with_their_target_until_a_reload_takes_it_out_of_the_rule() {
    let (before, after, client) = (socket(), socket(), socket());
    let [old, new] = [&before, &after].map(|target| target.local_addr().unwrap());
    let mut scene = Scene::new();
    scene.apply(&[old]);
    client.send_to(b"one", scene.listen).unwrap();
    let (session, one) = scene.receive(&before);
    assert_eq!(one, b"one");

    scene.apply(&[new, old]);
    client.send_to(b"two", scene.listen).unwrap();
    assert_eq!(scene.receive(&before), (session, b"two".to_vec()));
    before.send_to(b"answer", session).unwrap();
    assert_eq!(scene.receive(&client), (scene.listen, b"answer".to_vec()));

    scene.apply(&[new]);
    client.send_to(b"three", scene.listen).unwrap();
    let (session, three) = scene.receive(&after);
    assert_eq!(three, b"three");
    after.send_to(b"answer", session).unwrap();
    assert_eq!(scene.receive(&client), (scene.listen, b"answer".to_vec()));
    assert_eq!(scene.state().counts().open(), 1);
}

#[test]
fn a_removed_rule_gives_its_address_back() {
    let (target, client) = (socket(), socket());
    let mut scene = Scene::new();
    scene.apply(&[target.local_addr().unwrap()]);
    client.send_to(b"one", scene.listen).unwrap();
    scene.receive(&target);
    let listen = scene.listen;
    let removed = vec![RuleChange::Remove(Listen::Udp(listen))];
    scene.map.with(scene.worker, |worker, ch| worker.apply(ch, removed));
    scene.until("the address being free", |_| UdpSocket::bind(listen).ok());
    scene.until("the session's end", |scene| (scene.state().counts().open() == 0).then_some(()));
}

#[test]
fn a_port_that_nobody_listens_on_is_a_target_that_refuses() {
    let (target, client) = (socket(), socket());
    let closed = socket().local_addr().unwrap();
    let mut scene = Scene::new();
    scene.apply(&[closed, target.local_addr().unwrap()]);
    client.send_to(b"lost", scene.listen).unwrap();
    scene.until("a refusal", |scene| (scene.state().targets()[0].failures() == 1).then_some(()));
    client.send_to(b"found", scene.listen).unwrap();
    assert_eq!(scene.receive(&target).1, b"found");
}

#[test]
fn what_is_open_at_the_end_of_the_drain_is_cut_off() {
    let (target, client) = (socket(), socket());
    let mut scene = Scene::new();
    scene.apply(&[target.local_addr().unwrap()]);
    client.send_to(b"one", scene.listen).unwrap();
    scene.receive(&target);
    scene.map.with(scene.worker, |worker, ch| worker.drain(ch, Drain::Stop, Duration::ZERO));
    scene.until("its end", |scene| (scene.state().counts().open() == 0).then_some(()));
    assert!(scene.shared.cut_off.load(Ordering::Relaxed));
    let listen = scene.listen;
    scene.until("the address being free", |_| UdpSocket::bind(listen).ok());
}
