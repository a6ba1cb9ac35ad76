//! Handlers that perform random actions on themselves and each other in every callback. Each channel
//! must still close exactly once, and the map must end up empty.

mod util;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use asyncore::sim::{Faults, Network};
use asyncore::{
    Channel, Dispatcher, Domain, Error, EventLoop, Result, SimpleProducer, Socket, SocketMap,
    Token, Type,
};
use util::on_every_poller;

/// The test harness that all handlers of a run share.
struct Harness {
    rng: RefCell<fastrand::Rng>,
    server: Cell<Option<SocketAddr>>,
    actors: RefCell<Vec<Token<Actor>>>,
    /// Number of `handle_close` calls of each actor.
    ended: RefCell<BTreeMap<u64, u32>>,
    /// Violations of the callback order. They are collected because the loop would catch a panic.
    violations: RefCell<Vec<String>>,
    /// Number of actors that may still be created.
    budget: Cell<u64>,
    dropped: Cell<usize>,
}

impl Harness {
    fn new(seed: u64) -> Rc<Self> {
        Rc::new(Harness {
            rng: RefCell::new(fastrand::Rng::with_seed(seed)),
            server: Cell::new(None),
            actors: RefCell::default(),
            ended: RefCell::default(),
            violations: RefCell::default(),
            budget: Cell::new(60),
            dropped: Cell::new(0),
        })
    }

    fn below(&self, bound: u64) -> u64 {
        self.rng.borrow_mut().u64(..bound)
    }

    fn some_actor(&self) -> Option<Token<Actor>> {
        let actors = self.actors.borrow();
        let index = self.below(actors.len().max(1) as u64);
        actors.get(usize::try_from(index).unwrap()).copied()
    }
}

struct Actor {
    harness: Rc<Harness>,
    name: u64,
}

impl Actor {
    fn new(harness: &Rc<Harness>) -> Self {
        let mut ended = harness.ended.borrow_mut();
        let name = ended.len() as u64;
        ended.insert(name, 0);
        Actor { harness: Rc::clone(harness), name }
    }

    /// Records a violation if a callback runs after `handle_close`.
    fn check_open(&self, callback: &str) {
        if self.harness.ended.borrow()[&self.name] > 0 {
            let what = format!("{callback} of {} after its handle_close", self.name);
            self.harness.violations.borrow_mut().push(what);
        }
    }

    /// Performs up to two random actions.
    fn act(&mut self, ch: &mut Channel<'_>, callback: &str) -> Result {
        self.check_open(callback);
        let harness = Rc::clone(&self.harness);
        for _ in 0..harness.below(3) {
            self.perform_action(ch, &harness)?;
        }
        Ok(())
    }

    fn perform_action(&mut self, ch: &mut Channel<'_>, harness: &Rc<Harness>) -> Result {
        match harness.below(40) {
            0..6 => ch.push(&vec![1; harness.below(500) as usize][..]),
            6 => ch.push(vec![2; harness.below(300_000) as usize]),
            7 => ch.push_with_producer(SimpleProducer::new(vec![3; 5_000])),
            8 => ch.close(),
            9 | 10 => ch.close_when_done(),
            11 => ch.shutdown_write(),
            12 => ch.touch(),
            13 => ch.set_timeout(Duration::from_millis(1 + harness.below(20))),
            14 => ch.set_priority(harness.below(2) == 0),
            15 => ch.discard_buffers(),
            16 => ch.abort(),
            17 => ch.set_high_water(harness.below(2_000) as usize),
            18 => ch.set_output_limit(harness.below(100_000) as usize),
            19 => {
                ch.send(b"past the queue")?;
            }
            20 => {
                ch.recv(&mut [0; 3])?;
            }
            21 => return Err(Error::msg("an actor's error")),
            22 => panic!("an actor's panic"),
            23..27 => new_actor(ch, harness),
            27 => {
                if let Some(sock) = ch.take_socket() {
                    let token = ch.add(Actor::new(harness), sock);
                    harness.actors.borrow_mut().push(token);
                }
            }
            28..31 => {
                let other = harness.some_actor();
                if let Some(mut other) = other.and_then(|token| ch.channel(token)) {
                    other.push(&b"from another"[..]);
                    if harness.below(4) == 0 {
                        other.close();
                    }
                }
            }
            31..34 => {
                if let Some(other) = harness.some_actor() {
                    return ch
                        .with(other, |other, ch| {
                            other.perform_action(ch, &Rc::clone(&other.harness))
                        })
                        .unwrap_or(Ok(()));
                }
            }
            34 => {
                let token = ch.token::<Actor>();
                ch.call_later(Duration::from_millis(harness.below(5)), move |map| {
                    map.with(token, |actor, ch| actor.act(ch, "a timer")).unwrap_or(Ok(()))
                });
            }
            _ => {
                ch.send_oob(b"!")?;
            }
        }
        Ok(())
    }
}

