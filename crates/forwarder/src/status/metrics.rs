//! The numbers for Prometheus, in its text format.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::report::{ForReason, Report, RuleReport, TargetReport};
use crate::shared::ActiveRule;

pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Returns the numbers of a report, in which connections are not listed.
pub(super) fn encode(report: &Report, rules: &[ActiveRule], wrong_tokens: u64) -> String {
    let times = |(rule, state): &ActiveRule| Times {
        rule: rule.name.clone(),
        connect: state.counts().connect_time().clone(),
        duration: state.counts().duration().clone(),
    };
    let times = rules.iter().map(times).collect();
    let mut registry = Registry::with_prefix("forwarder");
    let exposition = Exposition { report: report.clone(), times, wrong_tokens };
    registry.register_collector(Box::new(exposition));
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = prometheus_text::encode(&mut text, &registry);
    text
}

#[derive(Debug)]
struct Exposition {
    report: Report,
    times: Vec<Times>,
    wrong_tokens: u64,
}

/// The histograms of a rule.
#[derive(Debug)]
struct Times {
    rule: String,
    connect: Histogram,
    duration: Histogram,
}

impl Collector for Exposition {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Families(encoder);
        self.process(&mut out)?;
        self.workers(&mut out)?;
        self.rules(&mut out)?;
        self.targets(&mut out)
    }
}

impl Exposition {
    fn process(&self, out: &mut Families<'_>) -> fmt::Result {
        let report = &self.report;
        let version = [("version", report.version.clone())];
        out.gauges("build_info", "Version of the program, as a label", [(version, 1)])?;
        out.gauges("uptime_seconds", "Time since the start", [(NO_LABELS, report.uptime)])?;
        let draining = i64::from(report.draining);
        out.gauges("draining", "Whether no new connections are accepted", [(NO_LABELS, draining)])?;
        let open = whole(report.open);
        out.gauges("open_connections", "Open connections of all rules", [(NO_LABELS, open)])?;
        let limit = whole(report.max_connections);
        let help = "Limit on open connections of all rules";
        out.gauges("max_connections", help, [(NO_LABELS, limit)])?;
        let help = "Wrong tokens that the status page was shown";
        out.counters("status_wrong_tokens", help, [(NO_LABELS, self.wrong_tokens)])?;
        let help = "Lines of the log that were dropped because nothing read them in time";
        out.counters("log_lines_dropped", help, [(NO_LABELS, report.log_lines_dropped)])
    }

    fn workers(&self, out: &mut Families<'_>) -> fmt::Result {
        let workers = || {
            let label = |index: usize| [("worker", index.to_string())];
            self.report.workers.iter().enumerate().map(move |(index, it)| (label(index), it))
        };
        let answers = workers().map(|(label, it)| (label, i64::from(it.answers)));
        out.gauges("worker_up", "Whether the worker answered within a second", answers)?;
        // What is not known is left out, since a zero would look like a number.
        let known = || workers().filter(|(_, it)| it.answers);
        let open = known().map(|(label, it)| (label, whole(it.open)));
        out.gauges("worker_open_connections", "Open connections of the worker", open)?;
        let passes = known().map(|(label, it)| (label, it.passes));
        out.counters("worker_loop_passes", "Passes of the worker's loop", passes)?;
        let events = known().map(|(label, it)| (label, it.events));
        out.counters("worker_loop_events", "Ready sockets that the worker's loop handled", events)?;
        let errors = known().map(|(label, it)| (label, it.errors));
        out.counters("worker_loop_errors", "Unexpected errors of the worker's channels", errors)
    }

    fn rules(&self, out: &mut Families<'_>) -> fmt::Result {
        let rules = |of: fn(&RuleReport) -> i64| {
            self.report.rules.iter().map(move |rule| (labels(rule, []), of(rule)))
        };
        let open = rules(|rule| whole(rule.open));
        out.gauges("rule_open_connections", "Open connections of the rule", open)?;
        let limit = rules(|rule| whole(rule.max_connections));
        out.gauges("rule_max_connections", "Limit on open connections of the rule", limit)?;
        let clients = rules(|rule| whole(rule.clients));
        out.gauges("rule_clients", "Client addresses with open connections", clients)?;
        let accepted = self.report.rules.iter().map(|rule| (labels(rule, []), rule.accepted));
        out.counters("accepted_connections", "Connections that were accepted", accepted)?;
        let refused = self.by_reason(|rule| &rule.refused);
        out.counters("refused_connections", "Clients that were refused, by reason", refused)?;
        let waits = self.by_reason(|rule| &rule.waits);
        out.counters(
            "backlog_waits",
            "Times that a limit left clients waiting in the backlog, by reason",
            waits,
        )?;
        let closed = self.by_reason(|rule| &rule.ended);
        out.counters("closed_connections", "Connections that were closed, by reason", closed)?;
        let dropped = self.by_reason(|rule| &rule.dropped);
        let help = "Datagrams that were not passed on, by reason";
        out.counters("dropped_datagrams", help, dropped)?;
        let times = |of: fn(&Times) -> &Histogram| {
            self.times.iter().map(move |it| ([("rule", it.rule.clone())], of(it).clone()))
        };
        let help = "Time until a target was connected";
        let connect = times(|it| &it.connect);
        out.family("connect_duration_seconds", help, MetricType::Histogram, connect)?;
        let help = "Time for which closed connections were open";
        let duration = times(|it| &it.duration);
        out.family("connection_duration_seconds", help, MetricType::Histogram, duration)
    }

