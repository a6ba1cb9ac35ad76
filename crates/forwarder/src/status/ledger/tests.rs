use std::net::SocketAddr;
use std::time::Instant;

use super::*;
use crate::config::{Endpoint, Listen, Rule, Target};
use crate::policy::{Assignment, ProcessCounts};

fn rule(ports: &[u16]) -> RuleState {
    let target = |port: &u16| Target { endpoint: Endpoint::Host("h".into(), *port), weight: 1 };
    let listen = Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 80)));
    let rule = Rule::new(listen, ports.iter().map(target).collect());
    RuleState::new(&rule, Arc::new(ProcessCounts::new(100)), Instant::now())
}

/// A round of questions: what has ended, then what `live` connections have moved so far.
fn round(ledger: &mut Ledger, rules: &[&RuleState], live: &[(&Arc<TargetState>, u64)]) {
    let ended = ledger.ended(rules.iter().copied());
    let bytes = |n: u64| Bytes { up: n, down: 2 * n };
    ledger.update(ended, live.iter().map(|(target, n)| (Arc::clone(target), bytes(*n))));
    ledger.keep(rules.iter().copied());
}

fn up(ledger: &Ledger) -> u64 {
    assert_eq!(ledger.total().bytes_down, 2 * ledger.total().bytes_up);
    ledger.total().bytes_up
}

fn end(connection: &Assignment, bytes: u64) {
    connection.add_bytes(bytes, 2 * bytes);
}

#[test]
fn open_and_ended_connections_count_together() {
    let rule = rule(&[1, 2]);
    let [a, b] = rule.targets() else { panic!("two targets") };
    let mut ledger = Ledger::default();
    round(&mut ledger, &[&rule], &[(a, 10), (b, 5), (a, 1)]);
    assert_eq!(up(&ledger), 16);
    assert_eq!(ledger.of(a).0, Bytes { up: 11, down: 22 });
    end(&a.assign(Instant::now()), 13);
    round(&mut ledger, &[&rule], &[(b, 6)]);
    assert_eq!((up(&ledger), ledger.of(a).0.up), (19, 13));
}

#[test]
fn a_connection_that_ends_between_two_answers_takes_nothing_back() {
    let rule = rule(&[1]);
    let target = &rule.targets()[0];
    let connection = target.assign(Instant::now());
    let mut ledger = Ledger::default();
    round(&mut ledger, &[&rule], &[(target, 100)]);
    // It ends after the question what has ended, and before its worker is asked.
    let ended = ledger.ended([&rule].into_iter());
    end(&connection, 120);
    ledger.update(ended, std::iter::empty());
    assert_eq!(up(&ledger), 100);
    round(&mut ledger, &[&rule], &[]);
    assert_eq!(up(&ledger), 120);
}

#[test]
fn what_a_reload_removed_stays_in_the_totals() {
    let (old, new) = (rule(&[1]), rule(&[2]));
    let permit = old.admit(Instant::now(), None).unwrap();
    let connection = old.targets()[0].assign(Instant::now());
    let mut ledger = Ledger::default();
    round(&mut ledger, &[&old, &new], &[(&old.targets()[0], 10)]);
    // Its connection goes on for a while.
    round(&mut ledger, &[&new], &[(&old.targets()[0], 30), (&new.targets()[0], 1)]);
    assert_eq!((up(&ledger), ledger.total().accepted), (31, 1));
    end(&connection, 50);
    drop((connection, permit));
    for _ in 0..3 {
        round(&mut ledger, &[&new], &[(&new.targets()[0], 1)]);
        assert_eq!((up(&ledger), ledger.total().accepted), (51, 1));
    }
    assert_eq!((ledger.targets.len(), ledger.rules.len()), (1, 1));
}

#[test]
fn rates_are_what_was_added_since_the_last_sample() {
    let rule = rule(&[1]);
    let target = &rule.targets()[0];
    let mut ledger = Ledger::default();
    round(&mut ledger, &[&rule], &[(target, 1_000_000)]);
    // Nothing is known of how long that took.
    ledger.sample(f64::INFINITY);
    assert_eq!(ledger.rates(), Rates::default());
    let _permit = rule.admit(Instant::now(), None).unwrap();
    round(&mut ledger, &[&rule], &[(target, 1_003_000)]);
    ledger.sample(2.0);
    let rates = Rates { accepted: 1, refused: 0, bytes_up: 1500, bytes_down: 3000 };
    assert_eq!(ledger.rates(), rates);
    assert_eq!(ledger.of(target).1, Bytes { up: 1500, down: 3000 });
    ledger.sample(1.0);
    assert_eq!(ledger.rates(), Rates::default());
}
