//! The library's performance targets, judged by the measurements.

use crate::echo::peers::Peer;
use crate::echo::results::{Cost, Results};
use crate::echo::scenario::Scenario;
use crate::program::Label;
use crate::verdict::{Target, Verdict};

/// Maximum CPU time per message, relative to raw epoll.
const CPU_LIMIT: f64 = 1.05;
/// Maximum user-space memory per idle connection, in bytes.
const IDLE_BYTES_LIMIT: f64 = 600.0;
/// Maximum CPU time per message with idle connections, relative to that without.
const GROWTH_LIMIT: f64 = 1.10;
/// Servers that the library must beat in CPU time under every load. Memory has a separate limit.
const RIVALS: [Peer; 5] =
    [Peer::Calloop, Peer::Tokio, Peer::LibeventEvent, Peer::LibeventBufferevent, Peer::Libuv];
const LOADS: [Scenario; 4] = [Scenario::One, Scenario::Fifty, Scenario::Idle, Scenario::Accept];

/// Judges every target.
pub(crate) fn judge(results: &Results<Peer>, title: impl Fn(Scenario) -> String) -> Vec<Target> {
    let mut targets = Vec::new();
    for scenario in [Scenario::Fifty, Scenario::Idle] {
        let ratio = results.ratio(Cost::Cpu(scenario), Peer::Asyncore, Peer::RawEpoll);
        targets.push(Target::at_most(
            format!("CPU per message at {}, in raw epoll's", title(scenario)),
            ratio.map(|ratio| ratio.median),
            CPU_LIMIT,
            |ratio| format!("{ratio:.3}"),
        ));
    }
    for rival in RIVALS {
        targets.push(better_under_every_load(results, rival, &title));
    }
    let bytes = results.cost(Cost::IdleBytes, Peer::Asyncore);
    targets.push(Target::at_most(
        "user-space bytes per idle connection".to_owned(),
        bytes.map(|bytes| bytes.median),
        IDLE_BYTES_LIMIT,
        |bytes| format!("{bytes:.0}"),
    ));
    let (idle, fifty) = (Cost::Cpu(Scenario::Idle), Cost::Cpu(Scenario::Fifty));
    let growth = |peer| results.growth(idle, fifty, peer).map(|growth| growth.median);
    let raw = growth(Peer::RawEpoll).map_or(String::new(), |raw| format!(" (raw epoll: {raw:.3})"));
    targets.push(Target::at_most(
        format!(
            "CPU per message at {}, in that at {}",
            title(Scenario::Idle),
            title(Scenario::Fifty)
        ),
        growth(Peer::Asyncore),
        GROWTH_LIMIT,
        |growth| format!("{growth:.3}{raw}"),
    ));
    targets
}

fn better_under_every_load(
    results: &Results<Peer>,
    rival: Peer,
    title: impl Fn(Scenario) -> String,
) -> Target {
    let mut complete = true;
    let mut worst: Option<(f64, Scenario)> = None;
    for scenario in LOADS {
        match results.ratio(Cost::Cpu(scenario), Peer::Asyncore, rival) {
            None => complete = false,
            Some(ratio) if worst.is_none_or(|(worst, _)| ratio.median > worst) => {
                worst = Some((ratio.median, scenario));
            }
            Some(_) => {}
        }
    }
    let verdict = match worst {
        Some((ratio, _)) if ratio >= 1.0 => Verdict::Fail,
        Some(_) if complete => Verdict::Pass,
        _ => Verdict::NotMeasured,
    };
    let measured = worst.map_or("–".to_owned(), |(ratio, scenario)| {
        format!("at worst {ratio:.3} ({})", title(scenario))
    });
    Target {
        name: format!("CPU under every load, in that of {}: below 1", rival.label()),
        measured,
        verdict,
    }
}

#[cfg(test)]
mod tests {
    use crate::verdict::Verdict;

    use super::{GROWTH_LIMIT, RIVALS, judge};
    use crate::echo::peers::Peer;
    use crate::echo::results::Results;
    use crate::echo::scenario::{Measurement, Scenario};

    const SCENARIOS: [Scenario; 4] =
        [Scenario::One, Scenario::Fifty, Scenario::Idle, Scenario::Accept];

    fn measurement(cpu: f64, bytes: f64) -> Measurement {
        Measurement { cpu, rate: 1e6 / cpu, idle_bytes: Some(bytes) }
    }

    /// Returns two rounds in which every rival costs 10 µs and 1,000 bytes, raw epoll 5 µs and
    /// 40 bytes.
    fn peers_alone() -> Results<Peer> {
        let mut results = Results::default();
        for scenario in SCENARIOS {
            for _ in 0..2 {
                results.push(scenario, Peer::RawEpoll, measurement(5.0, 40.0));
                for rival in RIVALS {
                    results.push(scenario, rival, measurement(10.0, 1000.0));
                }
            }
        }
        results
    }

    fn verdicts(cost: impl Fn(Scenario) -> (f64, f64)) -> Vec<Verdict> {
        let mut results = peers_alone();
        for scenario in SCENARIOS {
            let (cpu, bytes) = cost(scenario);
            for _ in 0..2 {
                results.push(scenario, Peer::Asyncore, measurement(cpu, bytes));
            }
        }
        let targets = judge(&results, |scenario| format!("{scenario:?}"));
        targets.iter().map(|target| target.verdict).collect()
    }

    #[test]
    fn what_is_within_every_limit_passes_everywhere() {
        assert_eq!(verdicts(|_| (5.2, 300.0)), [Verdict::Pass; 9]);
    }

    #[test]
    fn one_slow_row_fails_against_every_rival() {
        let slow_accept = verdicts(|scenario| match scenario {
            Scenario::Accept => (10.0, 300.0),
            _ => (5.2, 300.0),
        });
        assert_eq!(slow_accept[..2], [Verdict::Pass; 2]);
        assert_eq!(slow_accept[2..7], [Verdict::Fail; 5]);
        assert_eq!(slow_accept[7..], [Verdict::Pass; 2]);
    }

    #[test]
    fn each_limit_fails_on_its_own() {
        let above = verdicts(|scenario| match scenario {
            Scenario::Idle => (5.2 * GROWTH_LIMIT + 0.1, 700.0),
            _ => (5.2, 700.0),
        });
        assert_eq!(above[0], Verdict::Pass);
        assert_eq!(above[1], Verdict::Fail);
        assert_eq!(above[2..7], [Verdict::Pass; 5]);
        assert_eq!(above[7..], [Verdict::Fail; 2]);
    }

    #[test]
    fn what_was_not_measured_is_not_judged() {
        let targets = judge(&peers_alone(), |scenario| format!("{scenario:?}"));
        let verdicts: Vec<Verdict> = targets.iter().map(|target| target.verdict).collect();
        assert_eq!(verdicts, [Verdict::NotMeasured; 9]);
    }
}
