use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const NANO: Duration = Duration::from_nanos(1);

#[test]
fn a_full_bucket_gives_its_burst_and_then_its_rate() {
    let now = Instant::now();
    let mut bucket = Bucket::events(10, now);
    assert_eq!(bucket.take(now, 10), Ok(()));
    assert_eq!(bucket.take(now, 1), Err(SECOND / 10));
    assert_eq!(bucket.take(now + SECOND / 10 - NANO, 1), Err(NANO));
    assert_eq!(bucket.take(now + SECOND / 10, 1), Ok(()));
    assert_eq!(bucket.available(now + 60 * SECOND), 10);
}

#[test]
fn a_low_rate_of_bytes_has_a_burst_all_the_same() {
    let now = Instant::now();
    let mut bucket = Bucket::bytes(10, now);
    assert_eq!(bucket.burst(), 65_536);
    assert_eq!(bucket.take(now, 65_536), Ok(()));
    assert_eq!(bucket.take(now, 1), Err(SECOND / 10));
    assert_eq!(Bucket::bytes(1_000_000, now).burst(), 1_000_000);
}

#[test]
fn more_than_the_burst_is_never_there() {
    let now = Instant::now();
    let mut bucket = Bucket::events(10, now);
    assert_eq!(bucket.take(now, 11), Err(LONGEST_WAIT));
    assert_eq!(bucket.take(now, u64::MAX), Err(LONGEST_WAIT));
    assert_eq!(bucket.available(now), 10);
}

#[test]
fn at_a_rate_of_zero_there_is_never_an_event() {
    let now = Instant::now();
    let mut bucket = Bucket::events(0, now);
    let late = now + 1000 * LONGEST_WAIT;
    assert_eq!(bucket.take(late, 1), Err(LONGEST_WAIT));
    assert_eq!(bucket.draw(late, 1), Draw { amount: 0, wait: LONGEST_WAIT });
    assert_eq!(bucket.take(late, 0), Ok(()));
}

#[test]
fn centuries_and_the_highest_rate_do_not_overflow() {
    let now = Instant::now();
    let late = now + Duration::from_secs(1000 * 365 * 86_400);
    let mut bucket = Bucket::bytes(u64::MAX, now);
    assert_eq!(bucket.take(now, u64::MAX), Ok(()));
    assert_eq!(bucket.take(now, u64::MAX), Err(SECOND));
    bucket.give_back(u64::MAX);
    bucket.give_back(u64::MAX);
    assert_eq!(bucket.take(late, u64::MAX), Ok(()));
    bucket.set_rate(late, 1);
    bucket.set_rate(late + SECOND, u64::MAX);
    assert_eq!(bucket.available(late + SECOND), 1);
}

#[test]
fn time_that_runs_backwards_adds_nothing() {
    let now = Instant::now();
    let mut bucket = Bucket::events(1, now + SECOND);
    assert_eq!(bucket.take(now + SECOND, 1), Ok(()));
    assert_eq!(bucket.take(now, 1), Err(SECOND));
    assert_eq!(bucket.take(now + SECOND, 1), Err(SECOND));
    assert_eq!(bucket.take(now + 2 * SECOND, 1), Ok(()));
}

#[test]
fn a_changed_rate_counts_from_the_change_on() {
    let now = Instant::now();
    let mut bucket = Bucket::events(10, now);
    assert_eq!(bucket.take(now, 10), Ok(()));
    bucket.set_rate(now + SECOND / 2, 100);
    assert_eq!(bucket.available(now + SECOND / 2), 5);
    assert_eq!(bucket.available(now + SECOND), 55);
    bucket.set_rate(now + SECOND, 20);
    assert_eq!(bucket.available(now + SECOND), 20, "no more than the burst of the new rate");
}

