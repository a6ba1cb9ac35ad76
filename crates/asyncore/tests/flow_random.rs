//! Whatever happens to a few channels and their sinks, those with input are read exactly while
//! they may be.

mod util;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use asyncore::Token;
use asyncore::sim::Network;
use proptest::collection::vec;
use proptest::prelude::*;
use util::flow::Counter;
use util::{MAX_PASSES, Remote, World, on_every_network};

/// The channels of a run. Their sinks are chosen among them.
const CHANNELS: usize = 4;

#[derive(Clone, Copy, Debug)]
enum Action {
    /// The peer of a channel sends bytes.
    Send,
    /// Output is queued, in sixteenths of what a connection holds under way.
    Push(usize),
    Discard,
    SetHighWater(usize),
    SetSink(usize),
    ClearSink,
    Pause,
    Resume,
    /// The peer of a channel stops reading, or goes on.
    Stall,
    Unstall,
    /// Another channel, with another connection, takes its place.
    Replace,
}

fn actions() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => Just(Action::Send),
        6 => (1..20usize).prop_map(Action::Push),
        2 => Just(Action::Discard),
        2 => prop_oneof![Just(1), 1..100_000usize].prop_map(Action::SetHighWater),
        6 => (0..CHANNELS).prop_map(Action::SetSink),
        1 => Just(Action::ClearSink),
        2 => Just(Action::Pause),
        4 => Just(Action::Resume),
        4 => Just(Action::Stall),
        3 => Just(Action::Unstall),
        1 => Just(Action::Replace),
    ]
}

struct Member {
    token: Token<Counter>,
    remote: Remote,
    received: Rc<Cell<usize>>,
    sent: usize,
    sink: Option<Token<Counter>>,
    paused: bool,
}

impl Member {
    fn new(world: &mut World, buffer: usize) -> Self {
        let (counter, received) = Counter::new(buffer);
        let (token, remote) = world.connect(counter);
        Member { token, remote, received, sent: 0, sink: None, paused: false }
    }

    /// Whether it must not be read now.
    fn is_held(&self, world: &mut World) -> bool {
        let sink = self.sink.unwrap_or(self.token);
        let full = world.map.channel(sink).is_some_and(|ch| ch.output_len() >= ch.high_water());
        self.paused || full
    }
}

fn act(world: &mut World, members: &mut [Member], index: usize, action: Action) {
    let sinks: Vec<_> = members.iter().map(|it| it.token).collect();
    let unit = world.flood / 16;
    let member = &mut members[index];
    let mut channel = world.map.channel(member.token).unwrap();
    match action {
        Action::Send => {
            member.sent += 100;
            member.remote.send(&[1; 100]);
        }
        Action::Push(units) => channel.push(vec![2; units * unit]),
        Action::Discard => channel.discard_buffers(),
        Action::SetHighWater(bytes) => channel.set_high_water(bytes),
        Action::SetSink(sink) => {
            channel.set_sink(sinks[sink]);
            member.sink = Some(sinks[sink]).filter(|it| *it != member.token);
        }
        Action::ClearSink => {
            channel.clear_sink();
            member.sink = None;
        }
        Action::Pause => {
            channel.pause_reading();
            member.paused = true;
        }
        Action::Resume => {
            channel.resume_reading();
            member.paused = false;
        }
        Action::Stall => member.remote.pause_reading(),
        Action::Unstall => member.remote.resume_reading(),
        Action::Replace => {
            channel.close();
            *member = Member::new(world, index % 2 * 4096);
        }
    }
}

/// Lets happen what is under way, however long it takes on a network that is slow.
fn settle(world: &mut World, members: &[Member]) {
    let (mut quiet, mut before) = (0, (0, 0));
    for _ in 0..10 * MAX_PASSES {
        let _ = world.pass(Some(Duration::ZERO));
        members.iter().for_each(|it| drop(it.remote.received()));
        let stats = world.map.stats();
        let now = (stats.bytes_in, stats.bytes_out);
        quiet = if now == before { quiet + 1 } else { 0 };
        before = now;
        if quiet >= 20 {
            if !world.net.as_ref().is_some_and(Network::step) {
                return;
            }
            quiet = 0;
        }
    }
    panic!("bytes flow without end: {:?}", world.map);
}

fn run(world: &mut World, actions: &[(usize, Action)]) {
    let mut members: Vec<_> = (0..CHANNELS).map(|at| Member::new(world, at % 2 * 4096)).collect();
    for (step, &(index, action)) in actions.iter().enumerate() {
        act(world, &mut members, index, action);
        let before: Vec<_> = members.iter().map(|it| it.received.get()).collect();
        settle(world, &members);
        for (at, member) in members.iter().enumerate() {
            let received = member.received.get();
            let expected = if member.is_held(world) { before[at] } else { member.sent };
            assert_eq!(received, expected, "channel {at} after step {step}, {action:?} of {index}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn channels_with_input_are_read_exactly_while_they_may_be(
        actions in vec((0..CHANNELS, actions()), 1..30),
    ) {
        on_every_network(|world| run(world, &actions));
    }
}
