//! Handlers that do anything at any time, in every callback, to themselves and to each other: each
//! still ends exactly once, nothing is left, and the loop goes on.

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

/// What all handlers of one run share.
struct Stage {
    rng: RefCell<fastrand::Rng>,
    server: Cell<Option<SocketAddr>>,
    actors: RefCell<Vec<Token<Actor>>>,
    /// How far each actor has come: 0 when it was made, 1 when it was told of its close.
    ended: RefCell<BTreeMap<u64, u32>>,
    /// What must not happen; a panic would be caught like any other.
    violations: RefCell<Vec<String>>,
    /// How many actors may still be made.
    budget: Cell<u64>,
    dropped: Cell<usize>,
}

impl Stage {
    fn new(seed: u64) -> Rc<Self> {
        Rc::new(Stage {
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
    stage: Rc<Stage>,
    name: u64,
}

impl Actor {
    fn new(stage: &Rc<Stage>) -> Self {
        let mut ended = stage.ended.borrow_mut();
        let name = ended.len() as u64;
        ended.insert(name, 0);
        Actor { stage: Rc::clone(stage), name }
    }

    /// Notes a callback, which must not come after the last.
    fn enters(&self, callback: &str) {
        if self.stage.ended.borrow()[&self.name] > 0 {
            let what = format!("{callback} of {} after its handle_close", self.name);
            self.stage.violations.borrow_mut().push(what);
        }
    }

    /// Does something.
    fn acts(&mut self, ch: &mut Channel<'_>, callback: &str) -> Result {
        self.enters(callback);
        let stage = Rc::clone(&self.stage);
        for _ in 0..stage.below(3) {
            self.does_one_thing(ch, &stage)?;
        }
        Ok(())
    }

    fn does_one_thing(&mut self, ch: &mut Channel<'_>, stage: &Rc<Stage>) -> Result {
        match stage.below(40) {
            0..6 => ch.push(&vec![1; stage.below(500) as usize][..]),
            6 => ch.push(vec![2; stage.below(300_000) as usize]),
            7 => ch.push_with_producer(SimpleProducer::new(vec![3; 5_000])),
            8 => ch.close(),
            9 | 10 => ch.close_when_done(),
            11 => ch.shutdown_write(),
            12 => ch.touch(),
            13 => ch.set_timeout(Duration::from_millis(1 + stage.below(20))),
            14 => ch.set_priority(stage.below(2) == 0),
            15 => ch.discard_buffers(),
            16 => ch.abort(),
            17 => ch.set_high_water(stage.below(2_000) as usize),
            18 => ch.set_output_limit(stage.below(100_000) as usize),
            19 => {
                ch.send(b"past the queue")?;
            }
            20 => {
                ch.recv(&mut [0; 3])?;
            }
            21 => return Err(Error::msg("an actor's error")),
            22 => panic!("an actor's panic"),
            23..27 => new_actor(ch, stage),
            27 => {
                if let Some(sock) = ch.take_socket() {
                    let token = ch.add(Actor::new(stage), sock);
                    stage.actors.borrow_mut().push(token);
                }
            }
            28..31 => {
                let other = stage.some_actor();
                if let Some(mut other) = other.and_then(|token| ch.channel(token)) {
                    other.push(&b"from another"[..]);
                    if stage.below(4) == 0 {
                        other.close();
                    }
                }
            }
            31..34 => {
                if let Some(other) = stage.some_actor() {
                    return ch
                        .with(other, |other, ch| other.does_one_thing(ch, &Rc::clone(&other.stage)))
                        .unwrap_or(Ok(()));
                }
            }
            34 => {
                let token = ch.token::<Actor>();
                ch.call_later(Duration::from_millis(stage.below(5)), move |map| {
                    map.with(token, |actor, ch| actor.acts(ch, "a timer")).unwrap_or(Ok(()))
                });
            }
            _ => {
                ch.send_oob(b"!")?;
            }
        }
        Ok(())
    }
}

/// Lets another actor connect to the server.
fn new_actor(ch: &mut Channel<'_>, stage: &Rc<Stage>) {
    let (left, Some(server)) = (stage.budget.get(), stage.server.get()) else { return };
    if left == 0 {
        return;
    }
    stage.budget.set(left - 1);
    let added = ch.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.connect(server)?;
        Ok(Actor::new(stage))
    });
    stage.actors.borrow_mut().push(added.expect("room for a socket"));
}

impl Dispatcher for Actor {
    fn writable(&self, ch: &Channel<'_>) -> bool {
        ch.has_output() || self.name % 3 == 0
    }

    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        if self.stage.below(10) > 0 {
            ch.with_buffer(2_000, |ch, buf| ch.recv(buf))?;
        }
        self.acts(ch, "handle_read")
    }