#[test]
fn who_draws_from_an_empty_bucket_gets_a_share_in_the_order_of_asking() {
    let now = Instant::now();
    let mut bucket = Bucket::bytes(1_000_000, now);
    assert_eq!(bucket.draw(now, 2_000_000), Draw { amount: 1_000_000, wait: Duration::ZERO });
    for place in 1..=5 {
        let draw = bucket.draw(now, 2_000_000);
        assert_eq!(draw, Draw { amount: 10_000, wait: place * SECOND / 100 });
    }
    assert_eq!(bucket.draw(now, 100), Draw { amount: 100, wait: SECOND * 501 / 10_000 });
    assert_eq!(bucket.available(now), 0);
}

#[test]
fn a_draw_takes_what_is_there_if_that_is_worth_while() {
    let now = Instant::now();
    let mut bucket = Bucket::bytes(1_000_000, now);
    bucket.draw(now, 2_000_000);
    let later = now + SECOND / 50;
    assert_eq!(bucket.draw(later, 50_000), Draw { amount: 20_000, wait: Duration::ZERO });
    let half = later + SECOND / 200;
    assert_eq!(bucket.draw(half, 50_000), Draw { amount: 10_000, wait: SECOND / 200 });
}

#[test]
fn what_is_given_back_is_there_for_others() {
    let now = Instant::now();
    let mut bucket = Bucket::bytes(1_000_000, now);
    let draw = bucket.draw(now, 1_000_000);
    bucket.give_back(draw.amount - 300);
    assert_eq!(bucket.available(now), 999_700);
    bucket.give_back(1_000_000);
    assert_eq!(bucket.available(now), 1_000_000, "no more than the burst");
}

