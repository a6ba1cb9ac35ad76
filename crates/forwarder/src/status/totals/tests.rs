use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::*;
use crate::config::{Endpoint, Listen, Rule, Target};
use crate::policy::{Assignment, ProcessCounts};

fn rule(ports: &[u16]) -> RuleState {
    let target = |port: &u16| Target { endpoint: Endpoint::Host("h".into(), *port), weight: 1 };
    let listen = Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 80)));
    let rule = Rule::new(listen, ports.iter().map(target).collect());
    RuleState::new(&rule, Arc::new(ProcessCounts::new(100)), Instant::now())
}

/// One gathering, in which `open` connections have moved so many bytes so far.
fn round(totals: &mut Totals, rules: &[&RuleState], open: &[(&Arc<TargetState>, u64)]) {
    let closed = totals.closed(rules.iter().copied());
    let bytes = |n: u64| Bytes { up: n, down: 2 * n };
    let open = open.iter().map(|(target, n)| (Arc::clone(target), bytes(*n)));
    totals.update(rules.iter().copied(), closed, open);
}

fn up(totals: &Totals) -> u64 {
    assert_eq!(totals.total().bytes_down, 2 * totals.total().bytes_up);
    totals.total().bytes_up
}

fn end(connection: &Assignment, bytes: u64) {
    connection.add_bytes(bytes, 2 * bytes);
}

#[test]
fn open_and_ended_connections_count_together() {
    let rule = rule(&[1, 2]);
    let [a, b] = rule.targets() else { panic!("two targets") };
    let mut totals = Totals::default();
    round(&mut totals, &[&rule], &[(a, 10), (b, 5), (a, 1)]);
    assert_eq!(up(&totals), 16);
    assert_eq!(totals.of(a).0, Bytes { up: 11, down: 22 });
    end(&a.assign(Instant::now()), 13);
    round(&mut totals, &[&rule], &[(b, 6)]);
    assert_eq!((up(&totals), totals.of(a).0.up), (19, 13));
}

#[test]
fn a_connection_that_ends_between_two_answers_takes_nothing_back() {
    let rule = rule(&[1]);
    let target = &rule.targets()[0];
    let connection = target.assign(Instant::now());
    let mut totals = Totals::default();
    round(&mut totals, &[&rule], &[(target, 100)]);
    // It closes after the closed ones were counted and before its worker is asked.
    let closed = totals.closed([&rule].into_iter());
    end(&connection, 120);
    totals.update([&rule].into_iter(), closed, std::iter::empty());
    assert_eq!(up(&totals), 100);
    round(&mut totals, &[&rule], &[]);
    assert_eq!(up(&totals), 120);
}

#[test]
fn what_a_reload_removed_stays_in_the_totals() {
    let (old, new) = (rule(&[1]), rule(&[2]));
    let permit = old.admit(Instant::now(), None).unwrap();
    let connection = old.targets()[0].assign(Instant::now());
    let mut totals = Totals::default();
    round(&mut totals, &[&old, &new], &[(&old.targets()[0], 10)]);
    // Its connection goes on for a while.
    round(&mut totals, &[&new], &[(&old.targets()[0], 30), (&new.targets()[0], 1)]);
    assert_eq!((up(&totals), totals.total().accepted), (31, 1));
    end(&connection, 50);
    drop((connection, permit));
    for _ in 0..3 {
        round(&mut totals, &[&new], &[(&new.targets()[0], 1)]);
        assert_eq!((up(&totals), totals.total().accepted), (51, 1));
    }
    assert_eq!((totals.targets.len(), totals.rules.len()), (1, 1));
}

#[test]
fn rates_are_what_was_added_since_the_last_sample() {
    let rule = rule(&[1]);
    let target = &rule.targets()[0];
    let mut totals = Totals::default();
    round(&mut totals, &[&rule], &[(target, 1_000_000)]);
    // Nothing is known of how long that took.
    totals.sample(Instant::now(), None, 0);
    assert_eq!(totals.rates(), Rates::default());
    let _permit = rule.admit(Instant::now(), None).unwrap();
    round(&mut totals, &[&rule], &[(target, 1_003_000)]);
    totals.sample(Instant::now(), Some(2.0), 0);
    let rates = Rates { accepted: 1, refused: 0, bytes_up: 1500, bytes_down: 3000 };
    assert_eq!(totals.rates(), rates);
    assert_eq!(totals.of(target).1, Bytes { up: 1500, down: 3000 });
    totals.sample(Instant::now(), Some(1.0), 0);
    assert_eq!(totals.rates(), Rates::default());
}

#[test]
fn the_history_keeps_five_minutes() {
    let (rule, start) = (rule(&[1]), Instant::now());
    let (target, mut totals) = (&rule.targets()[0], Totals::default());
    for second in 0..=1000u64 {
        round(&mut totals, &[&rule], &[(target, second * second)]);
        let open = usize::try_from(second).unwrap();
        let elapsed = (second > 0).then_some(1.0);
        totals.sample(start + Duration::from_secs(second), elapsed, open);
    }
    let history = totals.history(start + Duration::from_millis(1_000_500));
    let lengths = [history.ago.len(), history.open.len(), history.accepted.len()];
    assert_eq!((lengths, history.bytes_up.len(), history.bytes_down.len()), ([300; 3], 300, 300));
    assert_eq!((history.ago[0], history.ago[299]), (299.5, 0.5));
    assert_eq!(
        (history.open[299], history.bytes_up[299], history.bytes_down[0]),
        (1000, 1999, 2802)
    );
}
