//! The events that a wait reports, and their order.

use std::io::{Read, Write};
use std::time::Duration;

use super::{EVENT_TIMEOUT, READ, READABLE, WRITABLE, WRITE, event, on_every_poller, pair};
use crate::poller::{PollerKind, Readiness};

#[test]
fn nothing_is_ready_before_the_peer_writes() {
    on_every_poller(|subject| {
        let (ours, mut peer) = pair();
        subject.add(&ours, 7, READ);
        assert_eq!(subject.ready(), []);
        peer.write_all(b"x").unwrap();
        assert_eq!(subject.wait(EVENT_TIMEOUT), [event(7, READABLE)]);
    });
}

#[test]
fn an_unlimited_wait_ends_with_an_event() {
    on_every_poller(|subject| {
        let (ours, mut peer) = pair();
        subject.add(&ours, 7, READ);
        peer.write_all(b"x").unwrap();
        let mut events = vec![event(99, WRITABLE)];
        subject.poller.wait(&mut events, None).unwrap();
        assert_eq!(events, [event(7, READABLE)]);
    });
}

#[test]
fn a_wait_clears_the_events_of_the_previous_one() {
    on_every_poller(|subject| {
        let mut events = vec![event(99, WRITABLE)];
        let timeout = Some(Duration::from_micros(1));
        subject.poller.wait(&mut events, timeout).unwrap();
        assert_eq!(events, []);
    });
}

#[test]
fn readable_is_reported_until_the_source_is_drained() {
    on_every_poller(|subject| {
        let (mut ours, mut peer) = pair();
        subject.add(&ours, 7, READ);
        peer.write_all(b"xy").unwrap();
        for _ in 0..2 {
            assert_eq!(subject.ready(), [event(7, READABLE)]);
            assert_eq!(subject.ready(), [event(7, READABLE)]);
            ours.read_exact(&mut [0]).unwrap();
        }
        assert_eq!(subject.ready(), []);
    });
}

#[test]
fn writable_is_reported_while_there_is_room() {
    on_every_poller(|subject| {
        let (mut ours, mut peer) = pair();
        subject.add(&ours, 7, WRITE);
        assert_eq!(subject.ready(), [event(7, WRITABLE)]);
        let chunk = [0; 4096];
        let mut written = 0;
        while let Ok(n) = ours.write(&chunk) {
            written += n;
        }
        assert_eq!(subject.ready(), []);
        peer.set_nonblocking(false).unwrap();
        peer.read_exact(&mut vec![0; written]).unwrap();
        assert_eq!(subject.ready(), [event(7, WRITABLE)]);
    });
}

#[test]
fn readable_and_writable_come_as_one_event() {
    on_every_poller(|subject| {
        let (ours, mut peer) = pair();
        subject.add(&ours, 7, READ | WRITE);
        peer.write_all(b"x").unwrap();
        let both = Readiness { writable: true, ..READABLE };
        assert_eq!(subject.ready(), [event(7, both)]);
    });
}

#[test]
fn no_ready_source_always_comes_first() {
    on_every_poller(|subject| {
        if !matches!(subject.kind, PollerKind::Poll | PollerKind::Select) {
            return;
        }
        let pairs: Vec<_> = (0..3).map(|_| pair()).collect();
        let (idle, _peer) = pair();
        for (key, (ours, _)) in pairs.iter().enumerate() {
            subject.add(ours, key as u64, WRITE);
        }
        subject.add(&idle, 9, READ);
        let order: Vec<_> = (0..4).map(|_| subject.ready()[0].key).collect();
        assert_eq!(order[0], order[3]);
        let mut firsts = order[..3].to_vec();
        firsts.sort_unstable();
        assert_eq!(firsts, [0, 1, 2]);
    });
}
