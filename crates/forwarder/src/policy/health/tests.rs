use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn backing_off(seconds: u64) -> HealthState {
    HealthState::BackingOff { left: Duration::from_secs(seconds) }
}

#[test]
fn a_target_nothing_is_known_about_is_tried_and_not_called_up() {
    let now = Instant::now();
    let health = Health::new(now);
    assert!(health.is_up(now));
    assert!(health.claim(now));
    assert_eq!(health.state(now), HealthState::Unknown);
    health.succeeded();
    assert_eq!(health.state(now), HealthState::Up);
}

#[test]
fn a_failure_rests_the_target_and_a_success_ends_the_rest() {
    let now = Instant::now();
    let health = Health::new(now);
    assert_eq!(health.failed(now, now), Some(SECOND));
    assert!(!health.is_up(now));
    assert_eq!(health.state(now), backing_off(1));
    assert!(health.succeeded());
    assert_eq!(health.state(now), HealthState::Up);
    assert!(!health.succeeded(), "there was no rest to end");
}

#[test]
fn rests_double_up_to_a_minute_and_begin_small_after_a_success() {
    let mut now = Instant::now();
    let health = Health::new(now);
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        let rest = Duration::from_secs(seconds);
        assert_eq!(health.failed(now, now), Some(rest));
        assert!(!health.is_up(now + rest - Duration::from_nanos(1)));
        now += rest;
        assert!(health.is_up(now));
    }
    health.succeeded();
    assert_eq!(health.failed(now, now), Some(SECOND));
}

#[test]
fn many_connections_that_fail_together_count_once() {
    let now = Instant::now();
    let health = Health::new(now);
    assert_eq!(health.failed(now, now), Some(SECOND));
    for _ in 0..100 {
        assert_eq!(health.failed(now, now), None);
    }
    assert_eq!(health.state(now), backing_off(1));
}

#[test]
fn a_connection_begun_before_the_rest_that_fails_after_it_says_nothing_new() {
    let now = Instant::now();
    let health = Health::new(now);
    assert_eq!(health.failed(now + 10 * SECOND, now), Some(SECOND));
    assert_eq!(health.failed(now + 15 * SECOND, now + 5 * SECOND), None);
    assert!(health.is_up(now + 15 * SECOND));
}

#[test]
fn after_a_rest_one_connection_goes_and_the_others_wait_for_its_end() {
    let now = Instant::now();
    let health = Health::new(now);
    health.failed(now, now);
    assert!(!health.claim(now));
    let over = now + SECOND;
    assert_eq!(health.state(over), HealthState::BackingOff { left: Duration::ZERO });
    assert!(health.claim(over));
    assert!(!health.claim(over));
    assert!(!health.is_up(over));
    health.succeeded();
    assert!(health.claim(over) && health.claim(over));
}

#[test]
fn the_one_that_went_after_a_rest_counts_when_it_fails() {
    let now = Instant::now();
    let health = Health::new(now);
    health.failed(now, now);
    let over = now + SECOND;
    assert!(health.claim(over));
    assert_eq!(health.failed(over, over), Some(2 * SECOND));
    assert_eq!(health.state(over), backing_off(2));
}

#[test]
fn when_the_one_that_went_is_never_heard_of_another_goes() {
    let now = Instant::now();
    let health = Health::new(now);
    health.failed(now, now);
    assert!(health.claim(now + SECOND));
    assert!(!health.claim(now + 2 * SECOND - Duration::from_nanos(1)));
    assert!(health.claim(now + 2 * SECOND));
}

#[test]
fn a_target_goes_down_at_the_second_failed_check_in_a_row() {
    let now = Instant::now();
    let health = Health::new(now);
    assert!(!health.check_failed());
    assert!(!health.check_succeeded());
    assert!(!health.check_failed());
    assert!(health.is_up(now));
    assert!(health.check_failed());
    assert_eq!(health.state(now), HealthState::Down);
    assert!(!health.claim(now));
    assert!(!health.check_failed(), "it was down before");
}

#[test]
fn a_check_that_succeeds_ends_everything() {
    let now = Instant::now();
    let health = Health::new(now);
    health.check_failed();
    health.check_failed();
    health.failed(now, now);
    assert!(health.check_succeeded());
    assert_eq!(health.state(now), HealthState::Up);
}

