//! What a configuration may not say, beyond what its notation rules out.

use std::collections::HashMap;
use std::net::IpAddr;

use super::address::UNIX_PATH_MAX;
use super::model::{CaptureFilter, Config, Listen, Rule};
use super::problem::Problem;
use super::reach::ByAddress;
use super::{check_rule, loops, reach};

/// Far more than any machine has cores.
const WORKERS_MAX: usize = 1024;

/// All that is wrong with a configuration; nothing, when it can be run.
///
/// The system is asked which addresses are its own; nothing is sent. No name is looked up: whether one
/// leads back to its rule shows at run time only, see [`arrives_at`](super::reach::arrives_at).
pub fn check(config: &Config) -> Vec<Problem> {
    check_with(config, &reach::is_own)
}

/// As `check`, where `is_own` tells which addresses are this machine's.
pub(super) fn check_with(config: &Config, is_own: &dyn Fn(IpAddr) -> bool) -> Vec<Problem> {
    let mut problems = process(config);
    let mut by_address = ByAddress::default();
    let mut by_name = HashMap::new();
    for (index, rule) in config.rules.iter().enumerate() {
        problems.extend(check_rule::check(index, rule));
        let overlaps = |other: &usize| reach::overlap(&config.rules[*other].listen, &rule.listen);
        let overlapping = by_address.near(&rule.listen).filter(overlaps).min();
        let same_name = by_name.insert(&rule.name, index);
        problems.extend(match (overlapping, same_name) {
            (Some(other), _) => Some(taken(index, rule, &config.rules[other])),
            (None, Some(_)) => Some(same_name_twice(index, rule)),
            (None, None) => None,
        });
        by_address.add(index, &rule.listen);
    }
    problems.extend(loops::check(&config.rules, is_own));
    problems
}

fn process(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    if config.rules.is_empty() {
        let sentence = "there is no rule: add a [[rule]] with `listen` and `targets`";
        problems.push(Problem::process("", "rule", sentence));
    }
    if config.workers > WORKERS_MAX {
        let sentence =
            format!("so many workers only get in each other's way: write at most {WORKERS_MAX}");
        problems.push(Problem::process("", "workers", sentence));
    }
    if config.max_connections == 0 {
        problems.push(Problem::process(
            "",
            "max_connections_total",
            "0 would let nobody in: write a number from 1 on",
        ));
    }
    let handover = config.handover.as_ref().map(|path| path.as_os_str().len());
    if handover.is_some_and(|length| length == 0 || length > UNIX_PATH_MAX) {
        let sentence =
            format!("this is no path for a Unix socket: write one of 1 to {UNIX_PATH_MAX} bytes");
        problems.push(Problem::process("", "handover", sentence));
    }
    problems.extend(status(config));
    let capture = &config.capture;
    let filters = [
        ("hexdump", capture.hexdump.as_ref()),
        ("pcapng_filter", capture.pcapng.as_ref().map(|pcapng| &pcapng.filter)),
    ];
    for (key, filter) in filters {
        problems.extend(filter.and_then(|filter| chooses_nothing(key, filter, &config.rules)));
    }
    problems
}

fn status(config: &Config) -> Option<Problem> {
    let status = config.status.as_ref()?;
    let taken = config
        .rules
        .iter()
        .find(|rule| matches!(rule.listen, Listen::Tcp(own) if reach::sockets_overlap(own, status.listen)));
    if let Some(rule) = taken {
        let sentence = format!(
            "{} is taken by rule '{}': choose another address or port for the status page",
            status.listen, rule.name
        );
        return Some(Problem::process("status", "listen", sentence));
    }
    if status.listen.ip().to_canonical().is_loopback() || status.public || status.token.is_some() {
        return None;
    }
    let sentence = format!(
        "{} can be reached from other machines, and the page has no token: listen on 127.0.0.1, give it \
         a token with `token_file`, or say `public` if everybody may look",
        status.listen
    );
    Some(Problem::process("status", "listen", sentence))
}

fn chooses_nothing(key: &'static str, filter: &CaptureFilter, rules: &[Rule]) -> Option<Problem> {
    let named = |rule: &&Rule| filter.rule.as_ref().is_none_or(|name| *name == rule.name);
    let first = rules.first()?;
    let mut chosen = rules.iter().filter(named).peekable();
    if chosen.peek().is_none() {
        let name = filter.rule.as_deref().unwrap_or_default();
        let sentence = format!(
            "there is no rule called '{name}': write the name of one, such as '{}'",
            first.name
        );
        return Some(Problem::process("capture", key, sentence));
    }
    let target = filter.target.as_ref()?;
    if chosen.any(|rule| rule.targets.iter().any(|other| other.endpoint == *target)) {
        return None;
    }
    let sentence =
        format!("no chosen rule has the target '{target}': write one as the rule has it");
    Some(Problem::process("capture", key, sentence))
}

fn taken(index: usize, rule: &Rule, other: &Rule) -> Problem {
    let own = match other.listen == rule.listen {
        true => String::new(),
        false => format!(", which listens on {}", other.listen),
    };
    let sentence = format!(
        "{} is taken by rule '{}'{own}: choose another address or port",
        rule.listen, other.name
    );
    Problem::rule(index, "listen", sentence)
}

fn same_name_twice(index: usize, rule: &Rule) -> Problem {
    let sentence =
        format!("an earlier rule is called '{}' as well: give this one another name", rule.name);
    Problem::rule(index, "name", sentence)
}
