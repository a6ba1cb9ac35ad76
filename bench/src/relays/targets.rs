//! What the forwarder is meant to reach, judged by what was measured.

use clap::ValueEnum;

use crate::relays::peer::Peer;
use crate::relays::results::{Metric, Results};
use crate::relays::scenario::Scenario;
use crate::verdict::Target;

/// The most CPU time for a gigabyte, in systemd-socket-proxyd's and in HAProxy's.
const OF_SOCKET_PROXYD: f64 = 1.1;
const OF_HAPROXY: f64 = 0.65;
/// The share by which a figure may be worse than the base's.
const OF_BASE: f64 = 0.02;
/// The most memory of an idle connection, 1.2 KiB.
const IDLE_BYTES: f64 = 1.2 * 1024.0;
/// The least rate among idle connections, in that without them: what differs less is noise.
const RATE_AMONG_IDLE: f64 = 0.95;
/// The most that a reader that stalls may cost, 1 MiB.
const STALL_BYTES: f64 = 1024.0 * 1024.0;

/// The streams, with the relay on a CPU of its own.
pub(crate) const OWN: [Scenario; 3] = [Scenario::Up, Scenario::OneBoth, Scenario::Both];
/// The same with everything on one CPU.
pub(crate) const SHARED: [Scenario; 2] = [Scenario::UpShared, Scenario::BothShared];

/// Judges every target.
pub(crate) fn judge(results: &Results) -> Vec<Target> {
    let mut targets = Vec::new();
    for scenario in [Scenario::Up, Scenario::Both] {
        let cpu = Metric::CpuPerGigabyte(scenario);
        for (rival, limit) in [(Peer::SocketProxyd, OF_SOCKET_PROXYD), (Peer::Haproxy, OF_HAPROXY)]
        {
            let name = format!("CPU per GB, {}, in {}'s", scenario.title(), rival.label());
            targets.push(against(results, cpu, rival, name, limit));
        }
    }
    for scenario in OWN.into_iter().chain(SHARED) {
        let name = format!("GB/s, {}", scenario.title());
        targets.push(against_best(results, Metric::GigabytesPerSecond(scenario), &name));
    }
    for (metric, name) in [
        (Metric::CpuPerConnection, "CPU per connection, in rinetd's"),
        (Metric::CpuPerRoundTrip, "CPU per round trip, in rinetd's"),
    ] {
        targets.push(against(results, metric, Peer::Rinetd, name.to_owned(), 1.0));
    }
    for (metric, name) in [
        (Metric::ConnectionsPerSecond, "connections/s"),
        (Metric::RoundTripsPerSecond, "round trips/s"),
        (Metric::NinetyNinthPercentile, "99th percentile of a round trip"),
    ] {
        targets.push(against_best(results, metric, name));
    }
    let own = |metric| results.summary(metric, Peer::Forwarder).map(|it| it.median);
    let bytes = |bytes: f64| format!("{bytes:.0}");
    let name = "resident bytes per idle connection";
    targets.push(Target::at_most(name, own(Metric::BytesPerIdle), IDLE_BYTES, bytes));
    let name = "round trips/s of 10 busy connections among the idle ones, in those without";
    let rate = own(Metric::RateAmongIdle);
    targets.push(Target::at_least(name, rate, RATE_AMONG_IDLE, |it| format!("{it:.3}")));
    let name = "bytes that a reader that stalls costs";
    targets.push(Target::at_most(name, own(Metric::StallGrowth), STALL_BYTES, bytes));
    targets.extend(against_base(results));
    targets
}

/// Every figure against that of the base, if it was measured.
fn against_base(results: &Results) -> Vec<Target> {
    let mut rows = Vec::new();
    for scenario in OWN.into_iter().chain(SHARED) {
        rows.push((Metric::CpuPerGigabyte(scenario), format!("CPU per GB, {}", scenario.title())));
        rows.push((Metric::GigabytesPerSecond(scenario), format!("GB/s, {}", scenario.title())));
    }
    for (metric, name) in [
        (Metric::CpuPerConnection, "CPU per connection"),
        (Metric::ConnectionsPerSecond, "connections/s"),
        (Metric::CpuPerRoundTrip, "CPU per round trip"),
        (Metric::RoundTripsPerSecond, "round trips/s"),
        (Metric::NinetyNinthPercentile, "99th percentile of a round trip"),
        (Metric::BytesPerIdle, "resident bytes per idle connection"),
    ] {
        rows.push((metric, name.to_owned()));
    }
    let rows = rows.into_iter();
    let rows = rows.filter(|(metric, _)| results.summary(*metric, Peer::Base).is_some());
    rows.map(|(metric, name)| {
        let limit = if metric.wants_more() { 1.0 - OF_BASE } else { 1.0 + OF_BASE };
        against(results, metric, Peer::Base, format!("{name}, in the base's"), limit)
    })
    .collect()
}

