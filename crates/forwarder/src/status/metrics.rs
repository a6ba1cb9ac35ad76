//! The same for Prometheus.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::report::{ForReason, HealthReport, Report, RuleReport, TargetReport};
use crate::http::Response;

/// What Prometheus asks for by preference.
const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The report in the text format of OpenMetrics, which Prometheus reads.
pub(super) fn exposition(report: Report) -> Response {
    let mut registry = Registry::with_prefix("forwarder");
    registry.register_collector(Box::new(Exposition(report)));
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => Response::new(TYPE, text.into_bytes()),
        Err(error) => Response::text(500, &format!("the metrics cannot be written: {error}")),
    }
}

#[derive(Debug)]
struct Exposition(Report);

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
        let report = &self.0;
        let version = [("version", report.version.clone())];
        out.gauges("build", "The version, as a label", [(version, 1)])?;
        out.gauges("uptime_seconds", "How long the process runs", [(NO_LABELS, report.uptime)])?;
        let draining = i64::from(report.draining);
        out.gauges("draining", "Whether it finishes what is open", [(NO_LABELS, draining)])?;
        let open = whole(report.open);
        out.gauges("open_connections", "Connections open in all rules", [(NO_LABELS, open)])?;
        let most = whole(report.max_connections);
        let help = "How many connections may be open in all rules";
        out.gauges("max_connections", help, [(NO_LABELS, most)])
    }

    fn workers(&self, out: &mut Families<'_>) -> fmt::Result {
        let workers = || {
            let label = |index: usize| [("worker", index.to_string())];
            self.0.workers.iter().enumerate().map(move |(index, it)| (label(index), it))
        };
        let answers = workers().map(|(label, it)| (label, i64::from(it.answers)));
        out.gauges("worker_answers", "Whether the worker answered within a second", answers)?;
        // Nothing is better than a zero where nothing is known.
        let known = || workers().filter(|(_, it)| it.answers);
        let open = known().map(|(label, it)| (label, whole(it.open)));
        out.gauges("worker_open_connections", "Connections open in the worker", open)?;
        let passes = known().map(|(label, it)| (label, it.passes));
        out.counters("worker_passes", "Passes of the worker's loop", passes)?;
        let events = known().map(|(label, it)| (label, it.events));
        out.counters("worker_events", "Ready sockets that the loop was told of", events)?;
        let errors = known().map(|(label, it)| (label, it.errors));
        out.counters("worker_errors", "Errors of channels of the loop", errors)
    }

    fn rules(&self, out: &mut Families<'_>) -> fmt::Result {
        let rules = |of: fn(&RuleReport) -> i64| {
            self.0.rules.iter().map(move |rule| (labels(rule, []), of(rule)))
        };
        let open = rules(|rule| whole(rule.open));
        out.gauges("rule_open_connections", "Connections open in the rule", open)?;
        let most = rules(|rule| whole(rule.max_connections));
        out.gauges("rule_max_connections", "How many may be open in the rule", most)?;
        let clients = rules(|rule| whole(rule.clients));
        out.gauges("rule_clients", "Client addresses that have connections", clients)?;
        let accepted = self.0.rules.iter().map(|rule| (labels(rule, []), rule.accepted));
        out.counters("accepted_connections", "Connections that were let in", accepted)?;
        let refused = self.by_reason(|rule| &rule.refused);
        out.counters("refused_connections", "Connections that were not let in", refused)?;
        let waits = self.by_reason(|rule| &rule.waits);
        out.counters("waits", "Times that clients had to wait in the backlog for a place", waits)?;
        let ended = self.by_reason(|rule| &rule.ended);
        out.counters("ended_connections", "Connections that ended", ended)
    }

    fn by_reason(
        &self,
        of: fn(&RuleReport) -> &[ForReason],
    ) -> impl Iterator<Item = (Vec<Label>, u64)> {
        self.0.rules.iter().flat_map(move |rule| {
            let label = |reason: &str| labels(rule, [("reason", reason.to_owned())]);
            of(rule).iter().map(move |it| (label(&it.reason), it.count))
        })
    }

    fn targets(&self, out: &mut Families<'_>) -> fmt::Result {
        let gauges = |of: fn(&TargetReport) -> i64| {
            targets(&self.0)
                .map(move |(rule, target)| (target_labels(rule, target, []), of(target)))
        };
        let counters = |of: fn(&TargetReport) -> u64| {
            targets(&self.0)
                .map(move |(rule, target)| (target_labels(rule, target, []), of(target)))
        };
        let up = gauges(|target| i64::from(target.health == HealthReport::Well));
        out.gauges("target_up", "Whether the target is neither down nor resting", up)?;
        let drained = gauges(|target| i64::from(target.drained || target.weight == 0));
        out.gauges("target_drained", "Whether the target gets nothing new", drained)?;
        let weight = gauges(|target| i64::from(target.weight));
        out.gauges("target_weight", "The target's share among those of its rule", weight)?;
        let active = gauges(|target| whole(target.active));
        out.gauges("target_open_connections", "Connections open at the target", active)?;
        let total = counters(|target| target.total);
        out.counters("target_connections", "Connections begun, failed ones too", total)?;
        let failures = counters(|target| target.failures);
        out.counters("target_failures", "Connections that could not be made", failures)?;
        let bytes = targets(&self.0).flat_map(|(rule, target)| {
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
    [("rule", escaped(&rule.name))].into_iter().chain(more).collect()
}

fn target_labels<const N: usize>(
    rule: &RuleReport,
    target: &TargetReport,
    more: [Label; N],
) -> Vec<Label> {
    let target = ("target", escaped(&target.endpoint));
    [("rule", escaped(&rule.name)), target].into_iter().chain(more).collect()
}

/// The crate writes what it is given, and a name can hold anything.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Families of metrics, one after the other.
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

    /// The format adds `_total` to the names of counters.
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
