use std::net::Ipv4Addr;
use std::time::Duration;

use super::super::Assignment;
use super::*;
use crate::config::{Endpoint, Target};

mod properties;

const POLICIES: [Balance; 4] =
    [Balance::RoundRobin, Balance::LeastConnections, Balance::ClientHash, Balance::First];

fn targets(weights: &[u32], now: Instant) -> Vec<Arc<TargetState>> {
    let target = |(index, weight): (usize, &u32)| {
        let endpoint = Endpoint::Host(format!("10.0.0.{index}"), 80);
        Arc::new(TargetState::new(&Target { endpoint, weight: *weight }, now))
    };
    weights.iter().enumerate().map(target).collect()
}

fn balancer(policy: Balance, weights: &[u32], now: Instant) -> Balancer {
    Balancer::new(policy, targets(weights, now))
}

fn fail(target: &Arc<TargetState>, now: Instant) {
    target.assign(now).failed(now, &"connection refused");
}

fn client(number: u32) -> Option<IpAddr> {
    Some(Ipv4Addr::from(number).into())
}

/// The choices of `n` connections that end at once.
fn choices(balancer: &Balancer, now: Instant, n: usize) -> Vec<usize> {
    (0..n).map(|_| balancer.choose(now, None, &[]).unwrap()).collect()
}

#[test]
fn turns_are_taken_by_weight_and_spread_evenly() {
    let now = Instant::now();
    let round = balancer(Balance::RoundRobin, &[1, 1, 1], now);
    assert_eq!(choices(&round, now, 6), [0, 1, 2, 0, 1, 2]);
    let round = balancer(Balance::RoundRobin, &[2, 1], now);
    assert_eq!(choices(&round, now, 6), [0, 1, 0, 0, 1, 0]);
    let round = balancer(Balance::RoundRobin, &[5, 1, 1], now);
    assert_eq!(choices(&round, now, 7), [0, 0, 1, 0, 2, 0, 0]);
}

#[test]
fn workers_take_turns_together() {
    let now = Instant::now();
    let round = balancer(Balance::RoundRobin, &[3, 2, 1], now);
    let all: Vec<usize> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(|| choices(&round, now, 400))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let count = |index| all.iter().filter(|chosen| **chosen == index).count();
    assert_eq!((count(0), count(1), count(2)), (600, 400, 200));
}

#[test]
fn the_fewest_connections_for_the_weight_win() {
    let now = Instant::now();
    let least = balancer(Balance::LeastConnections, &[2, 1], now);
    let mut open: Vec<Assignment> = Vec::new();
    for _ in 0..30 {
        let index = least.choose(now, None, &[]).unwrap();
        open.push(least.targets()[index].assign(now));
    }
    assert_eq!(least.targets()[0].active(), 20);
    assert_eq!(least.targets()[1].active(), 10);
    open.retain(|assignment| !Arc::ptr_eq(assignment.target(), &least.targets()[0]));
    assert_eq!(choices(&least, now, 3), [0, 0, 0]);
}

#[test]
fn targets_with_equally_few_connections_take_turns() {
    let now = Instant::now();
    let least = balancer(Balance::LeastConnections, &[1, 1, 1], now);
    assert_eq!(choices(&least, now, 6), [0, 1, 2, 0, 1, 2]);
}

/// A table reckoned once, by another program: who changes it sends every client elsewhere.
#[test]
fn clients_keep_their_targets_across_restarts_and_releases() {
    let now = Instant::now();
    let hash = balancer(Balance::ClientHash, &[1, 1, 2], now);
    for (address, target) in [
        ("192.0.2.1", 1),
        ("::ffff:192.0.2.1", 1),
        ("192.0.2.2", 2),
        ("192.0.2.3", 2),
        ("192.0.2.5", 0),
        ("198.51.100.7", 2),
        ("203.0.113.9", 0),
        ("2001:db8::1", 1),
        ("2001:db8::2", 1),
        ("::1", 2),
    ] {
        let client = address.parse().unwrap();
        assert_eq!(hash.choose(now, Some(client), &[]), Some(target), "{address}");
    }
}

