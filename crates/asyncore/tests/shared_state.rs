//! State shared by the channels, timers and triggers of one map.

mod util;

use std::time::Duration;

use asyncore::{Channel, Dispatcher, Result};
use util::{Recorder, Seen, on_every_network, on_every_poller, run_until, tcp_pair};

#[derive(Debug, Default, PartialEq)]
struct Hits(u64);

#[derive(Debug, PartialEq)]
struct Motd(String);

/// Counts the pieces that it receives.
struct Counting;

impl Dispatcher for Counting {
    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        if ch.recv(&mut [0; 64])? > 0 {
            ch.state_mut::<Hits>().expect("inserted").0 += 1;
        }
        Ok(())
    }
}

#[test]
fn channels_timers_and_triggers_share_one_value() {
    on_every_network(|world| {
        world.map.insert_state(Hits::default());
        for total in 1..=3 {
            let (token, remote) = world.connect(Counting);
            remote.send(b"x");
            world.run_until(|world| world.map.state() == Some(&Hits(total)));
            world.map.channel(token).unwrap().close();
        }
        world.map.call_later(Duration::ZERO, |map| {
            map.state_mut::<Hits>().expect("inserted").0 += 10;
            Ok(())
        });
        let trigger = world.map.trigger().unwrap();
        let pulled = trigger.pull_trigger(|map| {
            map.state_mut::<Hits>().expect("inserted").0 += 100;
            Ok(())
        });
        pulled.unwrap();
        world.run_until(|world| world.map.state() == Some(&Hits(113)));
    });
}

#[test]
fn there_is_one_value_of_each_type() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        assert_eq!(map.state::<Hits>(), None);
        assert_eq!(map.insert_state(Hits(1)), None);
        assert_eq!(map.insert_state(Motd("hello".to_owned())), None);
        assert_eq!(map.insert_state(Hits(2)), Some(Hits(1)), "the value before comes back");
        assert_eq!(map.state::<Motd>().unwrap().0, "hello");
        assert_eq!(map.remove_state::<Hits>(), Some(Hits(2)));
        assert_eq!((map.remove_state::<Hits>(), map.state_mut::<Hits>()), (None, None));
        assert!(map.state::<Motd>().is_some());
    });
}

#[test]
fn a_taken_value_can_be_used_alongside_the_map() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = world.connect(Recorder::new(&seen));
        world.map.insert_state(Motd("hello".to_owned()));
        let mut motd = world.map.remove_state::<Motd>().unwrap();
        world.map.channel(token).unwrap().push(motd.0.as_bytes());
        motd.0.push('!');
        world.map.insert_state(motd);
        let mut received = Vec::new();
        world.run_until(|_| {
            received.extend(remote.received());
            received == b"hello"
        });
        assert_eq!(world.map.state::<Motd>().unwrap().0, "hello!");
    });
}

#[test]
fn a_touch_reevaluates_predicates_that_depend_on_state() {
    struct Open(bool);

    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        map.insert_state(Open(false));
        let seen = Seen::default();
        let (ours, theirs) = tcp_pair();
        let gate = |ch: &Channel<'_>| ch.state::<Open>().is_some_and(|open| open.0);
        let token = map.add(Recorder::new(&seen).readable(gate), ours);
        std::io::Write::write_all(&mut &theirs, b"x").unwrap();
        util::assert_rests(&mut map);
        assert_eq!(seen.received(), b"", "closed");
        map.state_mut::<Open>().unwrap().0 = true;
        map.channel(token).unwrap().touch();
        run_until(&mut map, |_| seen.received() == b"x");
    });
}

#[test]
fn state_is_dropped_with_the_loop() {
    struct Noted(Seen);

    impl Drop for Noted {
        fn drop(&mut self) {
            self.0.note("dropped");
        }
    }

    on_every_poller(|builder| {
        let seen = Seen::default();
        let mut map = builder.build().unwrap();
        map.insert_state(Noted(seen.clone()));
        drop(map);
        assert_eq!(seen.calls(), ["dropped"]);
    });
}
