//! Channels reach one another by their tokens.

mod util;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use asyncore::{Channel, Dispatcher, Result, SocketMap, Token};
use util::{Recorder, Seen, on_every_network, on_every_poller, tcp_pair};

/// A member of a group that forwards each message to all members.
struct Member {
    heard: Vec<Vec<u8>>,
}

impl Member {
    fn new() -> Self {
        Member { heard: Vec::new() }
    }
}

impl Dispatcher for Member {
    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        let mut buf = [0; 64];
        let n = ch.recv(&mut buf)?;
        let tokens: Vec<Token> = ch.tokens().collect();
        for token in tokens {
            if let Some(mut member) = ch.channel(token) {
                member.push(&buf[..n]);
            }
        }
        Ok(())
    }
}

#[test]
fn a_callback_reaches_every_channel_by_token() {
    on_every_network(|world| {
        let remotes: Vec<_> = (0..3).map(|_| world.connect(Member::new()).1).collect();
        remotes[1].send(b"!");
        let mut heard = [Vec::new(), Vec::new(), Vec::new()];
        world.run_until(|_| {
            for (heard, remote) in heard.iter_mut().zip(&remotes) {
                heard.extend(remote.received());
            }
            heard.iter().all(|it| it == b"!")
        });
    });
}

#[test]
fn a_callback_reads_and_changes_the_fields_of_another_handler() {
    on_every_network(|world| {
        let (other, _other_remote) = world.connect(Member::new());
        let seen = Seen::default();
        let reader = Recorder::new(&seen).on("handle_read", move |ch| {
            let mut buf = [0; 64];
            let n = ch.recv(&mut buf)?;
            let heard = &mut ch.get_mut(other).unwrap().heard;
            heard.push(buf[..n].to_vec());
            assert_eq!(ch.get(other).unwrap().heard[0], b"x");
            Ok(())
        });
        let (_, remote) = world.connect(reader);
        remote.send(b"x");
        world.run_until(|world| !world.map.get(other).unwrap().heard.is_empty());
        assert_eq!(seen.errors(), [""; 0]);
    });
}

#[test]
fn a_callback_acts_as_another_channel() {
    on_every_network(|world| {
        let (other, other_remote) = world.connect(Member::new());
        let seen = Seen::default();
        let reader = Recorder::new(&seen).on("handle_read", move |ch| {
            let mut buf = [0; 64];
            let n = ch.recv(&mut buf)?;
            let count = ch.with(other, |member, ch| {
                member.heard.push(buf[..n].to_vec());
                ch.push(b"as the other");
                ch.close_when_done();
                member.heard.len()
            });
            assert_eq!(count, Some(1));
            Ok(())
        });
        let (_, remote) = world.connect(reader);
        remote.send(b"x");
        world.run_until(|_| other_remote.saw_eof());
        assert_eq!(other_remote.received(), b"as the other");
        assert_eq!(seen.errors(), [""; 0]);
    });
}

#[test]
fn a_running_handler_is_unreachable_through_its_token() {
    struct Selfish(Seen);
    impl Dispatcher for Selfish {
        fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
            ch.recv(&mut [0; 8])?;
            let own: Token<Selfish> = ch.token();
            assert!(ch.get(own).is_none() && ch.get_mut(own).is_none());
            assert!(ch.with(own, |_, _| ()).is_none());
            assert!(ch.contains(own) && ch.channel(own).is_some());
            self.0.note("read");
            Ok(())
        }
    }
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = world.connect(Selfish(seen.clone()));
        for round in 1..=2 {
            remote.send(b"x");
            world.run_until(|_| seen.count("read") == round);
        }
        assert!(world.map.get(token).is_some(), "it is home again");
    });
}

#[test]
fn a_token_of_another_type_finds_no_handler() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (socket, _remote) = tcp_pair();
        let token = map.add(Member::new(), socket);
        let mut wrong: Option<Token<Recorder>> = None;
        map.with(token, |_, ch| wrong = Some(ch.token()));
        let wrong = wrong.unwrap();
        assert_eq!(wrong, token);
        assert!(map.channel(wrong).is_some() && map.contains(wrong));
        assert!(map.get(wrong).is_none() && map.get_mut(wrong).is_none());
        assert!(map.with(wrong, |_, _| ()).is_none());
        assert!(map.get(token).is_some(), "the handler is still there");
    });
}

#[test]
fn a_token_is_never_reused() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let mut tokens = HashSet::new();
        let mut dead = None;
        for _ in 0..100 {
            let (socket, _remote) = tcp_pair();
            let token = map.add(Member::new(), socket);
            assert!(tokens.insert(token), "{token:?} came again");
            assert_eq!(map.tokens().collect::<Vec<_>>(), [token.untyped()]);
            map.close_all();
            dead = Some(token);
        }
        let dead = dead.unwrap();
        assert!(!map.contains(dead) && map.channel(dead).is_none() && map.get(dead).is_none());
        assert!(map.channel_stats(dead).is_none());
        assert!(map.with(dead, |_, _| ()).is_none());
    });
}

#[test]
fn a_panic_in_with_reaches_the_caller_and_keeps_the_handler() {
    let mut map = SocketMap::new().unwrap();
    let (socket, _remote) = tcp_pair();
    let token = map.add(Member::new(), socket);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        map.with(token, |_, _| panic!("on the way"));
    }));
    assert!(outcome.is_err());
    assert!(map.get(token).is_some());
    assert_eq!(map.len(), 1);
}

#[test]
fn tokens_are_small_and_debug_shows_their_parts() {
    let mut map = SocketMap::new().unwrap();
    let (socket, _remote) = tcp_pair();
    let token = map.add(Member::new(), socket);
    assert_eq!(size_of_val(&token), 8);
    assert_eq!(format!("{token:?}"), "#1v1");
    assert_eq!(format!("{:?}", token.untyped()), "#1v1");
}
