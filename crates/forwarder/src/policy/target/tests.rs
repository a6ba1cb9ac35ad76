use super::*;

fn target() -> Arc<TargetState> {
    let endpoint = Endpoint::Host("192.0.2.1".into(), 80);
    Arc::new(TargetState::new(&Target { endpoint, weight: 1 }, Instant::now()))
}

#[test]
fn an_assignment_counts_until_it_is_dropped() {
    let (target, now) = (target(), Instant::now());
    let first = target.assign(now);
    let second = target.assign(now);
    assert_eq!((target.active(), target.total()), (2, 2));
    drop(first);
    assert_eq!((target.active(), target.total()), (1, 2));
    drop(second);
    assert_eq!((target.active(), target.total()), (0, 2));
}

#[test]
fn a_failed_connection_is_counted_remembered_and_rests_the_target() {
    let (target, now) = (target(), Instant::now());
    assert_eq!(target.last_error(now), None);
    let assignment = target.assign(now);
    assert!(assignment.failed(now, &"connection refused").is_some());
    assert_eq!(target.failures(), 1);
    let text = "connection refused".to_string();
    assert_eq!(target.last_error(now), Some(TargetError { at: now, text }));
    assert!(!target.health().is_up(now));
    assert!(target.takes_new(), "resting is not drained");
}

#[test]
fn a_failure_is_judged_by_when_its_connection_began() {
    let (target, now) = (target(), Instant::now());
    let (first, second) = (target.assign(now), target.assign(now));
    let later = now + Duration::from_secs(10);
    assert!(first.failed(later, &"timed out").is_some());
    assert_eq!(second.failed(later + Duration::from_secs(5), &"timed out"), None);
    assert_eq!(target.failures(), 2);
}

#[test]
fn a_failed_check_is_remembered_and_no_failed_connection() {
    let (target, now) = (target(), Instant::now());
    assert!(!target.check_failed(now, &"no answer"));
    assert!(target.check_failed(now, &"no answer"));
    assert_eq!(target.failures(), 0);
    assert_eq!(target.last_error(now).unwrap().text, "no answer");
    assert!(target.check_succeeded());
    assert_eq!(target.last_error(now).unwrap().text, "no answer");
}

#[test]
fn a_long_error_is_cut_between_characters() {
    let (target, now) = (target(), Instant::now());
    let long = format!("x{}", "ä".repeat(1000));
    target.assign(now).failed(now, &long);
    let text = target.last_error(now).unwrap().text;
    assert_eq!(text, format!("x{}", "ä".repeat(127)));
}

#[test]
fn a_drained_target_and_one_without_weight_take_nothing_new() {
    let target = target();
    assert!(target.takes_new());
    target.set_drained(true);
    assert!(target.is_drained() && !target.takes_new());
    target.set_drained(false);
    assert!(target.takes_new());
    target.set_weight(0);
    assert!(!target.takes_new());
}

#[test]
fn bytes_of_several_workers_add_up() {
    let (target, now) = (target(), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let assignment = target.assign(now);
                (0..1000).for_each(|_| assignment.add_bytes(3, 5));
            });
        }
    });
    assert_eq!((target.bytes_sent(), target.bytes_received()), (12_000, 20_000));
    assert_eq!((target.active(), target.total()), (0, 4));
}
