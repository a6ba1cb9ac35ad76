use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// A target, and how a connection finds it.
#[derive(Clone, Debug)]
struct Case {
    weight: u32,
    active: usize,
    drained: bool,
    rests: bool,
    tried: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let weight = prop_oneof![1 => Just(0), 8 => 1u32..6, 1 => Just(u32::MAX)];
    let rare = || prop::bool::weighted(0.2);
    (weight, 0usize..6, rare(), rare(), rare()).prop_map(
        |(weight, active, drained, rests, tried)| Case { weight, active, drained, rests, tried },
    )
}

impl Case {
    fn is_open(&self) -> bool {
        self.weight > 0 && !self.drained && !self.tried
    }

    fn load(&self) -> f64 {
        self.active as f64 / f64::from(self.weight)
    }
}

proptest! {
    #[test]
    fn a_choice_is_one_that_the_policy_allows(
        cases in prop::collection::vec(case(), 0..7),
        address in any::<u32>(),
    ) {
        let now = Instant::now();
        let weights: Vec<u32> = cases.iter().map(|case| case.weight).collect();
        let tried: Vec<usize> = (0..cases.len()).filter(|i| cases[*i].tried).collect();
        for policy in POLICIES {
            let balancer = balancer(policy, &weights, now);
            let mut open = Vec::new();
            for (case, target) in cases.iter().zip(balancer.targets()) {
                open.extend((0..case.active).map(|_| target.assign(now)));
                target.set_drained(case.drained);
                if case.rests {
                    fail(target, now);
                }
            }
            let choice = balancer.choose(now, client(address), &tried);
            let well: Vec<usize> =
                (0..cases.len()).filter(|i| cases[*i].is_open() && !cases[*i].rests).collect();
            let Some(choice) = choice else {
                prop_assert!(!cases.iter().any(Case::is_open));
                continue;
            };
            prop_assert!(cases[choice].is_open());
            prop_assert!(well.is_empty() || well.contains(&choice));
            if policy == Balance::First && !well.is_empty() {
                prop_assert_eq!(choice, well[0]);
            }
            if policy == Balance::LeastConnections {
                for other in well {
                    prop_assert!(cases[choice].load() <= cases[other].load());
                }
            }
        }
    }

    #[test]
    fn turns_are_the_plain_algorithm_on_those_that_are_open(
        weights in prop::collection::vec(0u32..5, 2..6),
        rounds in prop::collection::vec(prop::collection::vec(0usize..6, 0..3), 1..60),
    ) {
        let now = Instant::now();
        let round = balancer(Balance::RoundRobin, &weights, now);
        let mut credit: HashMap<usize, i64> = HashMap::new();
        for tried in rounds {
            let open: Vec<usize> =
                (0..weights.len()).filter(|i| weights[*i] > 0 && !tried.contains(i)).collect();
            for index in &open {
                *credit.entry(*index).or_default() += i64::from(weights[*index]);
            }
            let expected = open.iter().copied().rev().max_by_key(|index| credit[index]);
            if let Some(expected) = expected {
                let all: i64 = open.iter().map(|index| i64::from(weights[*index])).sum();
                *credit.entry(expected).or_default() -= all;
            }
            prop_assert_eq!(round.choose(now, None, &tried), expected);
        }
    }

    #[test]
    fn every_round_gives_each_target_its_weight(
        weights in prop::collection::vec(0u32..9, 2..6), rounds in 1usize..4,
    ) {
        let now = Instant::now();
        let round = balancer(Balance::RoundRobin, &weights, now);
        let all: u32 = weights.iter().sum();
        for _ in 0..rounds {
            let mut count = vec![0; weights.len()];
            for _ in 0..all {
                count[round.choose(now, None, &[]).unwrap()] += 1;
            }
            prop_assert_eq!(&count, &weights);
        }
    }

    #[test]
    fn when_a_target_goes_only_its_clients_move(
        weights in prop::collection::vec(1u32..9, 2..7),
        gone in any::<prop::sample::Index>(),
        addresses in prop::collection::vec(any::<u32>(), 1..40),
    ) {
        let now = Instant::now();
        let gone = gone.index(weights.len());
        let hash = balancer(Balance::ClientHash, &weights, now);
        let choose = |address| hash.choose(now, client(address), &[]).unwrap();
        let before: Vec<usize> = addresses.iter().map(|address| choose(*address)).collect();
        hash.targets()[gone].set_drained(true);
        for (address, before) in addresses.into_iter().zip(before) {
            let after = choose(address);
            prop_assert!(after == before || before == gone, "{} moved to {}", before, after);
        }
    }

    #[test]
    fn when_a_weight_changes_clients_move_to_or_from_that_target_alone(
        weights in prop::collection::vec(1u32..9, 2..7),
        changed in any::<prop::sample::Index>(), weight in 1u32..20,
        addresses in prop::collection::vec(any::<u32>(), 1..40),
    ) {
        let now = Instant::now();
        let changed = changed.index(weights.len());
        let hash = balancer(Balance::ClientHash, &weights, now);
        let choose = |address| hash.choose(now, client(address), &[]).unwrap();
        let before: Vec<usize> = addresses.iter().map(|address| choose(*address)).collect();
        hash.targets()[changed].set_weight(weight);
        for (address, before) in addresses.into_iter().zip(before) {
            let after = choose(address);
            if weight >= weights[changed] {
                prop_assert!(after == before || after == changed);
            } else {
                prop_assert!(after == before || before == changed);
            }
        }
    }
}
