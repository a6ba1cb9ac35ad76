//! The few statistics of the report: medians, their spread, and paired ratios.

/// The median of some rounds with the least and the greatest value seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Half of the values are less.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Summary {
    /// Summarizes `values`; `None` when there are none or one is not a number.
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() || values.iter().any(|value| value.is_nan()) {
            return None;
        }
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 0 {
            (sorted[middle - 1] + sorted[middle]) / 2.0
        } else {
            sorted[middle]
        };
        Some(Summary { median, min: sorted[0], max: sorted[sorted.len() - 1] })
    }

    /// Summarizes the ratios of values taken in the same round, so that what slows a whole round down
    /// cancels out. `None` when the two differ in length or a ratio does not exist.
    pub fn of_ratios(values: &[f64], bases: &[f64]) -> Option<Self> {
        if values.len() != bases.len() || bases.contains(&0.0) {
            return None;
        }
        let ratios: Vec<f64> = values.iter().zip(bases).map(|(v, b)| v / b).collect();
        Summary::of(&ratios)
    }
}

#[cfg(test)]
mod tests {
    use super::Summary;

    fn summary(median: f64, min: f64, max: f64) -> Option<Summary> {
        Some(Summary { median, min, max })
    }

    #[test]
    fn an_odd_number_of_values_has_its_middle_one_as_median() {
        assert_eq!(Summary::of(&[9.0, 1.0, 4.0]), summary(4.0, 1.0, 9.0));
    }

    #[test]
    fn an_even_number_of_values_has_the_mean_of_the_middle_two_as_median() {
        assert_eq!(Summary::of(&[9.0, 1.0, 4.0, 6.0]), summary(5.0, 1.0, 9.0));
    }

    #[test]
    fn nothing_and_not_a_number_have_no_summary() {
        assert_eq!(Summary::of(&[]), None);
        assert_eq!(Summary::of(&[1.0, f64::NAN]), None);
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let ratios = Summary::of_ratios(&[2.0, 30.0, 3.0], &[1.0, 10.0, 2.0]);
        assert_eq!(ratios, summary(2.0, 1.5, 3.0));
    }

    #[test]
    fn ratios_of_rounds_that_do_not_pair_up_do_not_exist() {
        assert_eq!(Summary::of_ratios(&[1.0], &[1.0, 2.0]), None);
        assert_eq!(Summary::of_ratios(&[1.0], &[0.0]), None);
    }
}
