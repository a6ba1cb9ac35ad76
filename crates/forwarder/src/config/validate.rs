//! Mistakes in a configuration whose values are valid one by one.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::address::{Endpoint, Listen, MAX_UNIX_PATH};
use super::capture::CaptureFilter;
use super::diagnostic::Diagnostic;
use super::listeners::{self, Listeners};
use super::loops;
use super::process::Config;
use super::rule::{Balance, Rule};

/// Maximum number of characters of a rule's name, which is in each line of the log.
const MAX_NAME: usize = 100;

/// All that is wrong with a configuration; nothing, when it can be run.
///
/// The system is asked which addresses are its own; nothing is sent. No name is looked up: whether one
/// leads back to its rule is known at run time only, see [`arrives_at`](super::arrives_at).
pub fn check(config: &Config) -> Vec<Diagnostic> {
    check_with(config, &listeners::is_own)
}

/// As `check`, where `is_own` decides which addresses are this machine's.
pub(super) fn check_with(config: &Config, is_own: &dyn Fn(IpAddr) -> bool) -> Vec<Diagnostic> {
    let mut found = Found(Vec::new());
    let mut listeners = Listeners::default();
    let mut names = HashSet::new();
    for (index, rule) in config.rules.iter().enumerate() {
        found.rule(index, rule);
        if let Some(other) = listeners.overlapping(&rule.listen) {
            found.0.push(taken(index, rule, &config.rules[other]));
        } else if !names.insert(rule.name.as_str()) {
            let name = &rule.name;
            let message =
                format!("an earlier rule is called '{name}' as well: choose another name");
            found.0.push(Diagnostic::rule(index, "name", message));
        }
        listeners.insert(&rule.listen, index);
    }
    found.process(config, &listeners);
    found.0.extend(loops::check(&config.rules, &listeners, is_own));
    found.0
}

fn taken(index: usize, rule: &Rule, other: &Rule) -> Diagnostic {
    let address = match other.listen == rule.listen {
        true => String::new(),
        false => format!(", which listens on {}", other.listen),
    };
    let message = format!(
        "{} is taken by rule '{}'{address}: choose another address or port",
        rule.listen, other.name
    );
    Diagnostic::rule(index, "listen", message)
}

struct Found(Vec<Diagnostic>);

impl Found {
    fn process(&mut self, config: &Config, listeners: &Listeners<'_>) {
        let mut wrong = |is_wrong: bool, key, message: &str| {
            self.0.extend(is_wrong.then(|| Diagnostic::process(key, message)));
        };
        let message = "there is no rule: add a [[rule]] with listen and targets";
        wrong(config.rules.is_empty(), "rule", message);
        let length = config.handover.as_ref().map(|path| path.as_os_str().len());
        let message =
            format!("this is no path for a Unix socket: write one of 1 to {MAX_UNIX_PATH} bytes");
        wrong(length.is_some_and(|n| n == 0 || n > MAX_UNIX_PATH), "handover", &message);
        let capture = &config.capture;
        let has_filter = capture.pcapng_filter != CaptureFilter::default();
        let message = "there is no capture file that this could apply to: set pcapng";
        wrong(has_filter && capture.pcapng.is_none(), "capture.pcapng_filter", message);
        for (key, filter) in [
            ("capture.hexdump", capture.hexdump.as_ref()),
            ("capture.pcapng_filter", Some(&capture.pcapng_filter)),
        ] {
            let problem = filter.and_then(|filter| chooses_nothing(filter, &config.rules));
            self.0.extend(problem.map(|message| Diagnostic::process(key, message)));
        }
        self.status(config, listeners);
    }

    fn status(&mut self, config: &Config, listeners: &Listeners<'_>) {
        let Some(status) = &config.status else { return };
        let address = status.listen;
        let is_safe = address.ip().to_canonical().is_loopback();
        let message = match listeners.overlapping(&Listen::Tcp(address)) {
            Some(index) => format!(
                "{address} is taken by rule '{}': choose another address or port for the status page",
                config.rules[index].name
            ),
            None if is_safe || status.public || status.token.is_some() => return,
            None => format!(
                "{address} can be reached from other machines, and the page has no token: listen on \
                 127.0.0.1, set a token file, or make the page public"
            ),
        };
        self.0.push(Diagnostic::process("status.listen", message));
    }

