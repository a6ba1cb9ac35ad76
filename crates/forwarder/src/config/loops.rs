//! Rules whose connections come back to them, each making another until something gives out.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::net::IpAddr;

use super::model::Rule;
use super::problem::Problem;
use super::reach::{ByAddress, leads_to};

/// A problem for each rule that can be reached from itself and from no earlier rule of the circle.
pub(super) fn check(rules: &[Rule], is_own: &dyn Fn(IpAddr) -> bool) -> Vec<Problem> {
    let mut by_address = ByAddress::default();
    for (index, rule) in rules.iter().enumerate() {
        by_address.add(index, &rule.listen);
    }
    let leads: Vec<Vec<Step>> =
        rules.iter().map(|rule| steps(rule, rules, &by_address, is_own)).collect();
    (0..rules.len())
        .filter_map(|start| way_back(start, &leads).map(|way| problem(start, &way, rules)))
        .collect()
}

/// From a rule by its target of this index to the rule of that index.
#[derive(Clone, Copy)]
struct Step {
    target: usize,
    rule: usize,
}

fn steps<'r>(
    from: &'r Rule,
    rules: &[Rule],
    by_address: &ByAddress<'r>,
    is_own: &dyn Fn(IpAddr) -> bool,
) -> Vec<Step> {
    let mut steps = Vec::new();
    for (target, to) in from.targets.iter().enumerate() {
        for rule in by_address.reached(from, &to.endpoint) {
            if leads_to(from, &to.endpoint, &rules[rule], is_own) {
                steps.push(Step { target, rule });
            }
        }
    }
    steps
}

/// The shortest way from `start` to itself through later rules only.
fn way_back(start: usize, leads: &[Vec<Step>]) -> Option<Vec<Step>> {
    // The step by which each rule was reached, and from which rule.
    let mut reached: HashMap<usize, (usize, Step)> = HashMap::new();
    let mut next = VecDeque::from([start]);
    while let Some(from) = next.pop_front() {
        for step in leads[from].iter().filter(|step| step.rule >= start) {
            if let Entry::Vacant(new) = reached.entry(step.rule) {
                new.insert((from, *step));
                next.push_back(step.rule);
            }
        }
    }
    let mut way = Vec::new();
    let mut to = start;
    loop {
        let (from, step) = *reached.get(&to)?;
        way.push(step);
        to = from;
        if from == start {
            way.reverse();
            return Some(way);
        }
    }
}

fn problem(start: usize, way: &[Step], rules: &[Rule]) -> Problem {
    let first = way.first().map_or(0, |step| step.target);
    let target = &rules[start].targets[first].endpoint;
    let between: Vec<String> = way
        .iter()
        .map(|step| step.rule)
        .filter(|rule| *rule != start)
        .map(|rule| format!("'{}'", rules[rule].name))
        .collect();
    let sentence = if between.is_empty() {
        format!(
            "'{target}' is where this rule itself listens ({}), so that every connection would make \
             another: choose another target",
            rules[start].listen
        )
    } else {
        let noun = if between.len() == 1 { "rule" } else { "rules" };
        format!(
            "'{target}' leads back to this rule ({}) through {noun} {}, so that every connection would \
             make another: choose another target",
            rules[start].listen,
            between.join(", ")
        )
    };
    Problem::item(start, "targets", first, sentence)
}
