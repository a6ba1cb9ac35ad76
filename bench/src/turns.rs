//! The order of the measurements.

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

/// One scheduled measurement.
pub struct Turn<'a, S, P> {
    /// The round, counted from 1.
    pub round: u32,
    /// The load.
    pub scenario: S,
    /// The program under this load.
    pub program: &'a P,
}

/// Returns the turns of every program under every load in every round. Each round begins with a
/// different program, so that no program is always measured after the same one.
pub fn turns<'a, S: Copy, P>(
    rounds: u32,
    scenarios: &[S],
    programs: &'a [P],
) -> Vec<Turn<'a, S, P>> {
    let mut turns = Vec::new();
    for round in 0..rounds {
        for &scenario in scenarios {
            let (first, last) = programs.split_at(round as usize % programs.len().max(1));
            let order = last.iter().chain(first);
            turns.extend(order.map(|program| Turn { round: round + 1, scenario, program }));
        }
    }
    turns
}

/// Returns a progress bar for `turns`.
///
/// # Errors
/// When its template is malformed.
pub fn progress<S, P>(turns: &[Turn<'_, S, P>]) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}, about {eta} left: {wide_msg}")?;
    Ok(ProgressBar::new(turns.len() as u64).with_style(style))
}

#[cfg(test)]
mod tests {
    use super::turns;

    #[test]
    fn each_round_begins_with_another_program() {
        let all = turns(4, &['x', 'y'], &["a", "b", "c"]);
        let round = |number| -> String {
            all.iter().filter(|it| it.round == number).map(|it| *it.program).collect()
        };
        assert_eq!([1, 2, 3, 4].map(round), ["abcabc", "bcabca", "cabcab", "abcabc"]);
        let loads: String = all.iter().take(6).map(|it| it.scenario).collect();
        assert_eq!(loads, "xxxyyy");
    }

    #[test]
    fn without_programs_there_are_no_turns() {
        assert!(turns::<_, ()>(3, &['x'], &[]).is_empty());
    }
}
