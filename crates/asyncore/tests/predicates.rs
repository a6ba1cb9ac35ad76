//! `readable` and `writable`: when the loop evaluates them, and their effect.

mod util;

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use asyncore::sim::{self, Faults, Network};
use asyncore::{
    Channel, Dispatcher, Domain, Producer, Result, SimpleProducer, SocketMap, Token, Type,
};
use util::{Recorder, Seen, World, on_every_network, on_every_network_with};

/// A value that predicates read, with a count of the reads.
#[derive(Clone, Default)]
struct Answer {
    value: Rc<Cell<bool>>,
    asked: Rc<Cell<usize>>,
}

impl Answer {
    fn give(&self) -> bool {
        self.asked.set(self.asked.get() + 1);
        self.value.get()
    }
}

/// Pushes until the socket is full and enough stays queued that the socket is not reported writable
/// at once: that needs a third of its buffer to be free.
fn fill<T: Dispatcher>(world: &mut World, token: Token<T>) {
    let mut piece = 1000;
    while world.map.channel(token).unwrap().output_len() < piece / 4 {
        world.map.channel(token).unwrap().push(vec![0; piece]);
        world.settle();
        piece *= 2;
    }
}

#[test]
fn predicates_of_idle_channels_are_not_evaluated() {
    on_every_network(|world| {
        let (idle, busy) = (Answer::default(), Seen::default());
        let mine = idle.clone();
        let handler = Recorder::new(&Seen::default()).readable(move |_| mine.give());
        let (_, _idle_remote) = world.connect(handler);
        let (_, remote) = world.connect(Recorder::new(&busy));
        world.settle();
        let asked = idle.asked.get();
        assert!(asked > 0);
        for sent in 1..=20 {
            remote.send(b"x");
            world.run_until(|_| busy.received_len() == sent);
        }
        assert_eq!(idle.asked.get(), asked);
    });
}

#[test]
fn an_unreadable_channel_is_read_after_a_touch() {
    on_every_network(|world| {
        let (seen, answer) = (Seen::default(), Answer::default());
        let mine = answer.clone();
        let (token, remote) = world.connect(Recorder::new(&seen).readable(move |_| mine.give()));
        remote.send(b"waiting");
        world.settle();
        assert_eq!(seen.count("handle_read"), 0);

        answer.value.set(true);
        world.settle();
        assert_eq!(seen.count("handle_read"), 0, "the change was not announced");

        world.map.channel(token).unwrap().touch();
        world.run_until(|_| seen.received() == b"waiting");
    });
}

#[test]
fn a_listener_that_is_not_readable_accepts_nothing() {
    on_every_network(|world| {
        let (seen, answer) = (Seen::default(), Answer::default());
        let mine = answer.clone();
        let (token, addr) = world.listen(Recorder::new(&seen).readable(move |_| mine.give()));
        let _visitor = world.visit(addr);
        world.settle();
        assert_eq!(seen.calls(), [""; 0]);
        answer.value.set(true);
        world.map.channel(token).unwrap().touch();
        world.run_until(|_| seen.count("handle_accepted") == 1);
    });
}

#[test]
fn queued_output_is_sent_regardless_of_writable() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = world.connect(Recorder::new(&seen).writable(|_| false));
        let size = if world.net.is_some() { 2_000 } else { 300_000 };
        world.map.channel(token).unwrap().push(vec![7; size]);
        let mut received = 0;
        world.run_until(|_| {
            received += remote.received().len();
            received == size
        });
        assert_eq!(seen.count("handle_write"), 0);
    });
}

/// Echoes its input; uses the default predicates.
struct Echo;

impl Dispatcher for Echo {
    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        let mut buf = [0; 500];
        let n = ch.recv(&mut buf)?;
        ch.push(&buf[..n]);
        Ok(())
    }
}

/// A handler with a field that the predicates of another channel read.
struct Gate {
    open: bool,
}

impl Dispatcher for Gate {}

#[test]
fn changing_a_handler_reevaluates_dependent_predicates() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (gate, _gate_remote) = world.connect(Gate { open: false });
        let looks = move |ch: &Channel<'_>| ch.get(gate).is_some_and(|it| it.open);
        let (_, remote) = world.connect(Recorder::new(&seen).readable(looks));
        for round in 1..=3 {
            remote.send(b"x");
            world.settle();
            assert_eq!(seen.received_len(), round - 1);
            world.map.get_mut(gate).unwrap().open = true;
            world.run_until(|_| seen.received_len() == round);
            world.map.get_mut(gate).unwrap().open = false;
        }
    });
}

#[test]
fn sending_a_queue_reevaluates_dependent_predicates() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (slow, slow_remote) = world.connect(Recorder::new(&Seen::default()));
        let looks = move |ch: &Channel<'_>| ch.output_len_of(slow) == 0;
        let (_, remote) = world.connect(Recorder::new(&seen).readable(looks));
        slow_remote.pause_reading();
        fill(world, slow);
        remote.send(b"x");
        world.settle();
        assert_eq!(seen.received_len(), 0);
        slow_remote.resume_reading();
        world.run_until(|_| seen.received() == b"x");
    });
}

