//! Rules whose connections come back to them, so that each makes another until descriptors run out.

use std::collections::HashMap;
use std::net::IpAddr;

use super::address::Listen;
use super::diagnostic::{Diagnostic, MAX_SHOWN};
use super::listeners::Listeners;
use super::rule::Rule;

/// Maximum number of rules that a message names.
const MAX_NAMED: usize = 5;

/// A diagnostic for each loop, at the first rule of it.
pub(super) fn check(
    rules: &[Rule],
    listeners: &Listeners<'_>,
    is_own: &dyn Fn(IpAddr) -> bool,
) -> Vec<Diagnostic> {
    let mut known = HashMap::new();
    let mut is_own = |ip| *known.entry(ip).or_insert_with(|| is_own(ip));
    let steps = rules.iter().map(|rule| steps(rule, listeners, &mut is_own)).collect();
    loops(steps).iter().map(|steps| diagnostic(steps, rules)).collect()
}

/// From a rule, by its target of this index, to the next rule.
#[derive(Clone, Copy)]
struct Step {
    from: usize,
    target: usize,
}

/// The steps from one rule, without their start.
fn steps(
    rule: &Rule,
    listeners: &Listeners<'_>,
    is_own: &mut dyn FnMut(IpAddr) -> bool,
) -> Vec<(usize, usize)> {
    let is_udp = matches!(rule.listen, Listen::Udp(_));
    let mut steps = Vec::new();
    for (target, to) in rule.targets.iter().enumerate() {
        let reached = listeners.reached(&to.endpoint, is_udp, is_own);
        steps.extend(reached.into_iter().map(|rule| (target, rule)));
    }
    steps
}

#[derive(Clone, Copy, PartialEq)]
enum Visit {
    Never,
    /// At this position of the path that is followed.
    OnPath(usize),
    Done,
}

/// The loops that a search in depth finds, each from its first rule on. Every step is followed once.
fn loops(mut steps: Vec<Vec<(usize, usize)>>) -> Vec<Vec<Step>> {
    let mut loops: Vec<Vec<Step>> = Vec::new();
    let mut visits = vec![Visit::Never; steps.len()];
    for start in 0..steps.len() {
        if visits[start] != Visit::Never {
            continue;
        }
        visits[start] = Visit::OnPath(0);
        let mut path: Vec<Step> = Vec::new();
        let mut at = start;
        loop {
            if let Some((target, to)) = steps[at].pop() {
                let step = Step { from: at, target };
                match visits[to] {
                    Visit::Never => {
                        path.push(step);
                        visits[to] = Visit::OnPath(path.len());
                        at = to;
                    }
                    Visit::OnPath(position) if loops.len() <= MAX_SHOWN => {
                        let mut steps: Vec<Step> = path[position..].to_vec();
                        steps.push(step);
                        let first = (0..steps.len()).min_by_key(|i| steps[*i].from).unwrap_or(0);
                        steps.rotate_left(first);
                        if loops.iter().all(|other| other[0].from != steps[0].from) {
                            loops.push(steps);
                        }
                    }
                    Visit::OnPath(_) | Visit::Done => {}
                }
            } else {
                visits[at] = Visit::Done;
                match path.pop() {
                    Some(step) => at = step.from,
                    None => break,
                }
            }
        }
    }
    loops
}

fn diagnostic(steps: &[Step], rules: &[Rule]) -> Diagnostic {
    let first = steps[0];
    let rule = &rules[first.from];
    let (target, listen) = (&rule.targets[first.target].endpoint, &rule.listen);
    let remedy = "so that every connection would make another: choose another target";
    let through: Vec<String> = steps[1..]
        .iter()
        .take(MAX_NAMED)
        .map(|step| format!("'{}'", rules[step.from].name))
        .collect();
    let message = match steps.len() - 1 {
        0 => format!("'{target}' is where this rule itself listens ({listen}), {remedy}"),
        rules => {
            let noun = if rules == 1 { "rule" } else { "rules" };
            let more = match rules - through.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let through = through.join(", ");
            format!(
                "'{target}' leads back to this rule ({listen}) through {noun} {through}{more}, {remedy}"
            )
        }
    };
    Diagnostic::rule(first.from, "targets", message).item(first.target)
}