    fn handle_write(&mut self, ch: &mut Channel<'_>) -> Result {
        self.acts(ch, "handle_write")
    }

    fn handle_expt(&mut self, ch: &mut Channel<'_>) -> Result {
        if self.stage.below(4) > 0 {
            ch.recv_oob(&mut [0; 1])?;
        }
        self.acts(ch, "handle_expt")
    }

    fn handle_connect(&mut self, ch: &mut Channel<'_>) -> Result {
        self.acts(ch, "handle_connect")
    }

    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        _: Option<SocketAddr>,
    ) -> Result {
        let token = ch.add(Actor::new(&self.stage), sock);
        self.stage.actors.borrow_mut().push(token);
        ch.with(token, |actor, ch| actor.acts(ch, "its birth")).expect("just added")
    }

    fn handle_eof(&mut self, ch: &mut Channel<'_>) -> Result {
        if self.stage.below(2) == 0 {
            ch.close_when_done();
        }
        self.acts(ch, "handle_eof")
    }

    fn handle_close(&mut self, ch: &mut Channel<'_>) {
        self.enters("handle_close");
        *self.stage.ended.borrow_mut().get_mut(&self.name).expect("made") += 1;
        let stage = Rc::clone(&self.stage);
        // Its socket is gone, and it can still reach for others.
        let _ = self.does_one_thing(ch, &stage);
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, _: Error) {
        if self.stage.below(2) == 0 && !ch.is_accepting() {
            ch.close();
        }
        self.acts(ch, "handle_error").unwrap_or_default();
    }

    fn handle_timeout(&mut self, ch: &mut Channel<'_>) -> Result {
        self.acts(ch, "handle_timeout")
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.stage.dropped.set(self.stage.dropped.get() + 1);
    }
}

/// Lets a server and its clients play for a while, ends the play, and looks at what is left.
///
/// In between there has to be silence, if the network has any: none of them may spin.
fn play(map: &mut EventLoop, stage: &Rc<Stage>, passes: usize, rests: bool) {
    let pass = Some(Duration::from_millis(1));
    let _log = util::log::captured(|| {
        let server = map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.bind("127.0.0.1:0".parse::<SocketAddr>().unwrap())?;
            ch.listen(100)?;
            stage.server.set(ch.local_addr()?.inet());
            Ok(Actor::new(stage))
        });
        let server = server.unwrap();
        for _ in 0..5 {
            map.with(server, |_, ch| new_actor(ch, stage));
        }
        for _ in 0..passes {
            let _ = map.poll(pass).unwrap();
        }
        if rests {
            util::assert_rests(map);
        }
        map.drain(Duration::from_millis(5));
        // Those who are made in the end, by others that are ending, are told to go too.
        for _ in 0..20_000 {
            if !map.is_empty() && !map.poll(pass).unwrap().exit && stage.below(50) == 0 {
                map.close_all();
            }
        }
    });
    assert!(map.is_empty(), "left over: {map:?}");
    assert_eq!(stage.violations.take(), [""; 0]);
    let ended = stage.ended.borrow();
    assert!(ended.len() >= 5, "a dull play");
    for (name, times) in ended.iter() {
        assert_eq!(*times, 1, "handle_close of {name}");
    }
    assert_eq!(stage.dropped.get(), ended.len());
    assert_eq!(map.stats().opened, map.stats().closed);
}

#[test]
fn on_simulated_networks_every_channel_closes_once() {
    asyncore::sim::check(0..300, |net| {
        let (faults, rests) = match net.seed() % 3 {
            0 => (Faults::none(), true),
            1 => (Faults::mild(), true),
            // Its readiness is spurious now and then, so it is never silent for long.
            _ => (Faults { reset: 0.01, ..Faults::harsh() }, false),
        };
        let net = Network::with_faults(net.seed(), faults);
        let mut map = SocketMap::simulated(&net);
        play(&mut map, &Stage::new(net.seed()), 400, rests);
    });
}

#[test]
fn on_real_sockets_every_channel_closes_once() {
    on_every_poller(|builder| {
        for seed in 0..10 {
            let _named = util::NamedOnPanic(format!("seed {seed}"));
            let mut map = builder.clone().build().unwrap();
            play(&mut map, &Stage::new(seed), 100, true);
        }
    });
}
