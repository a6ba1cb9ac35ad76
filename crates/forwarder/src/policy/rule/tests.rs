use super::*;
use crate::config::{Endpoint, Listen, Target};

fn host(name: &str, weight: u32) -> Target {
    Target { endpoint: Endpoint::Host(name.into(), 80), weight }
}

fn rule(targets: &[Target]) -> Rule {
    Rule::new(Listen::Unix("web.sock".into()), targets.to_vec())
}

fn state(rule: &Rule, now: Instant) -> RuleState {
    RuleState::new(rule, Arc::new(ProcessCounts::new(100)), now)
}

fn address(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

#[test]
fn workers_can_share_it() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<RuleState>();
    sent::<(Permit, crate::policy::Assignment, Throttle)>();
}

#[test]
fn a_connection_is_admitted_and_counted_and_so_is_a_refusal() {
    let now = Instant::now();
    let mut rule = rule(&[host("a", 1)]);
    rule.deny = vec!["192.0.2.0/24".parse().unwrap()];
    rule.max_connections = 1;
    let state = state(&rule, now);
    let permit = state.admit(now, address("198.51.100.1")).unwrap();
    assert_eq!(state.admit(now, address("198.51.100.1")).unwrap_err(), Refusal::RuleLimit);
    drop(permit);
    assert_eq!(state.admit(now, address("192.0.2.1")).unwrap_err(), Refusal::Denied);
    assert_eq!(state.admit(now, address("::ffff:192.0.2.2")).unwrap_err(), Refusal::Denied);
    assert_eq!(state.counts().admitted(), 1);
    let refused = Refusal::ALL.map(|refusal| state.counts().refused(refusal));
    assert_eq!(refused, [0, 1, 0, 0, 2, 0]);
    assert!(state.admit(now, None).is_ok(), "who was refused holds no place");
}

#[test]
fn nobody_new_is_admitted_while_the_process_drains() {
    let now = Instant::now();
    let state = state(&rule(&[host("a", 1)]), now);
    let _open = state.admit(now, None).unwrap();
    state.counts().process().drain();
    assert_eq!(state.admit(now, None).unwrap_err(), Refusal::Draining);
    assert_eq!((state.counts().open(), state.counts().refused(Refusal::Draining)), (1, 1));
}

#[test]
fn connections_beyond_the_rate_are_refused_until_the_pause_is_over() {
    let now = Instant::now();
    let mut rule = rule(&[host("a", 1)]);
    rule.connections_per_second = Some(2);
    let state = state(&rule, now);
    assert_eq!(state.pause(now), None);
    let _open = (state.admit(now, None).unwrap(), state.admit(now, None).unwrap());
    assert_eq!(state.admit(now, None).unwrap_err(), Refusal::Rate);
    assert_eq!(state.counts().open(), 2, "the refused one holds no place");
    let pause = state.pause(now).unwrap();
    assert_eq!(pause, Duration::from_millis(500));
    assert_eq!(state.pause(now + pause), None);
    assert!(state.admit(now + pause, None).is_ok());
}

#[test]
fn a_refused_connection_does_not_use_up_the_rate() {
    let now = Instant::now();
    let mut rule = rule(&[host("a", 1)]);
    rule.connections_per_second = Some(1);
    rule.max_connections_per_client = Some(0);
    let state = state(&rule, now);
    assert_eq!(state.admit(now, address("192.0.2.1")).unwrap_err(), Refusal::ClientLimit);
    assert!(state.admit(now, None).is_ok());
}

#[test]
fn a_client_that_a_header_names_is_held_to_the_rules() {
    let now = Instant::now();
    let mut rule = rule(&[host("a", 1)]);
    rule.deny = vec!["192.0.2.0/24".parse().unwrap()];
    rule.max_connections_per_client = Some(1);
    let state = state(&rule, now);
    let (mut first, mut second) =
        (state.admit(now, None).unwrap(), state.admit(now, None).unwrap());
    let good: IpAddr = "198.51.100.1".parse().unwrap();
    assert_eq!(state.identify(&mut first, good), Ok(()));
    assert_eq!(state.identify(&mut second, good), Err(Refusal::ClientLimit));
    let bad = "192.0.2.1".parse().unwrap();
    assert_eq!(state.identify(&mut second, bad), Err(Refusal::Denied));
    assert_eq!(state.counts().refused(Refusal::ClientLimit), 1);
    assert_eq!(state.counts().refused(Refusal::Denied), 1);
}

#[test]
fn a_connection_moves_on_when_its_target_refuses() {
    let now = Instant::now();
    let state = state(&rule(&[host("a", 1), host("b", 1)]), now);
    let first = state.choose(now, None, &[]).unwrap();
    state.targets()[first].assign(now).failed(now, &"connection refused");
    let second = state.choose(now, None, &[first]).unwrap();
    assert_ne!(first, second);
    assert!((0..9).all(|_| state.choose(now, None, &[]) == Some(second)));
}

