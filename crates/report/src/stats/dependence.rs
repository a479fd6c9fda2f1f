//! How much less a series of rotations tells than as many independent values would.

use super::median::median;

/// A batch variance from fewer batches than these says little.
const BATCHES_MIN: usize = 6;

/// The variance of the mean of `values`, in the order in which they were taken, divided by what it
/// would be if they were independent; 1 at least, and 1 for fewer than twelve.
///
/// Neighbouring rotations may share a mood of the machine that the pairing does not cancel, and all
/// rotations on the same pair of processes share where their memory came to lie. Either makes the means
/// of successive batches vary by more than the single values promise (the method of batch means; Law,
/// *Simulation Modeling and Analysis*, 9.5). Batches of 2, 4, 8... are tried, as long as there are six,
/// and the largest ratio counts: an interval is stretched by its root and never shrunk.
///
/// The values are first pulled in to three robust deviations from their middle: the interval is one of
/// ranks, in which a single wild value counts for little, and here it would hide the rest.
pub fn dependence(values: &[f64]) -> f64 {
    let values = pulled_in(values);
    let Some(single) = variance(&values).filter(|variance| *variance > 0.0) else {
        return 1.0;
    };
    let mut largest: f64 = 1.0;
    let mut length = 2;
    while values.len() / length >= BATCHES_MIN {
        let means: Vec<f64> = values
            .chunks_exact(length)
            .map(|batch| batch.iter().sum::<f64>() / length as f64)
            .collect();
        let batches = variance(&means).unwrap_or(0.0);
        largest = largest.max(batches * length as f64 / single);
        length *= 2;
    }
    largest
}

/// `values` with what lies beyond three robust deviations moved to there.
fn pulled_in(values: &[f64]) -> Vec<f64> {
    /// The median absolute deviation of a normal distribution is this part of its deviation.
    const OF_NORMAL: f64 = 0.6745;
    let middle_of = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        median(&values).unwrap_or(0.0)
    };
    let middle = middle_of(values.to_vec());
    let deviation = middle_of(values.iter().map(|each| (each - middle).abs()).collect());
    if deviation == 0.0 {
        return values.to_vec();
    }
    let reach = 3.0 * deviation / OF_NORMAL;
    let within = |each: &f64| each.clamp(middle - reach, middle + reach);
    values.iter().map(within).collect()
}

/// The variance of a sample; `None` for fewer than two values.
fn variance(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|each| (each - mean).powi(2)).sum();
    (values.len() > 1).then(|| squares / (n - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_equal_values_count_once() {
        // Twelve values in six pairs: single variance 6 × 2/11, of the pairs' means 6/5.
        let values: Vec<f64> = [1.0, 1.0, -1.0, -1.0].repeat(3);
        assert!((dependence(&values) - (6.0 / 5.0) * 2.0 / (12.0 / 11.0)).abs() < 1e-12);
    }

    #[test]
    fn alternating_values_never_shrink_an_interval() {
        assert_eq!(dependence(&[1.0, -1.0].repeat(20)), 1.0);
    }

    #[test]
    fn few_and_constant_values_are_left_alone() {
        assert_eq!(dependence(&[]), 1.0);
        assert_eq!(dependence(&[3.0; 50]), 1.0);
        assert_eq!(dependence(&[1.0, 2.0, 9.0]), 1.0);
    }

    #[test]
    fn one_wild_value_does_not_hide_the_rest() {
        let mut values: Vec<f64> = [1.0, 1.1, 0.9, 1.0, -1.0, -1.1, -0.9, -1.0].repeat(6);
        let calm = dependence(&values);
        values[20] = 1e6;
        assert!(calm > 3.0 && (dependence(&values) / calm - 1.0).abs() < 0.35);
    }
}