    fn rule(&mut self, index: usize, rule: &Rule) {
        let mut wrong = |is_wrong: bool, key, message: &str| {
            self.0.extend(is_wrong.then(|| Diagnostic::rule(index, key, message)));
        };
        // A name that is the address may be as long as a path.
        let length = rule.name.chars().count();
        let is_long = length > MAX_NAME && rule.name != rule.listen.to_string();
        wrong(
            length == 0 || is_long || rule.name.contains(char::is_control),
            "name",
            "this is no name for a rule: write 1 to 100 characters, without control characters",
        );
        wrong(
            rule.targets.is_empty(),
            "targets",
            "there are no targets: write at least one, such as \"10.0.0.5:80\"",
        );
        wrong(
            !rule.targets.is_empty() && rule.targets.iter().all(|target| target.weight == 0),
            "targets",
            "every target has weight 0, so that none would get a connection: give one of them at least 1",
        );
        wrong(
            rule.check().is_some_and(|check| check.timeout > check.every),
            "check_timeout",
            "a check has to end before the next begins: write at most check_every",
        );
        wrong(
            rule.user_timeout.is_some() && !cfg!(any(target_os = "linux", target_os = "android")),
            "user_timeout",
            "this system has no TCP_USER_TIMEOUT: remove user_timeout, or write none",
        );
        if let Listen::Udp(_) = rule.listen {
            datagrams(rule, &mut wrong);
        }
        match rule.listen {
            Listen::Unix(_) => no_addresses(rule, &mut wrong),
            Listen::Tcp(_) | Listen::Udp(_) => {
                let message = "only a Unix socket has permissions and an owner: remove this for rules \
                               that listen on a port";
                wrong(rule.unix_mode.is_some(), "unix_mode", message);
                wrong(rule.unix_owner.is_some(), "unix_owner", message);
            }
        }
        let mut endpoints = HashMap::new();
        for (item, target) in rule.targets.iter().enumerate() {
            if endpoints.insert(&target.endpoint, item).is_some() {
                let message = format!(
                    "'{}' is a target of this rule already: give it a weight instead, as in {0}*2",
                    target.endpoint
                );
                self.0.push(Diagnostic::rule(index, "targets", message).item(item));
            }
        }
    }
}

type Wrong<'a> = &'a mut dyn FnMut(bool, &'static str, &str);

fn datagrams(rule: &Rule, wrong: Wrong<'_>) {
    let is_unix = |endpoint: &Endpoint| matches!(endpoint, Endpoint::Unix(_));
    wrong(
        rule.targets.iter().any(|target| is_unix(&target.endpoint)),
        "targets",
        "datagrams cannot be forwarded to a Unix socket: write a host and a port",
    );
    wrong(
        rule.check().is_some(),
        if rule.check_expect.is_some() { "check_expect" } else { "check_every" },
        "a UDP target accepts no connection that could be checked: omit checks for UDP rules",
    );
    let message = "the PROXY protocol is for connections: omit it for UDP rules";
    wrong(rule.proxy_send.is_some(), "proxy_send", message);
    wrong(!rule.proxy_accept_from.is_empty(), "proxy_accept_from", message);
}

fn no_addresses(rule: &Rule, wrong: Wrong<'_>) {
    let message =
        "clients of a Unix socket have no address: omit this for rules that listen on one";
    wrong(!rule.allow.is_empty(), "allow", message);
    wrong(!rule.deny.is_empty(), "deny", message);
    wrong(!rule.proxy_accept_from.is_empty(), "proxy_accept_from", message);
    wrong(rule.max_connections_per_client.is_some(), "max_connections_per_client", message);
    wrong(rule.balance == Balance::ClientHash, "balance", message);
}

fn chooses_nothing(filter: &CaptureFilter, rules: &[Rule]) -> Option<String> {
    let first = rules.first()?;
    let is_chosen = |rule: &&Rule| filter.rule.as_ref().is_none_or(|name| *name == rule.name);
    let mut chosen = rules.iter().filter(is_chosen).peekable();
    if chosen.peek().is_none() {
        let name = filter.rule.as_deref().unwrap_or_default();
        let example = &first.name;
        return Some(format!(
            "there is no rule called '{name}': write the name of one, such as '{example}'"
        ));
    }
    let target = filter.target.as_ref()?;
    let has_target = |rule: &Rule| rule.targets.iter().any(|other| other.endpoint == *target);
    (!chosen.any(has_target))
        .then(|| format!("no chosen rule has the target '{target}': write one as the rule has it"))
}