#[test]
fn clients_are_spread_by_weight() {
    let now = Instant::now();
    let hash = balancer(Balance::ClientHash, &[1, 2, 5], now);
    let mut count = [0i32; 3];
    for number in 0..80_000 {
        count[hash.choose(now, client(0x0a00_0000 + number), &[]).unwrap()] += 1;
    }
    for (count, expected) in count.into_iter().zip([10_000, 20_000, 50_000]) {
        assert!((count - expected).abs() < 600, "{count} instead of about {expected}");
    }
}

#[test]
fn clients_without_an_address_take_turns() {
    let now = Instant::now();
    let hash = balancer(Balance::ClientHash, &[1, 1], now);
    assert_eq!(choices(&hash, now, 4), [0, 1, 0, 1]);
}

#[test]
fn the_first_is_chosen_until_it_rests() {
    let now = Instant::now();
    let first = balancer(Balance::First, &[1, 1, 1], now);
    assert_eq!(choices(&first, now, 2), [0, 0]);
    fail(&first.targets()[0], now);
    assert_eq!(choices(&first, now, 2), [1, 1]);
    first.targets()[0].health().succeeded();
    assert_eq!(choices(&first, now, 1), [0]);
}

#[test]
fn a_connection_moves_on_through_all_targets_and_then_ends() {
    let now = Instant::now();
    for policy in POLICIES {
        let balancer = balancer(policy, &[1, 3, 2], now);
        let mut tried = Vec::new();
        while let Some(index) = balancer.choose(now, client(1), &tried) {
            assert!(!tried.contains(&index), "{policy:?}");
            fail(&balancer.targets()[index], now);
            tried.push(index);
        }
        assert_eq!(tried.len(), 3, "{policy:?}");
    }
}

#[test]
fn when_all_rest_the_one_whose_rest_ends_first_is_tried() {
    let now = Instant::now();
    let tenth = |n| now + n * Duration::from_millis(100);
    for policy in POLICIES {
        let balancer = balancer(policy, &[1, 1, 1, 1], now);
        fail(&balancer.targets()[0], tenth(3));
        fail(&balancer.targets()[1], tenth(1));
        fail(&balancer.targets()[2], tenth(2));
        balancer.targets()[3].check_failed(now, &"no answer");
        balancer.targets()[3].check_failed(now, &"no answer");
        let choose = |tried: &[usize]| balancer.choose(tenth(4), client(1), tried);
        assert_eq!(choose(&[]), Some(1), "{policy:?}");
        assert_eq!(choose(&[1]), Some(2), "{policy:?}");
        assert_eq!(choose(&[1, 2]), Some(0), "{policy:?}");
        assert_eq!(choose(&[1, 2, 0]), Some(3), "one that is down comes last, {policy:?}");
        assert_eq!(choose(&[1, 2, 0, 3]), None, "{policy:?}");
    }
}

#[test]
fn a_target_that_rested_gets_one_connection_until_that_succeeds() {
    let now = Instant::now();
    for policy in [Balance::RoundRobin, Balance::LeastConnections, Balance::First] {
        let balancer = balancer(policy, &[100, 1], now);
        fail(&balancer.targets()[0], now);
        assert_eq!(choices(&balancer, now, 3), [1, 1, 1], "{policy:?}");
        let over = now + Duration::from_secs(1);
        assert_eq!(choices(&balancer, over, 4), [0, 1, 1, 1], "{policy:?}");
        balancer.targets()[0].health().succeeded();
        assert_eq!(choices(&balancer, over, 2), [0, 0], "{policy:?}");
    }
}

#[test]
fn the_only_target_is_tried_even_in_its_rest_but_not_twice_nor_drained() {
    let now = Instant::now();
    for policy in POLICIES {
        let balancer = balancer(policy, &[1], now);
        fail(&balancer.targets()[0], now);
        assert_eq!(balancer.choose(now, client(1), &[]), Some(0));
        assert_eq!(balancer.choose(now, client(1), &[0]), None);
        balancer.targets()[0].set_drained(true);
        assert_eq!(balancer.choose(now, client(1), &[]), None);
    }
}

#[test]
fn without_targets_there_is_no_choice() {
    let now = Instant::now();
    for policy in POLICIES {
        assert_eq!(balancer(policy, &[], now).choose(now, client(1), &[]), None);
    }
}