    fn by_reason(
        &self,
        of: fn(&RuleReport) -> &[ForReason],
    ) -> impl Iterator<Item = (Vec<Label>, u64)> {
        self.report.rules.iter().flat_map(move |rule| {
            let label = |reason: &str| labels(rule, [("reason", reason.to_owned())]);
            of(rule).iter().map(move |it| (label(&it.reason), it.count))
        })
    }

    fn targets(&self, out: &mut Families<'_>) -> fmt::Result {
        let gauges = |of: fn(&TargetReport) -> i64| {
            targets(&self.report)
                .map(move |(rule, target)| (target_labels(rule, target, []), of(target)))
        };
        let counters = |of: fn(&TargetReport) -> u64| {
            targets(&self.report)
                .map(move |(rule, target)| (target_labels(rule, target, []), of(target)))
        };
        let up = gauges(|target| i64::from(target.health.is_available()));
        out.gauges("target_up", "Whether the target is neither down nor backing off", up)?;
        let drained = gauges(|target| i64::from(target.drained || target.weight == 0));
        out.gauges("target_drained", "Whether the target gets no new connections", drained)?;
        let weight = gauges(|target| i64::from(target.weight));
        out.gauges("target_weight", "Share of the target among those of its rule", weight)?;
        let active = gauges(|target| whole(target.active));
        out.gauges("target_open_connections", "Open connections to the target", active)?;
        let total = counters(|target| target.total);
        out.counters(
            "target_connections",
            "Connections to the target, failed ones included",
            total,
        )?;
        let failures = counters(|target| target.failures);
        out.counters("target_connect_failures", "Connections to the target that failed", failures)?;
        let bytes = targets(&self.report).flat_map(|(rule, target)| {
            let label = |way: &str| target_labels(rule, target, [("direction", way.to_owned())]);
            [(label("up"), target.bytes_up), (label("down"), target.bytes_down)]
        });
        out.counters("target_bytes", "Bytes to the target (up) and from it (down)", bytes)
    }
}

fn targets(report: &Report) -> impl Iterator<Item = (&RuleReport, &TargetReport)> {
    report.rules.iter().flat_map(|rule| rule.targets.iter().map(move |target| (rule, target)))
}

type Label = (&'static str, String);

const NO_LABELS: [Label; 0] = [];

fn labels<const N: usize>(rule: &RuleReport, more: [Label; N]) -> Vec<Label> {
    [("rule", rule.name.clone())].into_iter().chain(more).collect()
}

fn target_labels<const N: usize>(
    rule: &RuleReport,
    target: &TargetReport,
    more: [Label; N],
) -> Vec<Label> {
    let target = ("target", target.endpoint.clone());
    [("rule", rule.name.clone()), target].into_iter().chain(more).collect()
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Writes families of metrics, one after the other.
struct Families<'e>(DescriptorEncoder<'e>);

impl Families<'_> {
    fn gauges<L: AsRef<[Label]>, N>(
        &mut self,
        name: &str,
        help: &str,
        all: impl IntoIterator<Item = (L, N)>,
    ) -> fmt::Result
    where
        ConstGauge<N>: EncodeMetric,
    {
        let all = all.into_iter().map(|(labels, value)| (labels, ConstGauge::new(value)));
        self.family(name, help, MetricType::Gauge, all)
    }

    /// The encoder adds `_total` to the names.
    fn counters<L: AsRef<[Label]>>(
        &mut self,
        name: &str,
        help: &str,
        all: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let all = all.into_iter().map(|(labels, value)| (labels, ConstCounter::new(value)));
        self.family(name, help, MetricType::Counter, all)
    }

    fn family<L: AsRef<[Label]>>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        all: impl Iterator<Item = (L, impl EncodeMetric)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, metric) in all {
            metric.encode(family.encode_family(&labels.as_ref())?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
