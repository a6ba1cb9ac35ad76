//! From what is known to what is told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::hub::Hub;
use super::ledger::Ledger;
use super::listing::Listing;
use super::report::{
    ConnectionReport, ErrorReport, ForReason, HealthReport, Report, RuleReport, TargetReport,
    WorkerReport,
};
use super::snapshot::{Row, Snapshot};
use crate::config::{Balance, Endpoint, Rule};
use crate::policy::{EndReason, HealthState, Refusal, RuleCounts, RuleState, TargetState};

/// The report of this moment, from the answers of the workers; `None` is one that did not answer.
pub(super) fn report(
    hub: &Hub,
    now: Instant,
    answers: Vec<Option<Snapshot>>,
    listing: &Listing,
) -> Report {
    let shared = &hub.shared;
    let workers = answers.iter().map(|answer| worker(answer.as_ref())).collect();
    let there: usize = answers.iter().flatten().map(|answer| answer.open).sum();
    let mut rows: Vec<Row> = answers.into_iter().flatten().flat_map(|it| it.rows).collect();
    listing.apply(&mut rows);
    let rules = shared.rules().clone();
    Report {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime: seconds(now.saturating_duration_since(shared.started)),
        draining: shared.is_draining(),
        actions: false,
        workers,
        open: shared.process.open(),
        max_connections: shared.process.max_connections(),
        total: hub.ledger.total(),
        per_second: hub.ledger.rates(),
        history: hub.timeline.history(now),
        rules: rules.iter().map(|(it, state)| rule(&hub.ledger, now, it, state)).collect(),
        connections_left_out: there.saturating_sub(rows.len()),
        connections: rows.into_iter().map(connection).collect(),
    }
}

fn worker(answer: Option<&Snapshot>) -> WorkerReport {
    let stats = answer.map(|answer| answer.stats).unwrap_or_default();
    WorkerReport {
        answers: answer.is_some(),
        open: answer.map_or(0, |answer| answer.open),
        passes: stats.passes,
        events: stats.events,
        errors: stats.errors,
    }
}

fn rule(ledger: &Ledger, now: Instant, rule: &Rule, state: &RuleState) -> RuleReport {
    let counts = state.counts();
    let by_reason = |reasons: &[Refusal], count: fn(&RuleCounts, Refusal) -> u64| {
        let told =
            |it: &Refusal| ForReason { reason: it.label().to_owned(), count: count(counts, *it) };
        reasons.iter().map(told).collect()
    };
    let targets: Vec<_> = state.targets().iter().map(|it| target(ledger, now, it)).collect();
    let sum = |of: fn(&TargetReport) -> u64| targets.iter().map(of).sum();
    RuleReport {
        name: rule.name.clone(),
        listen: rule.listen.to_string(),
        balance: balance(rule.balance).to_owned(),
        open: counts.open(),
        max_connections: counts.max_connections(),
        clients: counts.clients().len(),
        accepted: counts.admitted(),
        refused: by_reason(&Refusal::ALL, RuleCounts::refused),
        waits: by_reason(&Refusal::WAITED_FOR, RuleCounts::waits),
        ended: EndReason::ALL.map(|reason| ended(counts, reason)).into(),
        bytes_up: sum(|target| target.bytes_up),
        bytes_down: sum(|target| target.bytes_down),
        bytes_up_per_second: sum(|target| target.bytes_up_per_second),
        bytes_down_per_second: sum(|target| target.bytes_down_per_second),
        targets,
    }
}

fn ended(counts: &RuleCounts, reason: EndReason) -> ForReason {
    ForReason { reason: reason.label().to_owned(), count: counts.ended(reason) }
}

fn target(ledger: &Ledger, now: Instant, target: &Arc<TargetState>) -> TargetReport {
    let (bytes, per_second) = ledger.of(target);
    let (health, rests) = match target.health().state(now) {
        HealthState::Unknown | HealthState::Up => (HealthReport::Well, None),
        HealthState::BackingOff { left } => (HealthReport::Resting, Some(seconds(left))),
        HealthState::Down => (HealthReport::Down, None),
    };
    TargetReport {
        endpoint: target.name().to_owned(),
        weight: target.weight(),
        health,
        rests,
        drained: target.is_drained(),
        active: target.active(),
        total: target.total(),
        failures: target.failures(),
        bytes_up: bytes.up,
        bytes_down: bytes.down,
        bytes_up_per_second: per_second.up,
        bytes_down_per_second: per_second.down,
        last_error: target.last_error(now).map(|error| ErrorReport {
            ago: seconds(now.saturating_duration_since(error.at)),
            text: beside(target.endpoint(), &error.text).to_owned(),
        }),
    }
}

/// An error as it is told beside the target's name, which it need not repeat.
fn beside<'e>(endpoint: &Endpoint, error: &'e str) -> &'e str {
    error.strip_prefix(&format!("cannot connect to {endpoint}: ")).unwrap_or(error)
}

fn connection(row: Row) -> ConnectionReport {
    ConnectionReport {
        id: row.id().to_string(),
        rule: row.rule.name.clone(),
        client: row.client.map(|client| client.to_string()),
        target: row.endpoint().map(ToString::to_string),
        state: row.state,
        age: seconds(row.age),
        idle: seconds(row.idle),
        bytes_up: row.bytes.up,
        bytes_down: row.bytes.down,
        per_second: row.per_second,
        queued: row.queued,
    }
}

fn balance(balance: Balance) -> &'static str {
    match balance {
        Balance::RoundRobin => "round-robin",
        Balance::LeastConnections => "least-connections",
        Balance::ClientHash => "client-hash",
        Balance::First => "first",
    }
}

/// To the millisecond, which is as much as anybody wants to read.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}
