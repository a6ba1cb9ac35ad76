//! What one rule may not say.

use std::time::Duration;

use super::model::{Balance, Endpoint, Listen, Rule};
use super::problem::Problem;

/// What the system keeps of TCP's keepalive: whole seconds in 15 bits.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(32_767));

/// The longest TCP_USER_TIMEOUT that Linux takes: its milliseconds are an `int`.
const USER_TIMEOUT_MAX: Duration = Duration::from_millis(i32::MAX as u64);
const HAS_USER_TIMEOUT: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Characters of a rule's name, which stands in each line of the log.
const NAME_MAX: usize = 100;

pub(super) fn check(index: usize, rule: &Rule) -> Vec<Problem> {
    let mut found: Vec<Problem> = Vec::new();
    let mut wrong = |is_wrong: bool, key: &'static str, sentence: &str| {
        if is_wrong {
            found.push(Problem::rule(index, key, sentence));
        }
    };
    name(rule, &mut wrong);
    targets(rule, &mut wrong);
    times(rule, &mut wrong);
    limits(rule, &mut wrong);
    let is_unix = matches!(rule.listen, Listen::Unix(_));
    let no_path =
        "this is for rules that listen on a Unix path: remove it, or set listen = \"unix:/...\"";
    wrong(rule.unix_mode.is_some() && !is_unix, "unix_mode", no_path);
    wrong(rule.unix_owner.is_some() && !is_unix, "unix_owner", no_path);
    match rule.listen {
        Listen::Tcp(_) => {}
        Listen::Udp(_) => datagrams(rule, &mut wrong),
        Listen::Unix(_) => unix(rule, &mut wrong),
    }
    found.extend(twice(index, rule));
    found
}

type Wrong<'a> = &'a mut dyn FnMut(bool, &'static str, &str);

fn name(rule: &Rule, wrong: Wrong<'_>) {
    // A name that is the address may be as long as a path.
    let own = rule.name != rule.listen.to_string();
    let length = rule.name.chars().count();
    wrong(
        own && !(1..=NAME_MAX).contains(&length) || rule.name.contains(char::is_control),
        "name",
        "this is no name for a rule: write 1 to 100 characters, without control characters",
    );
}

fn targets(rule: &Rule, wrong: Wrong<'_>) {
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
}

fn times(rule: &Rule, wrong: Wrong<'_>) {
    let at_once = "0 would end everything at once: write a longer time";
    let or_none = "0 would end everything at once: write a longer time, or none for no limit";
    let is_zero = |time: Option<Duration>| time.is_some_and(|time| time.is_zero());
    let timeouts = &rule.timeouts;
    wrong(timeouts.connect.is_zero(), "connect_timeout", at_once);
    wrong(is_zero(timeouts.idle), "idle_timeout", or_none);
    wrong(is_zero(timeouts.lifetime), "lifetime", or_none);
    wrong(is_zero(timeouts.send), "send_timeout", or_none);
    wrong(is_zero(timeouts.tcp_user), "user_timeout", or_none);
    wrong(
        timeouts.tcp_user.is_some_and(|time| time > USER_TIMEOUT_MAX),
        "user_timeout",
        "TCP counts this time up to 24d 20h: write a shorter time, or none for the system's limit",
    );
    wrong(
        timeouts.tcp_user.is_some() && !HAS_USER_TIMEOUT,
        "user_timeout",
        "this system has no TCP_USER_TIMEOUT: omit user_timeout, or write none",
    );
    wrong(timeouts.udp_session.is_zero(), "udp_session", at_once);
    wrong(
        rule.keepalive.is_some_and(|time| time < KEEPALIVE.0 || time > KEEPALIVE.1),
        "keepalive",
        "TCP asks after 1s at the earliest and 32767s (9h 6m) at the latest: write a time between, or none",
    );
    wrong(
        rule.resolve_every < Duration::from_secs(1),
        "resolve_every",
        "names are looked up once a second at most: write at least 1s",
    );
    let Some(check) = &rule.check else { return };
    wrong(
        check.every < Duration::from_millis(100),
        "check_every",
        "a target is asked ten times a second at most: write at least 100ms",
    );
    wrong(check.timeout.is_zero(), "check_timeout", at_once);
    wrong(
        check.timeout > check.every,
        "check_timeout",
        "a check has to end before the next begins: write no more than `check_every`",
    );
}

fn limits(rule: &Rule, wrong: Wrong<'_>) {
    let nobody = "0 would let nobody in: write a number from 1 on";
    let or_none = "0 would let nothing through: write a number from 1 on, or none for no limit";
    let limits = &rule.limits;
    wrong(limits.max_connections == 0, "max_connections", nobody);
    wrong(rule.backlog == 0, "backlog", nobody);
    wrong(limits.max_connections_per_client == Some(0), "max_connections_per_client", or_none);
    wrong(
        !(1..=128).contains(&limits.ipv6_client_prefix),
        "ipv6_client_prefix",
        "an IPv6 address has 128 bits: write a number from 1 to 128",
    );
    wrong(limits.connections_per_second == Some(0), "connections_per_second", or_none);
    wrong(limits.bytes_per_second == Some(0), "rate", or_none);
    wrong(limits.bytes_per_second_per_connection == Some(0), "rate_per_connection", or_none);
}

fn datagrams(rule: &Rule, wrong: Wrong<'_>) {
    wrong(
        rule.targets.iter().any(|target| matches!(target.endpoint, Endpoint::Unix(_))),
        "targets",
        "datagrams cannot be forwarded to a Unix socket: write a host and a port",
    );
    let key = if rule.check.as_ref().is_some_and(|check| check.expect.is_some()) {
        "check_expect"
    } else {
        "check_every"
    };
    wrong(
        rule.check.is_some(),
        key,
        "a UDP target accepts no connection that could be checked: leave checks away for UDP rules",
    );
    wrong(
        rule.proxy_protocol.send.is_some(),
        "proxy_send",
        "the PROXY protocol is for connections: leave it away for UDP rules",
    );
    wrong(
        !rule.proxy_protocol.accept_from.is_empty(),
        "proxy_accept_from",
        "the PROXY protocol is for connections: leave it away for UDP rules",
    );
}

fn unix(rule: &Rule, wrong: Wrong<'_>) {
    let no_address = "clients of a Unix socket have no address to go by: leave this away for rules that \
                      listen on one";
    wrong(!rule.access.allow.is_empty(), "allow", no_address);
    wrong(!rule.access.deny.is_empty(), "deny", no_address);
    wrong(!rule.proxy_protocol.accept_from.is_empty(), "proxy_accept_from", no_address);
    wrong(
        rule.limits.max_connections_per_client.is_some(),
        "max_connections_per_client",
        no_address,
    );
    wrong(rule.balance == Balance::ClientHash, "balance", no_address);
}

fn twice(index: usize, rule: &Rule) -> Option<Problem> {
    let targets = &rule.targets;
    let item = (1..targets.len()).find(|item| {
        targets[..*item].iter().any(|other| other.endpoint == targets[*item].endpoint)
    })?;
    let sentence = format!(
        "'{}' is a target of this rule already: give it a weight instead, as in {0}*2",
        targets[item].endpoint
    );
    Some(Problem::item(index, "targets", item, sentence))
}