#[test]
fn a_connection_does_not_lift_what_checks_found() {
    let now = Instant::now();
    let health = Health::new(now);
    health.check_failed();
    health.check_failed();
    assert!(!health.succeeded());
    assert_eq!(health.state(now), HealthState::Down);
    assert!(health.forget_checks());
    assert_eq!(health.state(now), HealthState::Up);
}

#[test]
fn time_before_the_start_and_centuries_after_do_no_harm() {
    let start = Instant::now();
    let health = Health::new(start + 10 * SECOND);
    assert_eq!(health.failed(start, start), Some(SECOND));
    let late = start + Duration::from_secs(600 * 365 * 86_400);
    assert!(health.claim(late));
    health.failed(late, late);
    health.succeeded();
    assert!(health.is_up(late));
}

#[test]
fn of_threads_that_ask_after_a_rest_one_goes() {
    let now = Instant::now();
    let health = Health::new(now);
    for round in 1..50 {
        health.failed(now, now);
        let over = now + round * LONGEST_BACKOFF;
        let went: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| health.claim(over))).collect();
            threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum()
        });
        assert_eq!(went, 1);
        health.succeeded();
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Wait(u64),
    /// A connection that took so many tenths of a second failed.
    Fail(u64),
    Succeed,
    CheckFail,
    CheckSucceed,
    Claim,
}

/// What the documentation says, in tenths of a second and without a thought for threads.
#[derive(Default)]
struct Plain {
    now: u64,
    failures: u32,
    rest_end: u64,
    rests_until: u64,
    checks: Vec<bool>,
}

impl Plain {
    fn rest(&self) -> u64 {
        [0, 10, 20, 40, 80, 160, 320].get(self.failures as usize).copied().unwrap_or(600)
    }

    fn is_down(&self) -> bool {
        let since = self.checks.iter().rposition(|ok| *ok).map_or(0, |i| i + 1);
        self.checks.len() - since >= 2
    }

    fn is_up(&self) -> bool {
        !self.is_down() && (self.failures == 0 || self.now >= self.rests_until)
    }

    fn recover(&mut self) {
        (self.failures, self.rest_end, self.rests_until) = (0, 0, 0);
    }

    fn fail(&mut self, took: u64) -> Option<u64> {
        if self.failures > 0 && self.now.saturating_sub(took) < self.rest_end {
            return None;
        }
        self.failures += 1;
        self.rest_end = self.now + self.rest();
        self.rests_until = self.rest_end;
        Some(self.rest())
    }

    fn claim(&mut self) -> bool {
        let well = self.is_up();
        if well && self.failures > 0 {
            self.rests_until = self.now + self.rest();
        }
        well
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u64..300).prop_map(Step::Wait),
        4 => prop_oneof![Just(0), 0u64..200].prop_map(Step::Fail),
        1 => Just(Step::Succeed),
        1 => Just(Step::CheckFail),
        1 => Just(Step::CheckSucceed),
        3 => Just(Step::Claim),
    ]
}

proptest! {
    #[test]
    fn health_is_what_its_documentation_says(steps in prop::collection::vec(step(), 0..80)) {
        let start = Instant::now();
        let at = |tenths: u64| start + Duration::from_millis(100 * tenths);
        let health = Health::new(start);
        let mut plain = Plain::default();
        for step in steps {
            let now = at(plain.now);
            match step {
                Step::Wait(tenths) => plain.now += tenths,
                Step::Fail(took) => {
                    let rest = health.failed(now, at(plain.now.saturating_sub(took)));
                    let tenths = plain.fail(took);
                    prop_assert_eq!(rest, tenths.map(|t| Duration::from_millis(100 * t)));
                }
                Step::Succeed => {
                    prop_assert_eq!(health.succeeded(), plain.failures > 0);
                    plain.recover();
                }
                Step::CheckFail => {
                    let before = plain.is_down();
                    plain.checks.push(false);
                    prop_assert_eq!(health.check_failed(), !before && plain.is_down());
                }
                Step::CheckSucceed => {
                    let before = plain.is_down() || plain.failures > 0;
                    plain.checks.push(true);
                    plain.recover();
                    prop_assert_eq!(health.check_succeeded(), before);
                }
                Step::Claim => prop_assert_eq!(health.claim(now), plain.claim()),
            }
            let now = at(plain.now);
            prop_assert_eq!(health.is_up(now), plain.is_up());
            prop_assert_eq!(health.state(now) == HealthState::Down, plain.is_down());
        }
    }
}