#[test]
fn removing_a_channel_reevaluates_dependent_predicates() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (other, other_remote) = world.connect(Recorder::new(&Seen::default()));
        let looks = move |ch: &Channel<'_>| !ch.contains(other);
        let (_, remote) = world.connect(Recorder::new(&seen).readable(looks));
        remote.send(b"x");
        world.settle();
        assert_eq!(seen.received_len(), 0);
        other_remote.close();
        world.run_until(|_| seen.received() == b"x");
    });
}

#[test]
fn a_panicking_predicate_closes_only_its_channel() {
    on_every_network(|world| {
        let (seen, spared) = (Seen::default(), Seen::default());
        let (_, spared_remote) = world.connect(Recorder::new(&spared));
        let answer = Answer::default();
        let mine = answer.clone();
        let handler = Recorder::new(&seen).readable(move |_| {
            assert!(!mine.give(), "no answer");
            true
        });
        let (token, _remote) = world.connect(handler);
        answer.value.set(true);
        world.map.channel(token).unwrap().touch();
        spared_remote.send(b"x");
        world.run_until(|_| seen.is_closed() && spared.received() == b"x");
        let errors = seen.errors();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].ends_with(": no answer"), "{errors:?}");
        assert_eq!(seen.count("handle_close"), 1);
    });
}

#[test]
fn the_predicate_check_names_a_channel_that_changed_silently() {
    on_every_network_with(
        |builder| builder.check_predicates(true),
        |world| {
            let answer = Answer::default();
            let mine = answer.clone();
            let handler = Recorder::new(&Seen::default()).readable(move |_| mine.give());
            let (token, _remote) = world.connect(handler);
            world.settle();
            answer.value.set(true);
            let channel = format!("{:?}", world.map.channel(token).unwrap());
            world.settle();

            answer.value.set(false);
            let outcome = catch_unwind(AssertUnwindSafe(|| world.settle()));
            let message = *outcome.unwrap_err().downcast::<String>().unwrap();
            assert!(message.contains(&channel), "{message}");
            assert!(message.contains("call touch() on it"), "{message}");
        },
    );
}

#[test]
fn the_predicate_check_accepts_announced_changes() {
    on_every_network_with(
        |builder| builder.check_predicates(true),
        |world| {
            let (seen, gate_seen) = (Seen::default(), Seen::default());
            let (gate, gate_remote) = world.connect(Recorder::new(&gate_seen));
            let looks = move |ch: &Channel<'_>| ch.output_len_of(gate) == 0;
            let (_, remote) = world.connect(Recorder::new(&seen).readable(looks));
            gate_remote.pause_reading();
            fill(world, gate);
            remote.send(&[1; 500]);
            world.settle();
            assert_eq!(seen.received_len(), 0);
            gate_remote.resume_reading();
            world.run_until(|_| seen.received_len() == 500);
        },
    );
}

#[test]
fn a_waiting_producer_reevaluates_predicates() {
    struct Later;
    impl Producer for Later {
        fn more(&mut self, _: &mut Vec<u8>) -> io::Result<()> {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }
    on_every_network_with(
        |builder| builder.check_predicates(true),
        |world| {
            let (token, _remote) = world.connect(Echo);
            world.settle();
            world.map.channel(token).unwrap().push_with_producer(Later);
            // Panics if an answer has changed without an announcement.
            world.settle();
            assert!(world.map.channel(token).unwrap().has_output());
        },
    );
}

#[test]
fn default_predicates_are_reevaluated_when_they_change() {
    sim::check(0..60, |net| {
        let net = Network::with_faults(net.seed(), Faults::harsh());
        let mut map = SocketMap::builder().check_predicates(true).build_simulated(&net);
        let listener = net.listen("127.0.0.1:7".parse().unwrap()).unwrap();
        let mut rng = fastrand::Rng::with_seed(net.seed());
        let tokens: Vec<Token<Echo>> = (0..3)
            .map(|_| {
                let added = map.add_with(|ch| {
                    ch.create_socket(Domain::IPV4, Type::STREAM)?;
                    ch.connect(listener.local_addr())?;
                    Ok(Echo)
                });
                added.unwrap()
            })
            .collect();
        let mut peers = Vec::new();
        for _ in 0..300 {
            peers.extend(listener.accept());
            if let Some(mut channel) = map.channel(tokens[rng.usize(..3)]) {
                match rng.u64(..40) {
                    0 => channel.push(vec![7; rng.usize(..3000)]),
                    1 => channel.push_with_producer(SimpleProducer::new(vec![7; 700])),
                    2 => channel.set_high_water(rng.usize(..2000)),
                    3 => channel.discard_buffers(),
                    4 if rng.f64() < 0.1 => channel.shutdown_write(),
                    5 if rng.f64() < 0.1 => channel.close_when_done(),
                    _ => {}
                }
            }
            if let Some(peer) = peers.get(rng.usize(..3)) {
                match rng.u64(..20) {
                    0 => peer.send(&vec![7; rng.usize(..2000)]),
                    1 => peer.pause_reading(),
                    2 => peer.resume_reading(),
                    3 if rng.f64() < 0.1 => peer.shutdown(),
                    _ => {}
                }
            }
            // Panics if an answer has changed without an announcement.
            let _ = map.poll(util::PASS).unwrap();
        }
    });
}
