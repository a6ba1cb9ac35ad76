//! Reports, built from what the hub has gathered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use asyncore_http::Response;

use super::listing::Listing;
use super::metrics;
use super::report::{
    ConnectionReport, ErrorReport, ForReason, HealthReport, Report, RuleReport, TargetReport,
    WorkerReport,
};
use super::snapshot::{Row, Snapshot};
use super::totals::Totals;
use crate::config::{Balance, Endpoint, Rule};
use crate::logging;
use crate::policy::{
    DatagramDrop, EndReason, HealthState, Refusal, RuleCounts, RuleState, TargetState,
};
use crate::shared::{ActiveRule, Shared};

/// What a request asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Query {
    /// The report as JSON, with some of the connections; `actions` are possible with the token.
    Json { listing: Listing, actions: bool },
    /// The numbers for Prometheus, with the wrong tokens so far.
    Metrics { wrong_tokens: u64 },
}

impl Query {
    pub(super) fn lists_connections(&self) -> bool {
        matches!(self, Query::Json { listing, .. } if listing.limit > 0)
    }
}

/// Builds the answers to the readers of one gathering. Equal queries get the same answer.
pub(super) struct ReportBuilder {
    /// Everything but the connections.
    report: Report,
    rules: Vec<ActiveRule>,
    rows: Vec<Row>,
    open: usize,
    answers: Vec<(Query, &'static str, Vec<u8>)>,
}

impl ReportBuilder {
    /// Prepares the report of this moment. A snapshot is `None` if its worker did not answer.
    pub(super) fn new(
        shared: &Shared,
        totals: &Totals,
        rules: Vec<ActiveRule>,
        snapshots: Vec<Option<Snapshot>>,
        now: Instant,
    ) -> Self {
        let report = Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime: seconds(now.saturating_duration_since(shared.started)),
            draining: shared.is_draining(),
            actions: false,
            workers: snapshots.iter().map(|snapshot| worker(snapshot.as_ref())).collect(),
            open: shared.process.open(),
            max_connections: shared.process.max_connections(),
            total: totals.total(),
            per_second: totals.rates(),
            log_lines_dropped: logging::lines_dropped(),
            history: totals.history(now),
            rules: rules.iter().map(|(rule, state)| self::rule(totals, now, rule, state)).collect(),
            connections: Vec::new(),
            connections_left_out: 0,
        };
        let open = snapshots.iter().flatten().map(|snapshot| snapshot.open).sum();
        let rows = snapshots.into_iter().flatten().flat_map(|snapshot| snapshot.rows).collect();
        ReportBuilder { report, rules, rows, open, answers: Vec::new() }
    }

    pub(super) fn answer(&mut self, query: &Query) -> Response {
        if let Some((_, kind, body)) = self.answers.iter().find(|(known, ..)| known == query) {
            return Response::new(kind, body.clone());
        }
        let (kind, body) = match query {
            Query::Metrics { wrong_tokens } => {
                let text = metrics::encode(&self.report, &self.rules, *wrong_tokens);
                (metrics::CONTENT_TYPE, text.into_bytes())
            }
            Query::Json { listing, actions } => {
                let listed = listing.select(&self.rows);
                self.report.connections_left_out = self.open.saturating_sub(listed.len());
                self.report.connections = listed.into_iter().map(connection).collect();
                self.report.actions = *actions;
                // All keys are strings, so this cannot fail.
                ("application/json", serde_json::to_vec(&self.report).unwrap_or_default())
            }
        };
        self.answers.push((query.clone(), kind, body.clone()));
        Response::new(kind, body)
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

fn rule(totals: &Totals, now: Instant, rule: &Rule, state: &RuleState) -> RuleReport {
    let counts = state.counts();
    let by_reason = |reasons: &[Refusal], count: fn(&RuleCounts, Refusal) -> u64| {
        reasons.iter().map(|it| for_reason(it.label(), count(counts, *it))).collect()
    };
    let targets: Vec<_> = state.targets().iter().map(|it| target(totals, now, it)).collect();
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
        ended: EndReason::ALL.map(|it| for_reason(it.label(), counts.ended(it))).into(),
        dropped: DatagramDrop::ALL.map(|it| for_reason(it.label(), counts.dropped(it))).into(),
        bytes_up: sum(|target| target.bytes_up),
        bytes_down: sum(|target| target.bytes_down),
        bytes_up_per_second: sum(|target| target.bytes_up_per_second),
        bytes_down_per_second: sum(|target| target.bytes_down_per_second),
        targets,
    }
}

fn for_reason(reason: &str, count: u64) -> ForReason {
    ForReason { reason: reason.to_owned(), count }
}

fn target(totals: &Totals, now: Instant, target: &Arc<TargetState>) -> TargetReport {
    let (bytes, per_second) = totals.of(target);
    let (health, retry_in) = match target.health().state(now) {
        _ if !target.takes_new() => (HealthReport::Draining, None),
        HealthState::Unknown => (HealthReport::Unknown, None),
        HealthState::Up => (HealthReport::Up, None),
        HealthState::BackingOff { left } => (HealthReport::BackingOff, Some(seconds(left))),
        HealthState::Down => (HealthReport::Down, None),
    };
    TargetReport {
        endpoint: target.name().to_owned(),
        weight: target.weight(),
        health,
        retry_in,
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
            text: without_endpoint(target.endpoint(), &error.text).to_owned(),
        }),
    }
}

/// Removes the target's name from an error that is shown beside it.
fn without_endpoint<'e>(endpoint: &Endpoint, error: &'e str) -> &'e str {
    error.strip_prefix(&format!("cannot connect to {endpoint}: ")).unwrap_or(error)
}

fn connection(row: &Row) -> ConnectionReport {
    ConnectionReport {
        id: row.id().to_string(),
        rule: row.rule.name.clone(),
        client: row.client.map(|client| client.to_string()),
        target: row.endpoint().map(ToString::to_string),
        state: row.state,
        age: seconds(row.age),
        connect_time: row.connect_time.map(seconds),
        idle: seconds(row.idle),
        bytes_up: row.bytes.up,
        bytes_down: row.bytes.down,
        per_second: row.per_second,
        queued: row.queued(),
        queued_up: row.queued_up,
        queued_down: row.queued_down,
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

/// Rounds to milliseconds.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}