fn against(results: &Results, metric: Metric, rival: Peer, name: String, limit: f64) -> Target {
    let ratio = results.ratio(metric, Peer::Forwarder, rival);
    let spread = ratio.map_or(String::new(), |it| format!(" ({:.3}–{:.3})", it.min, it.max));
    let median = ratio.map(|it| it.median);
    let format = |median| format!("{median:.3}{spread}");
    match metric.wants_more() {
        true => Target::at_least(name, median, limit, format),
        false => Target::at_most(name, median, limit, format),
    }
}

/// The best peer's is whoever has the best median.
fn against_best(results: &Results, metric: Metric, name: &str) -> Target {
    let rivals = Peer::value_variants().iter().copied().filter(|peer| peer.is_rival());
    let best = results.best(metric, rivals);
    let name = format!("{name}, in the best peer's");
    let ratio = best.and_then(|best| results.ratio(metric, Peer::Forwarder, best));
    let median = ratio.map(|it| it.median);
    let format = |median| {
        let spread = ratio.map_or(String::new(), |it| format!(" ({:.3}–{:.3})", it.min, it.max));
        format!("{median:.3}{spread}, {}'s", best.map_or("", Peer::label))
    };
    match metric.wants_more() {
        true => Target::at_least(name, median, 1.0, format),
        false => Target::at_most(name, median, 1.0, format),
    }
}

#[cfg(test)]
mod tests {
    use super::{OWN, SHARED, judge};
    use crate::relays::peer::Peer;
    use crate::relays::results::{Metric, Results};
    use crate::verdict::Verdict;

    /// Two rounds in which every rival costs 10 of everything, and the forwarder `cost` and `rate`.
    fn results(cost: f64, rate: f64) -> Results {
        let mut results = Results::default();
        let all = |cost: f64, rate: f64| {
            let mut found = vec![
                (Metric::CpuPerConnection, cost),
                (Metric::ConnectionsPerSecond, rate),
                (Metric::CpuPerRoundTrip, cost),
                (Metric::RoundTripsPerSecond, rate),
                (Metric::NinetyNinthPercentile, cost),
                (Metric::BytesPerIdle, 200.0 * cost),
                (Metric::RateAmongIdle, rate / 10.0),
                (Metric::StallGrowth, 200_000.0 * cost),
            ];
            for scenario in OWN.into_iter().chain(SHARED) {
                found.push((Metric::CpuPerGigabyte(scenario), cost));
                found.push((Metric::GigabytesPerSecond(scenario), rate));
            }
            found
        };
        for _ in 0..2 {
            for rival in [Peer::Haproxy, Peer::Rinetd, Peer::SocketProxyd] {
                results.extend(rival, all(10.0, 10.0));
            }
            // Neither of these is anybody's rival.
            results.extend(Peer::RawEpoll, all(0.1, 100.0));
            results.extend(Peer::Direct, all(0.0, 1000.0));
            results.extend(Peer::Forwarder, all(cost, rate));
        }
        results
    }

    fn verdicts(results: &Results) -> Vec<Verdict> {
        judge(results).iter().map(|target| target.verdict).collect()
    }

    #[test]
    fn what_is_within_every_limit_passes_everywhere() {
        assert_eq!(verdicts(&results(5.0, 10.0)), [Verdict::Pass; 17]);
    }

    #[test]
    fn what_is_slower_and_dearer_fails_everywhere() {
        assert_eq!(verdicts(&results(12.0, 9.0)), [Verdict::Fail; 17]);
    }

    #[test]
    fn haproxy_is_to_be_beaten_by_more_than_socket_proxyd() {
        let cheap = verdicts(&results(10.0, 10.0));
        assert_eq!(cheap[..4], [Verdict::Pass, Verdict::Fail, Verdict::Pass, Verdict::Fail]);
    }

    #[test]
    fn a_base_is_judged_against_in_every_row_it_was_measured_in() {
        let mut results = results(5.0, 10.0);
        let before = [(Metric::CpuPerConnection, 4.8), (Metric::RoundTripsPerSecond, 10.1)];
        for _ in 0..2 {
            results.extend(Peer::Base, before.to_vec());
        }
        assert_eq!(verdicts(&results)[17..], [Verdict::Fail, Verdict::Pass]);
    }

    #[test]
    fn what_was_not_measured_is_not_judged() {
        assert_eq!(verdicts(&Results::default()), [Verdict::NotMeasured; 17]);
    }
}
