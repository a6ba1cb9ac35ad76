//! Effects and errors of add, modify and delete.

use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::process::{Resource, getrlimit, setrlimit};

use super::{READ, READABLE, WRITABLE, WRITE, event, on_every_poller, pair};
use crate::poller::{PollerKind, Source};

/// Duplicates `fd` to a descriptor with a number of at least `min`.
fn duplicate_above(fd: impl AsFd, min: i32) -> OwnedFd {
    let mut limit = getrlimit(Resource::Nofile);
    let needed = min as u64 + 100;
    if limit.current.is_some_and(|current| current < needed) {
        limit.current = Some(needed);
        setrlimit(Resource::Nofile, limit).unwrap();
    }
    rustix::io::fcntl_dupfd_cloexec(fd, min).unwrap()
}

#[test]
fn modify_replaces_interest_and_key() {
    on_every_poller(|subject| {
        let (ours, mut peer) = pair();
        subject.add(&ours, 7, READ | WRITE);
        subject.modify(&ours, 8, READ);
        assert_eq!(subject.ready(), []);
        peer.write_all(b"x").unwrap();
        assert_eq!(subject.ready(), [event(8, READABLE)]);
        subject.modify(&ours, 9, WRITE);
        assert_eq!(subject.ready(), [event(9, WRITABLE)]);
    });
}

#[test]
fn delete_stops_the_events_of_that_source_only() {
    on_every_poller(|subject| {
        let pairs: Vec<_> = (0..4).map(|_| pair()).collect();
        for (key, (ours, _)) in pairs.iter().enumerate() {
            subject.add(ours, key as u64, WRITE);
        }
        assert_eq!(subject.ready_keys(), [0, 1, 2, 3]);
        subject.delete(&pairs[0].0);
        assert_eq!(subject.ready_keys(), [1, 2, 3]);
        subject.modify(&pairs[3].0, 33, WRITE);
        subject.delete(&pairs[1].0);
        assert_eq!(subject.ready_keys(), [2, 33]);
        subject.delete(&pairs[3].0);
        subject.delete(&pairs[2].0);
        assert_eq!(subject.ready_keys(), []);
        subject.add(&pairs[0].0, 4, WRITE);
        assert_eq!(subject.ready_keys(), [4]);
    });
}

#[test]
fn events_carry_the_exact_key() {
    on_every_poller(|subject| {
        let keys = [0, 1, 1 << 32, u64::MAX - 1, u64::MAX];
        let pairs = keys.map(|_| pair());
        for (key, (ours, _)) in keys.iter().zip(&pairs) {
            subject.add(ours, *key, WRITE);
        }
        assert_eq!(subject.ready_keys(), keys);
    });
}

#[test]
fn a_reused_descriptor_carries_the_new_key_only() {
    on_every_poller(|subject| {
        let (old, mut old_peer) = pair();
        let (new, mut new_peer) = pair();
        subject.add(&old, 1, READ);
        old_peer.write_all(b"x").unwrap();
        assert_eq!(subject.ready(), [event(1, READABLE)]);
        subject.delete(&old);
        let mut reused = OwnedFd::from(old);
        rustix::io::dup2(&new, &mut reused).unwrap();
        subject.add(&reused, 2, READ);
        assert_eq!(subject.ready(), []);
        new_peer.write_all(b"x").unwrap();
        assert_eq!(subject.ready(), [event(2, READABLE)]);
    });
}

#[test]
fn a_descriptor_beyond_selects_limit_fails_only_with_select() {
    on_every_poller(|subject| {
        let (ours, _peer) = pair();
        let high = duplicate_above(&ours, 1100);
        let source = Source::Fd(high.as_fd());
        if subject.kind != PollerKind::Select {
            subject.add(&high, 7, WRITE);
            assert_eq!(subject.ready(), [event(7, WRITABLE)]);
            return;
        }
        for error in [
            subject.poller.add(source, 7, WRITE).unwrap_err(),
            subject.poller.modify(source, 7, WRITE).unwrap_err(),
            subject.poller.delete(source).unwrap_err(),
        ] {
            let expected = format!(
                "descriptor {} is beyond select's limit of 1024; choose the ",
                high.as_raw_fd()
            );
            assert!(error.to_string().starts_with(&expected), "{error}");
            assert!(error.to_string().ends_with(" poller"), "{error}");
        }
        subject.add(&ours, 8, WRITE);
        assert_eq!(subject.ready(), [event(8, WRITABLE)]);
    });
}

#[test]
fn a_source_is_added_exactly_once_before_other_calls() {
    on_every_poller(|subject| {
        let (ours, _peer) = pair();
        let source = Source::Fd(ours.as_fd());
        let poller = &mut subject.poller;
        let error = poller.modify(source, 7, WRITE).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let error = poller.delete(source).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        poller.add(source, 7, WRITE).unwrap();
        let error = poller.add(source, 8, READ).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(subject.ready(), [event(7, WRITABLE)]);
    });
}

#[test]
fn a_simulated_source_is_refused() {
    on_every_poller(|subject| {
        let source = Source::Simulated(3);
        for outcome in [
            subject.poller.add(source, 7, READ),
            subject.poller.modify(source, 7, READ),
            subject.poller.delete(source),
        ] {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    });
}
