use std::cmp::Reverse;
use std::collections::BinaryHeap;

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn rule(rate: u64, now: Instant) -> Option<Arc<SharedBucket>> {
    Some(Arc::new(SharedBucket::new(Bucket::bytes(rate, now))))
}

#[test]
fn without_limits_there_is_no_throttle() {
    assert!(Throttle::new(None, None, Instant::now()).is_none());
}

#[test]
fn a_connection_gets_no_more_than_its_own_limit() {
    let now = Instant::now();
    let mut throttle = Throttle::new(Some(100_000), rule(1_000_000, now), now).unwrap();
    assert_eq!(throttle.grant(now, 262_144), Ok(100_000));
    throttle.spend(now, 100_000);
    assert_eq!(throttle.grant(now, 262_144), Err(SECOND / 100));
    assert_eq!(throttle.grant(now + SECOND / 100, 262_144), Ok(1_000));
}

#[test]
fn a_connection_gets_no_more_than_its_rule_has_left() {
    let now = Instant::now();
    let rule = rule(100_000, now);
    let mut first = Throttle::new(Some(1_000_000), rule.clone(), now).unwrap();
    let mut second = Throttle::new(None, rule, now).unwrap();
    assert_eq!(first.grant(now, 60_000), Ok(60_000));
    first.spend(now, 60_000);
    assert_eq!(second.grant(now, 60_000), Ok(40_000));
    second.spend(now, 40_000);
    assert_eq!(first.grant(now, 60_000), Err(SECOND / 100));
    assert_eq!(second.grant(now, 60_000), Err(SECOND / 50));
    assert_eq!(first.grant(now + SECOND / 100, 60_000), Ok(1_000));
}

#[test]
fn what_was_not_read_goes_back_to_both_limits() {
    let now = Instant::now();
    let rule = rule(200_000, now);
    let mut throttle = Throttle::new(Some(100_000), rule.clone(), now).unwrap();
    assert_eq!(throttle.grant(now, 50_000), Ok(50_000));
    throttle.spend(now, 10);
    assert_eq!(rule.unwrap().lock().available(now), 199_990);
    assert_eq!(throttle.grant(now, 262_144), Ok(99_990));
}

#[test]
fn a_connection_that_ends_gives_back_its_grant() {
    let now = Instant::now();
    let rule = rule(100_000, now);
    let mut throttle = Throttle::new(None, rule.clone(), now).unwrap();
    assert_eq!(throttle.grant(now, 30_000), Ok(30_000));
    drop(throttle);
    assert_eq!(rule.unwrap().lock().available(now), 100_000);
}

#[test]
fn asking_again_while_waiting_takes_nothing_more() {
    let now = Instant::now();
    let rule = rule(100_000, now);
    let mut throttle = Throttle::new(None, rule.clone(), now).unwrap();
    throttle.grant(now, 100_000).unwrap();
    throttle.spend(now, 100_000);
    let half = now + SECOND / 200;
    assert_eq!(throttle.grant(now, 1_000), Err(SECOND / 100));
    assert_eq!(throttle.grant(half, 1_000), Err(SECOND / 200));
    assert_eq!(throttle.grant(now + SECOND / 100, 400), Ok(400), "a smaller buffer than before");
    throttle.spend(now, 400);
    assert_eq!(rule.unwrap().lock().available(now + SECOND / 100), 600);
}

#[test]
fn a_grant_that_is_not_used_for_long_goes_to_others() {
    let now = Instant::now();
    let rule = rule(100_000, now);
    let mut throttle = Throttle::new(None, rule.clone(), now).unwrap();
    throttle.grant(now, 100_000).unwrap();
    throttle.spend(now, 100_000);
    throttle.grant(now, 1_000).unwrap_err();
    let late = now + SECOND / 100 + GRANT_LIFE;
    assert_eq!(throttle.grant(late, 1_000), Ok(1_000), "good to the last");
    let later = late + Duration::from_nanos(1);
    assert_eq!(throttle.grant(later, 50_000), Ok(50_000), "drawn anew");
}

#[test]
fn no_room_asks_for_nothing() {
    let now = Instant::now();
    let mut throttle = Throttle::new(Some(1), rule(1, now), now).unwrap();
    assert_eq!(throttle.grant(now, 0), Ok(0));
    assert_eq!(throttle.grant(now, u64::MAX), Ok(65_536));
}

