use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Barrier;

use proptest::prelude::*;

use super::*;

fn address(number: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, number).into()
}

fn process(limit: usize) -> Arc<ProcessCounts> {
    Arc::new(ProcessCounts::new(limit))
}

fn rule(process: &Arc<ProcessCounts>, limit: usize, per_client: Option<usize>) -> Arc<RuleCounts> {
    Arc::new(RuleCounts::new(Arc::clone(process), &at_most(limit, per_client)))
}

fn at_most(max_connections: usize, max_connections_per_client: Option<usize>) -> Rule {
    Rule { max_connections, max_connections_per_client, ..Rule::default() }
}

fn enter(rule: &Arc<RuleCounts>, number: u8) -> Result<Permit, Refusal> {
    rule.reserve()?.enter(Some(address(number)))
}

#[test]
fn each_limit_refuses_by_its_name() {
    let process = process(3);
    let (one, other) = (rule(&process, 2, Some(1)), rule(&process, 9, None));
    let _first = enter(&one, 1).unwrap();
    assert_eq!(enter(&one, 1).unwrap_err(), Refusal::ClientLimit);
    let _second = enter(&one, 2).unwrap();
    assert_eq!(enter(&one, 3).unwrap_err(), Refusal::RuleLimit);
    let _third = enter(&other, 1).unwrap();
    assert_eq!(enter(&other, 1).unwrap_err(), Refusal::GlobalLimit);
    assert_eq!((process.open(), one.open(), other.open()), (3, 2, 1));
}

#[test]
fn a_refused_connection_holds_no_place() {
    let process = process(9);
    let rule = rule(&process, 2, Some(1));
    let _open = enter(&rule, 1).unwrap();
    for _ in 0..20 {
        enter(&rule, 1).unwrap_err();
    }
    assert_eq!((process.open(), rule.open(), rule.clients().open(address(1))), (1, 1, 1));
}

#[test]
fn a_dropped_permit_gives_back_all_three_places() {
    let process = process(1);
    let rule = rule(&process, 1, Some(1));
    drop(enter(&rule, 1).unwrap());
    assert_eq!((process.open(), rule.open(), rule.clients().len()), (0, 0, 0));
    assert!(enter(&rule, 1).is_ok());
}

#[test]
fn a_client_without_an_address_counts_for_process_and_rule() {
    let process = process(2);
    let rule = rule(&process, 9, Some(0));
    let _open = [(); 2].map(|()| rule.reserve().unwrap().enter(None).unwrap());
    assert_eq!(rule.reserve().unwrap_err(), Refusal::GlobalLimit);
    assert!(rule.clients().is_empty());
}

#[test]
fn a_permit_moves_to_the_client_that_is_named_later() {
    let process = process(9);
    let rule = rule(&process, 9, Some(1));
    let mut permit = rule.reserve().unwrap().enter(None).unwrap();
    permit.identify(address(1)).unwrap();
    assert_eq!(permit.client(), Some(address(1)));
    permit.identify(address(2)).unwrap();
    assert_eq!((rule.clients().open(address(1)), rule.clients().open(address(2))), (0, 1));
    let _other = enter(&rule, 1).unwrap();
    assert_eq!(permit.identify(address(1)), Err(Refusal::ClientLimit));
    assert_eq!(permit.client(), Some(address(2)));
    drop(permit);
    assert_eq!((rule.open(), rule.clients().len()), (1, 1));
}

#[test]
fn a_lowered_limit_lets_what_is_open_stay() {
    let process = process(9);
    let rule = rule(&process, 3, None);
    let mut open: Vec<Permit> = (0..3).map(|n| enter(&rule, n).unwrap()).collect();
    rule.set_limits(&at_most(2, None));
    open.pop();
    assert_eq!(enter(&rule, 9).unwrap_err(), Refusal::RuleLimit);
    open.pop();
    open.push(enter(&rule, 9).unwrap());
    process.set_max_connections(2);
    assert_eq!(enter(&rule, 9).unwrap_err(), Refusal::GlobalLimit);
    assert_eq!(process.max_connections(), 2);
}

#[test]
fn a_limit_per_client_that_is_set_later_counts_what_was_open_before() {
    let rule = rule(&process(9), 9, None);
    let _open = (enter(&rule, 1).unwrap(), enter(&rule, 1).unwrap());
    rule.set_limits(&at_most(9, Some(2)));
    assert_eq!(enter(&rule, 1).unwrap_err(), Refusal::ClientLimit);
}

#[test]
fn limits_hold_across_threads_and_nothing_is_left_behind() {
    const THREADS: usize = 4;
    let process = process(6);
    let rules = [rule(&process, 4, Some(2)), rule(&process, 5, None)];
    let barrier = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (process, rules, barrier) = (&process, &rules, &barrier);
            scope.spawn(move || {
                barrier.wait();
                let mut open = std::collections::VecDeque::new();
                for round in 0..20_000 {
                    let number = ((round + thread) % 3) as u8;
                    let rule = &rules[(round / 7) % 2];
                    if let Ok(permit) = enter(rule, number) {
                        assert!(process.open() <= 6 && rules[0].open() <= 4);
                        assert!(rules[1].open() <= 5);
                        assert!(rules[0].clients().open(address(number)) <= 2);
                        open.push_back(permit);
                    }
                    if open.len() > round % 3 {
                        open.pop_front();
                    }
                }
            });
        }
    });
    assert_eq!(process.open(), 0);
    for rule in &rules {
        assert_eq!((rule.open(), rule.clients().len()), (0, 0));
    }
}