#[test]
fn targets_that_stay_keep_their_state_across_a_reload() {
    let now = Instant::now();
    let old = state(&rule(&[host("a", 1), host("b", 1), host("c", 1)]), now);
    let open = old.targets()[1].assign(now);
    open.add_bytes(10, 20);
    old.targets()[1].set_drained(true);
    open.failed(now, &"connection refused");
    let new = old.reloaded(&rule(&[host("d", 1), host("b", 5)]), now);
    let kept = &new.targets()[1];
    assert!(Arc::ptr_eq(kept, &old.targets()[1]));
    assert_eq!((kept.active(), kept.bytes_sent(), kept.bytes_received()), (1, 10, 20));
    assert_eq!((kept.weight(), kept.is_drained(), kept.failures()), (5, true, 1));
    assert_eq!(new.targets()[0].total(), 0);
    drop(open);
    assert_eq!(new.targets()[1].active(), 0);
}

#[test]
fn a_target_named_twice_keeps_two_states() {
    let now = Instant::now();
    let twice = rule(&[host("a", 1), host("a", 1)]);
    let old = state(&twice, now);
    let new = old.reloaded(&twice, now);
    assert!(Arc::ptr_eq(&new.targets()[0], &old.targets()[0]));
    assert!(Arc::ptr_eq(&new.targets()[1], &old.targets()[1]));
    assert!(!Arc::ptr_eq(&new.targets()[0], &new.targets()[1]));
}

#[test]
fn open_connections_count_under_the_limits_after_a_reload() {
    let now = Instant::now();
    let mut rule = rule(&[host("a", 1)]);
    let old = state(&rule, now);
    let permit = old.admit(now, address("192.0.2.1")).unwrap();
    rule.max_connections_per_client = Some(1);
    let new = old.reloaded(&rule, now);
    assert_eq!(new.admit(now, address("192.0.2.1")).unwrap_err(), Refusal::ClientLimit);
    assert_eq!((new.counts().open(), new.counts().admitted()), (1, 1));
    drop(permit);
    assert!(new.admit(now, address("192.0.2.1")).is_ok());
}

#[test]
fn rates_go_on_across_a_reload() {
    let now = Instant::now();
    let mut rule = rule(&[host("a", 1)]);
    rule.connections_per_second = Some(1);
    rule.rate = Some(100_000);
    let old = state(&rule, now);
    old.admit(now, None).unwrap();
    let mut throttle = old.throttle(now).unwrap();
    assert_eq!(throttle.grant(now, 1_000_000), Ok(100_000));
    throttle.spend(now, 100_000);
    rule.connections_per_second = Some(10);
    rule.rate = Some(1_000_000);
    let new = old.reloaded(&rule, now);
    assert_eq!(new.pause(now), Some(Duration::from_millis(100)), "at the new rate, not full anew");
    assert_eq!(throttle.grant(now, 5_000), Err(Duration::from_millis(5)), "the new one's");
}

#[test]
fn limits_come_and_go_with_a_reload() {
    let now = Instant::now();
    let mut rule = rule(&[host("a", 1)]);
    let none = state(&rule, now);
    assert!(none.throttle(now).is_none());
    rule.rate_per_connection = Some(70_000);
    rule.connections_per_second = Some(0);
    let some = none.reloaded(&rule, now);
    assert_eq!(some.throttle(now).unwrap().grant(now, u64::MAX), Ok(70_000));
    assert_eq!(some.admit(now, None).unwrap_err(), Refusal::Rate);
    rule = Rule::new(rule.listen, rule.targets);
    let none = some.reloaded(&rule, now);
    assert!(none.throttle(now).is_none());
    assert!(none.admit(now, None).is_ok());
}

#[test]
fn a_rule_that_no_longer_checks_forgets_what_checks_found() {
    let now = Instant::now();
    let mut rule = rule(&[host("a", 1)]);
    let second = Duration::from_secs(1);
    rule.check_every = Some(Some(second));
    let old = state(&rule, now);
    old.targets()[0].check_failed(now, &"no answer");
    old.targets()[0].check_failed(now, &"no answer");
    assert!(!old.reloaded(&rule, now).targets()[0].health().is_up(now));
    rule.check_every = None;
    assert!(old.reloaded(&rule, now).targets()[0].health().is_up(now));
}

#[test]
fn every_refusal_is_a_sentence_and_a_label_of_its_own() {
    for (index, refusal) in Refusal::ALL.into_iter().enumerate() {
        assert_eq!(refusal as usize, index);
        assert!(refusal.to_string().contains(' '), "{refusal}");
        let same = |other: &Refusal| {
            other.label() == refusal.label() || other.to_string() == refusal.to_string()
        };
        assert_eq!(Refusal::ALL.iter().filter(|other| same(other)).count(), 1);
    }
}
