//! Command line arguments common to the comparisons.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cargo::package_dir;

/// The extent of a run: its rounds and its loads.
///
/// `S` identifies the loads; a full run has `ROUNDS` rounds.
#[derive(Args)]
pub struct Extent<S, const ROUNDS: u32>
where
    S: ValueEnum + PartialEq + Send + Sync + 'static,
{
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000), help = rounds_help(ROUNDS))]
    rounds: Option<u32>,

    /// Make a short run at a reduced size, to check that everything works
    #[arg(long)]
    pub quick: bool,

    /// Measure only under these loads
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SCENARIO[,SCENARIO]")]
    scenario: Vec<S>,
}

impl<S, const ROUNDS: u32> Extent<S, ROUNDS>
where
    S: ValueEnum + PartialEq + Send + Sync + 'static,
{
    /// Returns the selected loads in the order of their definition.
    pub fn scenarios(&self) -> Vec<S> {
        chosen(&self.scenario)
    }

    /// Returns the number of measurements of each program and load.
    pub fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 1 } else { ROUNDS })
    }
}

fn rounds_help(rounds: u32) -> String {
    format!(
        "Number of measurements of each, over which medians are taken [default: {rounds}, or 1 with --quick]"
    )
}

/// The programs that a comparison measures, and the destination of its page.
///
/// `P` identifies the programs, `S` the loads.
#[derive(Args)]
pub struct Selection<P, S>
where
    P: ValueEnum + PartialEq + Send + Sync + 'static,
    S: ValueEnum + PartialEq + Send + Sync + 'static,
{
    /// The rounds and the loads.
    #[command(flatten)]
    pub extent: Extent<S, 5>,

    /// Measure only these; ratios to omitted ones are missing
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PEER[,PEER]")]
    only: Vec<P>,

    /// Write the report to FILE [default: the page in bench for a full run; a run with --quick, --only
    /// or --scenario prints the report]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl<P, S> Selection<P, S>
where
    P: ValueEnum + PartialEq + Send + Sync + 'static,
    S: ValueEnum + PartialEq + Send + Sync + 'static,
{
    /// Returns the selected programs in the order of their definition.
    pub fn peers(&self) -> Vec<P> {
        chosen(&self.only)
    }

    /// Returns the file for the report: `page` of this package after a full run, `None` for standard
    /// output.
    pub fn output(&self, page: &str) -> Option<PathBuf> {
        let Extent { quick, scenario, .. } = &self.extent;
        let whole = !quick && self.only.is_empty() && scenario.is_empty();
        self.output.clone().or_else(|| whole.then(|| package_dir().join(page)))
    }
}

/// Returns the variants in `selection`, or all if it is empty, in the order of their definition and
/// without duplicates.
fn chosen<T: ValueEnum + PartialEq>(selection: &[T]) -> Vec<T> {
    let all = T::value_variants().iter();
    all.filter(|it| selection.is_empty() || selection.contains(it)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use clap::{Parser, ValueEnum};

    use super::Selection;
    use crate::cargo::package_dir;

    #[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
    enum Letter {
        A,
        B,
        C,
    }

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        selection: Selection<Letter, Letter>,
    }

    fn parse(words: &[&str]) -> Selection<Letter, Letter> {
        Arguments::try_parse_from(words).map(|it| it.selection).unwrap()
    }

    #[test]
    fn a_whole_run_measures_everything_and_writes_the_page() {
        let selection = parse(&["bench"]);
        assert_eq!(selection.peers(), [Letter::A, Letter::B, Letter::C]);
        assert_eq!(selection.extent.rounds(), 5);
        assert_eq!(selection.output("PAGE.md"), Some(package_dir().join("PAGE.md")));
    }

    #[test]
    fn what_is_selected_keeps_the_order_of_its_definition_and_is_printed() {
        let selection = parse(&["bench", "--only", "c,a,c", "--scenario", "b"]);
        assert_eq!(selection.peers(), [Letter::A, Letter::C]);
        assert_eq!(selection.extent.scenarios(), [Letter::B]);
        assert_eq!(selection.output("PAGE.md"), None);
    }

    #[test]
    fn a_quick_run_is_one_round_and_overwrites_no_page() {
        let selection = parse(&["bench", "--quick"]);
        assert_eq!((selection.extent.rounds(), selection.output("PAGE.md")), (1, None));
        let selection = parse(&["bench", "--quick", "--rounds", "3", "--output", "here.md"]);
        assert_eq!(
            (selection.extent.rounds(), selection.output("PAGE.md")),
            (3, Some("here.md".into()))
        );
    }
}
