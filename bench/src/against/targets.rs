//! The limits of what a commit may add to its base's costs.

use crate::against::Side;
use crate::against::instructions::{Counts, rows};
use crate::echo::results::{Cost, Results};
use crate::echo::scenario::Scenario;
use crate::echo::setting::Setting;
use crate::echo::size;
use crate::stats::median_interval;
use crate::verdict::Target;

/// The most CPU time that a message or connection may cost, divided by the base's.
const CPU_LIMIT: f64 = 1.02;
/// The most bytes that an idle channel may take in user space.
const IDLE_BYTES_LIMIT: f64 = 270.0;
/// The most instructions that a hot path may take, divided by the base's.
const INSTRUCTIONS_LIMIT: f64 = 1.03;

/// Judges every target.
pub(crate) fn judge(
    setting: &Setting,
    results: &Results<Side>,
    counts: Option<&(Counts, Counts)>,
) -> Vec<Target> {
    let mut targets = Vec::new();
    for scenario in [Scenario::Fifty, Scenario::Idle, Scenario::Accept] {
        let cost = Cost::Cpu(scenario);
        let ratio = results.ratio(cost, Side::Present, Side::Base);
        let ratios = results.ratios(cost, Side::Present, Side::Base).unwrap_or_default();
        let spread = median_interval(&ratios)
            .map_or(String::new(), |(low, high)| format!(" (spread {low:.3}–{high:.3})"));
        targets.push(Target::at_most(
            format!("CPU per {} at {}, present ÷ base", scenario.unit(), setting.title(scenario)),
            ratio.map(|ratio| ratio.median),
            CPU_LIMIT,
            |ratio| format!("{ratio:.3}{spread}"),
        ));
    }
    // What a server allocates in one piece weighs more among fewer connections.
    let whole = setting.size.idle >= size::IDLE;
    let bytes = results.cost(Cost::IdleBytes, Side::Present).filter(|_| whole);
    targets.push(Target::at_most(
        format!("user-space bytes per idle connection, of {}", size::IDLE),
        bytes.map(|bytes| bytes.median),
        IDLE_BYTES_LIMIT,
        |bytes| format!("{bytes:.0}"),
    ));
    let worst = counts.and_then(|(base, present)| worst(base, present));
    let name = worst.map_or(String::new(), |(name, _)| format!(" ({name})"));
    targets.push(Target::at_most(
        "instructions of each hot path, present ÷ base",
        worst.map(|(_, ratio)| ratio),
        INSTRUCTIONS_LIMIT,
        |ratio| format!("at worst {ratio:.3}{name}"),
    ));
    targets
}

/// The hot path whose count grew most, and its ratio.
fn worst<'a>(base: &'a Counts, present: &'a Counts) -> Option<(&'a str, f64)> {
    rows(base, present)
        .into_iter()
        .filter_map(|(name, base, present)| Some((name, present? as f64 / base? as f64)))
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
}

#[cfg(test)]
mod tests {
    use super::worst;

    #[test]
    fn the_worst_hot_path_is_one_that_both_commits_have() {
        let counts =
            |all: [(&str, u64); 3]| all.map(|(name, count)| (name.to_owned(), count)).to_vec();
        let base = counts([("a", 100), ("b", 100), ("removed", 1)]);
        let present = counts([("a", 101), ("b", 104), ("added", 900)]);
        assert_eq!(worst(&base, &present), Some(("b", 1.04)));
        assert_eq!(worst(&base, &Vec::new()), None);
    }
}