#[test]
fn of_threads_that_all_want_in_exactly_as_many_get_in_as_may() {
    const THREADS: usize = 4;
    for _ in 0..50 {
        let process = process(100);
        let rule = rule(&process, 7, None);
        let barrier = Barrier::new(THREADS);
        let permits: Vec<Permit> = std::thread::scope(|scope| {
            let enter_all = || {
                barrier.wait();
                (0..5).filter_map(|n| enter(&rule, n).ok()).collect::<Vec<_>>()
            };
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(enter_all)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!((permits.len(), rule.open()), (7, 7));
    }
}

#[test]
fn the_limit_of_the_process_is_never_more_than_there_is_room_for() {
    let process = process(10);
    process.set_room(3);
    assert_eq!(process.max_connections(), 3);
    process.set_max_connections(2);
    assert_eq!(process.max_connections(), 2);
    process.set_max_connections(100);
    assert_eq!(process.max_connections(), 3);
}

#[test]
fn all_addresses_of_an_ipv6_network_are_one_client() {
    let process = process(99);
    let by_prefix = |ipv6_client_prefix| {
        let rule = Rule { ipv6_client_prefix, ..at_most(99, Some(1)) };
        Arc::new(RuleCounts::new(Arc::clone(&process), &rule))
    };
    let enter = |rule: &Arc<RuleCounts>, client: &str| {
        rule.reserve().unwrap().enter(Some(client.parse().unwrap()))
    };
    let rule = by_prefix(64);
    let _one = enter(&rule, "2001:db8::1").unwrap();
    assert_eq!(enter(&rule, "2001:db8::ffff:ffff:ffff:ffff").unwrap_err(), Refusal::ClientLimit);
    let _others = ["2001:db8:0:1::1", "fe80::1", "fe80::2", "192.0.2.1", "::ffff:192.0.2.2"]
        .map(|client| enter(&rule, client).unwrap());
    assert_eq!(enter(&rule, "192.0.2.2").unwrap_err(), Refusal::ClientLimit);

    let each = by_prefix(128);
    let two = ["2001:db8::1", "2001:db8::2"].map(|client| enter(&each, client).unwrap());
    // A place is given back where it was taken, whatever the prefix has become since.
    each.set_limits(&at_most(99, Some(1)));
    drop(two);
    assert!(each.clients().is_empty());
}

/// A waiter that counts how often it was woken.
fn waiter() -> (Arc<Waiter>, Arc<AtomicUsize>) {
    let woken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&woken);
    (Waiter::new(move || _ = count.fetch_add(1, Relaxed)), woken)
}

#[test]
fn who_finds_no_place_is_woken_by_whichever_limit_it_was() {
    let process = process(2);
    let (one, other) = (rule(&process, 1, None), rule(&process, 9, None));
    let (first, second) = (enter(&one, 1).unwrap(), enter(&other, 1).unwrap());
    let now = Instant::now();
    let (waiter, woken) = waiter();
    let refusal = |rule: &Arc<RuleCounts>| rule.reserve_or_wait(&waiter, now).unwrap_err().refusal;
    assert_eq!(refusal(&one), Refusal::GlobalLimit);
    drop(second);
    assert_eq!((woken.load(Relaxed), refusal(&one)), (1, Refusal::RuleLimit));
    drop(first);
    assert_eq!(woken.load(Relaxed), 2);
    assert!(one.reserve_or_wait(&waiter, now).is_ok());
    let waits = [Refusal::GlobalLimit, Refusal::RuleLimit].map(|refusal| one.waits(refusal));
    assert_eq!((waits, other.waits(Refusal::GlobalLimit)), ([1, 1], 0));
}

#[test]
fn a_place_goes_to_the_one_who_has_waited_longest_and_on_from_who_has_no_use_for_it() {
    let process = process(1);
    let rules = [rule(&process, 9, None), rule(&process, 9, None)];
    let open = enter(&rules[0], 1).unwrap();
    let now = Instant::now();
    let waiters = [waiter(), waiter()];
    for (rule, (waiter, _)) in rules.iter().zip(&waiters) {
        rule.reserve_or_wait(waiter, now).unwrap_err();
        rule.reserve_or_wait(waiter, now).unwrap_err();
    }
    let woken = || [0, 1].map(|index| waiters[index].1.load(Relaxed));
    drop(open);
    assert_eq!(woken(), [1, 0]);
    drop(rules[0].reserve().unwrap());
    assert_eq!(woken(), [1, 1]);
    rules[0].pass_on();
    assert_eq!(woken(), [1, 1], "nobody waits any more");
}

#[test]
fn a_place_that_the_rule_has_no_use_for_is_offered_to_another_rule() {
    let process = process(2);
    let (full, other) = (rule(&process, 1, None), rule(&process, 9, None));
    let (_first, second) = (enter(&full, 1).unwrap(), enter(&other, 1).unwrap());
    let now = Instant::now();
    let ((greedy, _), (modest, woken)) = (waiter(), waiter());
    full.reserve_or_wait(&greedy, now).unwrap_err();
    other.reserve_or_wait(&modest, now).unwrap_err();
    drop(second);
    assert_eq!(woken.load(Relaxed), 0, "it was the other one's turn");
    assert_eq!(full.reserve_or_wait(&greedy, now).unwrap_err().refusal, Refusal::RuleLimit);
    assert_eq!(woken.load(Relaxed), 1);
}

#[test]
fn a_limit_that_is_raised_wakes_as_many_as_may_enter_then() {
    let rule = rule(&process(9), 1, None);
    let _open = enter(&rule, 1).unwrap();
    let waiters = [waiter(), waiter(), waiter()];
    for (waiter, _) in &waiters {
        rule.reserve_or_wait(waiter, Instant::now()).unwrap_err();
    }
    rule.set_limits(&at_most(3, None));
    assert_eq!([0, 1, 2].map(|index| waiters[index].1.load(Relaxed)), [1, 1, 0]);
}

#[derive(Clone, Debug)]
enum Step {
    Enter { rule: usize, client: Option<u8> },
    Identify { permit: prop::sample::Index, client: u8 },
    Leave { permit: prop::sample::Index },
    Limit { rule: usize, limit: usize, per_client: Option<usize> },
    LimitAll { limit: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    let per_client = prop::option::of(0usize..4);
    prop_oneof![
        6 => (0usize..2, prop::option::weighted(0.8, 0u8..4))
            .prop_map(|(rule, client)| Step::Enter { rule, client }),
        1 => (index(), 0u8..4).prop_map(|(permit, client)| Step::Identify { permit, client }),
        4 => index().prop_map(|permit| Step::Leave { permit }),
        1 => (0usize..2, 0usize..8, per_client)
            .prop_map(|(rule, limit, per_client)| Step::Limit { rule, limit, per_client }),
        1 => (0usize..12).prop_map(|limit| Step::LimitAll { limit }),
    ]
}

proptest! {
    #[test]
    fn counts_are_those_of_a_list_of_what_is_open(steps in prop::collection::vec(step(), 0..80)) {
        let process = process(10);
        let rules = [rule(&process, 6, Some(2)), rule(&process, 6, None)];
        let (mut limits, mut limit_all) = ([(6, Some(2)), (6, None)], 10);
        let mut open: Vec<(usize, Option<u8>, Permit)> = Vec::new();
        for step in steps {
            let of_client = |rule: usize, client: u8| {
                open.iter().filter(|(r, c, _)| *r == rule && *c == Some(client)).count()
            };
            let client_is_full = |rule: usize, client: u8| {
                limits[rule].1.is_some_and(|limit| of_client(rule, client) >= limit)
            };
            match step {
                Step::Enter { rule, client } => {
                    let in_rule = open.iter().filter(|(r, ..)| *r == rule).count();
                    let expected = if open.len() >= limit_all {
                        Err(Refusal::GlobalLimit)
                    } else if in_rule >= limits[rule].0 {
                        Err(Refusal::RuleLimit)
                    } else if client.is_some_and(|client| client_is_full(rule, client)) {
                        Err(Refusal::ClientLimit)
                    } else {
                        Ok(())
                    };
                    let place = rules[rule].reserve();
                    let entered = place.and_then(|place| place.enter(client.map(address)));
                    prop_assert_eq!(entered.as_ref().map(|_| ()).map_err(|refusal| *refusal), expected);
                    open.extend(entered.ok().map(|permit| (rule, client, permit)));
                }
                Step::Identify { permit, client } if !open.is_empty() => {
                    let index = permit.index(open.len());
                    let full = client_is_full(open[index].0, client);
                    let (_, counted, permit) = &mut open[index];
                    prop_assert_eq!(permit.identify(address(client)).is_err(), full);
                    *counted = if full { *counted } else { Some(client) };
                }
                Step::Leave { permit } if !open.is_empty() => {
                    open.swap_remove(permit.index(open.len()));
                }
                Step::Identify { .. } | Step::Leave { .. } => {}
                Step::Limit { rule, limit, per_client } => {
                    limits[rule] = (limit, per_client);
                    rules[rule].set_limits(&at_most(limit, per_client));
                }
                Step::LimitAll { limit } => {
                    limit_all = limit;
                    process.set_max_connections(limit);
                }
            }
            prop_assert_eq!(process.open(), open.len());
            for (index, rule) in rules.iter().enumerate() {
                let mut clients: HashMap<u8, usize> = HashMap::new();
                for (_, client, _) in open.iter().filter(|(rule, ..)| *rule == index) {
                    client.iter().for_each(|client| *clients.entry(*client).or_default() += 1);
                }
                prop_assert_eq!(rule.clients().len(), clients.len());
                for (client, count) in clients {
                    prop_assert_eq!(rule.clients().open(address(client)), count);
                }
            }
        }
    }
}