#[test]
fn the_two_directions_of_a_connection_share_its_wait_and_take_turns() {
    let now = Instant::now();
    let mut throttle = Throttle::new(Some(1_000_000), None, now).unwrap();
    throttle.grant(now, 1_000_000).unwrap();
    throttle.spend(now, 1_000_000);
    let wait = SECOND / 100;
    assert_eq!(throttle.grant(now, 10_000), Err(wait));
    assert_eq!(throttle.grant(now, 10_000), Err(wait), "the other direction");
    assert_eq!(throttle.grant(now + wait, 10_000), Ok(10_000));
    throttle.spend(now, 10_000);
    assert_eq!(throttle.grant(now + wait, 10_000), Err(wait), "the other direction");
}

/// Connections that always have something to read, each woken when its wait is over; what went
/// through as (nanoseconds, connection, bytes).
fn run(rate: u64, own: &[Option<u64>], reads: &[u64], until: u64) -> Vec<(u64, usize, u64)> {
    let start = Instant::now();
    let rule = rule(rate, start);
    let mut throttles: Vec<Throttle> =
        own.iter().map(|own| Throttle::new(*own, rule.clone(), start).unwrap()).collect();
    let mut due: BinaryHeap<_> = (0..own.len()).map(|i| Reverse((0, i))).collect();
    let mut went = Vec::new();
    while let Some(Reverse((at, index))) = due.pop() {
        if at > until {
            break;
        }
        let now = start + Duration::from_nanos(at);
        let next = match throttles[index].grant(now, 262_144) {
            Ok(granted) => {
                let read = granted.min(reads[went.len() % reads.len()]);
                throttles[index].spend(now, read);
                went.push((at, index, read));
                at
            }
            Err(wait) => at + wait.as_nanos() as u64,
        };
        due.push(Reverse((next, index)));
    }
    went
}

/// Whether no interval between two moments has more than `rate * t + burst`.
fn keeps(rate: u64, went: &[(u64, u64)]) -> bool {
    let burst = u128::from(rate.max(65_536)) * 1_000_000_000;
    // The level of a bucket in which nothing is rounded, the plain way to look at all intervals.
    let (mut level, mut last) = (burst, 0);
    went.iter().all(|(at, n)| {
        level = burst.min(level + u128::from(rate) * u128::from(at - last));
        last = *at;
        let n = u128::from(*n) * 1_000_000_000;
        let kept = n <= level;
        level = level.saturating_sub(n);
        kept
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn hungry_connections_use_the_rule_up_keep_its_limit_and_their_own(
        rate in 20_000u64..2_000_000,
        own in prop::collection::vec(prop::option::of(5_000u64..500_000), 1..8),
        reads in prop::collection::vec(200u64..50_000, 1..8),
    ) {
        let seconds = 2;
        let went = run(rate, &own, &reads, seconds * 1_000_000_000);
        let all: Vec<(u64, u64)> = went.iter().map(|(at, _, n)| (*at, *n)).collect();
        prop_assert!(keeps(rate, &all));
        for (index, own) in own.iter().enumerate() {
            let mine: Vec<(u64, u64)> =
                went.iter().filter(|(_, i, _)| *i == index).map(|(at, _, n)| (*at, *n)).collect();
            prop_assert!(!mine.is_empty(), "connection {} never had its turn", index);
            if let Some(own) = own {
                prop_assert!(keeps(*own, &mine));
            }
        }
        if own.iter().any(Option::is_none) {
            let total: u64 = all.iter().map(|(_, n)| n).sum();
            let share = (rate / 100).clamp(1, 16_384) * own.len() as u64;
            prop_assert!(total + share >= rate * seconds, "{} bytes at {}", total, rate);
        }
    }

    #[test]
    fn connections_that_wait_get_alike(
        rate in 100_000u64..2_000_000, connections in 2usize..30,
    ) {
        let went = run(rate, &vec![None; connections], &[u64::MAX], 3_000_000_000);
        let mut got = vec![0u64; connections];
        for (at, index, n) in went {
            // What was in the bucket at first goes to whoever comes first.
            got[index] += if at == 0 { 0 } else { n };
        }
        let (least, most) = (got.iter().min().unwrap(), got.iter().max().unwrap());
        prop_assert!(most - least <= rate / 100, "{:?}", got);
    }
}