#[test]
fn threads_share_a_bucket_without_a_token_too_many() {
    let now = Instant::now();
    let bucket = SharedBucket::new(Bucket::events(10_000, now));
    let taken: usize = std::thread::scope(|scope| {
        let take = || (0..5_000).filter(|_| bucket.lock().take(now, 1).is_ok()).count();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(taken, 10_000);
}

/// What a bucket promises, word for word: every interval that ends now has room for `n`.
fn has_room(history: &[(u64, u64)], now: u64, n: u64, rate: u64, burst: u64) -> bool {
    let fits = |taken: u128, nanos: u64| {
        taken * 1_000_000_000
            <= u128::from(burst) * 1_000_000_000 + u128::from(rate) * u128::from(nanos)
    };
    let mut taken = u128::from(n);
    fits(taken, 0)
        && history.iter().rev().all(|(at, n)| {
            taken += u128::from(*n);
            fits(taken, now - at)
        })
}

fn rate() -> impl Strategy<Value = u64> {
    prop_oneof![1u64..20, 1u64..1_000_000, Just(3_000_000_000), Just(10_000_000_007)]
}

/// Steps of time in nanoseconds, sometimes backwards, and parts of the burst in thousandths.
fn requests() -> impl Strategy<Value = Vec<(i64, u64)>> {
    let step = prop_oneof![
        4 => 0i64..200_000_000,
        2 => 0i64..100,
        1 => -50_000_000i64..0,
        1 => Just(3_600_000_000_000),
    ];
    let part = prop_oneof![4 => 0u64..200, 1 => 0u64..1100];
    prop::collection::vec((step, part), 1..60)
}

proptest! {
    #[test]
    fn a_bucket_gives_whatever_keeps_its_promise_and_nothing_else(
        rate in rate(), bytes in any::<bool>(), requests in requests(),
    ) {
        let start = Instant::now() + SECOND;
        let mut bucket =
            if bytes { Bucket::bytes(rate, start) } else { Bucket::events(rate, start) };
        let burst = if bytes { rate.max(65_536) } else { rate };
        prop_assert_eq!(bucket.burst(), burst);
        let mut history = Vec::new();
        let (mut clock, mut latest) = (0i64, 0u64);
        for (step, part) in requests {
            clock = (clock + step).max(0);
            latest = latest.max(clock as u64);
            let n = (u128::from(burst) * u128::from(part) / 1000) as u64;
            let allowed = has_room(&history, latest, n, rate, burst);
            match bucket.take(start + Duration::from_nanos(clock as u64), n) {
                Ok(()) => {
                    prop_assert!(allowed);
                    history.push((latest, n));
                }
                Err(wait) => {
                    prop_assert!(!allowed);
                    let wait = wait.as_nanos() as u64;
                    let room = |wait| has_room(&history, latest + wait, n, rate, burst);
                    prop_assert!(!room(wait - 1), "the wait is too long");
                    prop_assert!(room(wait) || wait == LONGEST_WAIT.as_nanos() as u64);
                }
            }
        }
    }

    #[test]
    fn what_is_available_can_be_taken_and_one_more_cannot(
        rate in rate(), requests in requests(),
    ) {
        let start = Instant::now();
        let mut bucket = Bucket::events(rate, start);
        let mut now = start;
        for (step, part) in requests {
            now += Duration::from_nanos(step.unsigned_abs());
            let there = bucket.available(now);
            prop_assert!(there <= rate);
            prop_assert!(bucket.clone().take(now, there).is_ok());
            prop_assert!(bucket.clone().take(now, there + 1).is_err());
            let _ = bucket.take(now, there * part.min(1000) / 1000);
        }
    }

    #[test]
    fn across_changes_of_rate_no_interval_gets_more_than_its_rates_and_a_burst(
        first in 1u64..1_000,
        steps in prop::collection::vec((0u64..2_000_000_000, 1u64..1_000, 0u64..500), 1..40),
    ) {
        let start = Instant::now();
        let mut bucket = Bucket::events(first, start);
        let (mut now, mut rate) = (start, first);
        // Of every interval that ends now: what it may have got, in billionths, and what it got.
        let mut intervals: Vec<(u128, u128)> = Vec::new();
        for (nanos, new_rate, n) in steps {
            now += Duration::from_nanos(nanos);
            for (allowed, _) in &mut intervals {
                *allowed += u128::from(rate) * u128::from(nanos);
            }
            intervals.push((u128::from(rate) * 1_000_000_000, 0));
            if bucket.take(now, n).is_ok() {
                for (_, got) in &mut intervals {
                    *got += u128::from(n) * 1_000_000_000;
                }
            }
            for (allowed, got) in &intervals {
                prop_assert!(got <= allowed);
            }
            bucket.set_rate(now, new_rate);
            rate = new_rate;
        }
    }

    #[test]
    fn draws_keep_the_promise_at_the_time_they_are_for_also_when_some_are_given_back(
        rate in 1u64..1_000_000,
        requests in requests(),
        changes_of_mind in prop::collection::vec(prop::option::weighted(0.3, 0usize..60), 60),
    ) {
        let start = Instant::now();
        let mut bucket = Bucket::bytes(rate, start);
        let (mut clock, mut drawn) = (0, Vec::new());
        for ((step, part), change_of_mind) in requests.into_iter().zip(changes_of_mind) {
            clock += step.unsigned_abs();
            let most = bucket.burst() * part / 1000;
            let draw = bucket.draw(start + Duration::from_nanos(clock), most);
            prop_assert!(draw.amount <= most);
            prop_assert!(draw.amount > 0 || most == 0 || draw.wait == LONGEST_WAIT);
            drawn.push((clock + draw.wait.as_nanos() as u64, draw.amount));
            // Only what its time has not come for can still be unspent.
            if let Some(index) = change_of_mind.filter(|index| *index < drawn.len()) {
                if drawn[index].0 > clock {
                    bucket.give_back(drawn.swap_remove(index).1);
                }
            }
        }
        drawn.sort_unstable();
        let mut history: Vec<(u64, u64)> = Vec::new();
        for (at, amount) in drawn {
            prop_assert!(has_room(&history, at, amount, rate, bucket.burst()));
            history.push((at, amount));
        }
    }
}
