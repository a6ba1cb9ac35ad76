//! The statistics of the report: medians, their spread, and paired ratios.

/// The median of several rounds, with the minimum and the maximum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The median.
    pub median: f64,
    /// The minimum.
    pub min: f64,
    /// The maximum.
    pub max: f64,
}

impl Summary {
    /// Summarizes `values`; `None` if there are none or one is not a number.
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

    /// Summarizes the [`ratios`] of values taken in the same round.
    pub fn of_ratios(values: &[f64], bases: &[f64]) -> Option<Self> {
        Summary::of(&ratios(values, bases)?)
    }
}

/// Returns the ratios of values of the same rounds, in which effects on a whole round cancel out.
///
/// `None` if the lengths differ or a ratio is undefined.
pub fn ratios(values: &[f64], bases: &[f64]) -> Option<Vec<f64>> {
    if values.len() != bases.len() || bases.contains(&0.0) {
        return None;
    }
    Some(values.iter().zip(bases).map(|(value, base)| value / base).collect())
}

/// Returns a confidence interval of at least 95 % for the median.
///
/// Each value lies below the true median with probability 1/2, so the binomial distribution gives
/// the number of extreme values to omit. There is no other assumption about the noise. `None` for
/// fewer than 6 values, which cannot reach 95 %.
pub fn median_interval(values: &[f64]) -> Option<(f64, f64)> {
    const TAIL: f64 = 0.025;
    let count = values.len();
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut probability = 0.5_f64.powi(i32::try_from(count).ok()?);
    let mut below = 0.0;
    let mut omitted = 0;
    loop {
        below += probability;
        if below > TAIL {
            break;
        }
        probability *= (count - omitted) as f64 / (omitted + 1) as f64;
        omitted += 1;
    }
    let least = omitted.checked_sub(1)?;
    Some((sorted[least], sorted[count - 1 - least]))
}

#[cfg(test)]
mod tests {
    use super::{Summary, median_interval};

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

    /// Values from the standard table of the sign test.
    #[test]
    fn the_interval_of_the_median_follows_the_binomial_distribution() {
        let interval = |count: u32| {
            let values: Vec<f64> = (1..=count).rev().map(f64::from).collect();
            median_interval(&values)
        };
        assert_eq!(interval(0), None);
        assert_eq!(interval(5), None);
        assert_eq!(interval(6), Some((1.0, 6.0)));
        assert_eq!(interval(9), Some((2.0, 8.0)));
        assert_eq!(interval(20), Some((6.0, 15.0)));
        assert_eq!(interval(100), Some((40.0, 61.0)));
        assert!(interval(1000).is_some());
    }
}