/// Adds an actor that connects to the server, within the budget.
fn new_actor(ch: &mut Channel<'_>, harness: &Rc<Harness>) {
    let (left, Some(server)) = (harness.budget.get(), harness.server.get()) else { return };
    if left == 0 {
        return;
    }
    harness.budget.set(left - 1);
    let added = ch.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.connect(server)?;
        Ok(Actor::new(harness))
    });
    harness.actors.borrow_mut().push(added.expect("room for a socket"));
}

impl Dispatcher for Actor {
    fn writable(&self, ch: &Channel<'_>) -> bool {
        ch.has_output() || self.name % 3 == 0
    }

    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        if self.harness.below(10) > 0 {
            ch.with_buffer(2_000, |ch, buf| ch.recv(buf))?;
        }
        self.act(ch, "handle_read")
    }

    fn handle_write(&mut self, ch: &mut Channel<'_>) -> Result {
        self.act(ch, "handle_write")
    }

    fn handle_expt(&mut self, ch: &mut Channel<'_>) -> Result {
        if self.harness.below(4) > 0 {
            ch.recv_oob(&mut [0; 1])?;
        }
        self.act(ch, "handle_expt")
    }

    fn handle_connect(&mut self, ch: &mut Channel<'_>) -> Result {
        self.act(ch, "handle_connect")
    }

    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        _: Option<SocketAddr>,
    ) -> Result {
        let token = ch.add(Actor::new(&self.harness), sock);
        self.harness.actors.borrow_mut().push(token);
        ch.with(token, |actor, ch| actor.act(ch, "its birth")).expect("just added")
    }

    fn handle_eof(&mut self, ch: &mut Channel<'_>) -> Result {
        if self.harness.below(2) == 0 {
            ch.close_when_done();
        }
        self.act(ch, "handle_eof")
    }

    fn handle_close(&mut self, ch: &mut Channel<'_>) {
        self.check_open("handle_close");
        *self.harness.ended.borrow_mut().get_mut(&self.name).expect("made") += 1;
        let harness = Rc::clone(&self.harness);
        // The channel has no socket any more, but can still act on others.
        let _ = self.perform_action(ch, &harness);
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, _: Error) {
        if self.harness.below(2) == 0 && !ch.is_accepting() {
            ch.close();
        }
        self.act(ch, "handle_error").unwrap_or_default();
    }

    fn handle_timeout(&mut self, ch: &mut Channel<'_>) -> Result {
        self.act(ch, "handle_timeout")
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.harness.dropped.set(self.harness.dropped.get() + 1);
    }
}

/// Runs a server and its clients for `passes` passes, drains the map and checks that nothing is left.
///
/// If `rests`, the map must become idle before the drain: no channel may spin.
fn run_scenario(map: &mut EventLoop, harness: &Rc<Harness>, passes: usize, rests: bool) {
    let pass = Some(Duration::from_millis(1));
    let _log = util::log::captured(|| {
        let server = map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.bind("127.0.0.1:0".parse::<SocketAddr>().unwrap())?;
            ch.listen(100)?;
            harness.server.set(ch.local_addr()?.inet());
            Ok(Actor::new(harness))
        });
        let server = server.unwrap();
        for _ in 0..5 {
            map.with(server, |_, ch| new_actor(ch, harness));
        }
        for _ in 0..passes {
            let _ = map.poll(pass).unwrap();
        }
        if rests {
            util::assert_rests(map);
        }
        map.drain(Duration::from_millis(5));
        // Closing actors may have added new ones, which must be closed, too.
        for _ in 0..20_000 {
            if !map.is_empty() && !map.poll(pass).unwrap().exit && harness.below(50) == 0 {
                map.close_all();
            }
        }
    });
    assert!(map.is_empty(), "left over: {map:?}");
    assert_eq!(harness.violations.take(), [""; 0]);
    let ended = harness.ended.borrow();
    assert!(ended.len() >= 5, "the run created too few actors");
    for (name, times) in ended.iter() {
        assert_eq!(*times, 1, "handle_close of {name}");
    }
    assert_eq!(harness.dropped.get(), ended.len());
    assert_eq!(map.stats().opened, map.stats().closed);
}

#[test]
fn on_simulated_networks_every_channel_closes_once() {
    asyncore::sim::check(0..300, |net| {
        let (faults, rests) = match net.seed() % 3 {
            0 => (Faults::none(), true),
            1 => (Faults::mild(), true),
            // Spurious readiness keeps this network from becoming idle.
            _ => (Faults { reset: 0.01, ..Faults::harsh() }, false),
        };
        let net = Network::with_faults(net.seed(), faults);
        let mut map = SocketMap::simulated(&net);
        run_scenario(&mut map, &Harness::new(net.seed()), 400, rests);
    });
}

#[test]
fn on_real_sockets_every_channel_closes_once() {
    on_every_poller(|builder| {
        for seed in 0..10 {
            let _named = util::NamedOnPanic(format!("seed {seed}"));
            let mut map = builder.clone().build().unwrap();
            run_scenario(&mut map, &Harness::new(seed), 100, true);
        }
    });
}
