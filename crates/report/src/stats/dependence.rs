//! How much less a series of rotations tells than as many independent values would.

use super::median::middle;

/// A batch variance from fewer batches than these says little.
const BATCHES_MIN: usize = 6;

/// A correlation beyond this is taken for this: the values hardly tell anything.
const CORRELATION_MAX: f64 = 0.9;

/// The variance of the mean of `values`, in the order in which they were taken, divided by what it
/// would be if they were independent; 1 at least.
///
/// Neighbouring rotations may share a mood of the machine that the pairing does not cancel, and all
/// rotations on the same pair of processes share where their memory came to lie. The larger of two
/// estimates counts, so that an interval is stretched by its root and never shrunk:
///
/// * by the correlation of neighbours (`by_correlation`), for a mood that fades;
/// * by the means of batches (`by_batches`), for one that stays for a while.
///
/// The values are first pulled in to three robust deviations from their middle: the interval is one of
/// ranks, in which a single wild value counts for little, and here it would hide the rest.
pub fn dependence(values: &[f64]) -> f64 {
    let values = pulled_in(values);
    match variance(&values) {
        Some(single) if single > 0.0 => {
            let batches = by_batches(&values, single);
            batches.max(by_correlation(&values)).max(1.0)
        }
        _ => 1.0,
    }
}

/// (1 + r) / (1 - r), where each value carries over the part r of the one before.
///
/// The correlation of few neighbours comes out too low by (1 + 3r)/n (Kendall, "Note on bias in the
/// estimation of autocorrelation", Biometrika 41, 1954), and is uncertain by the root of (1 - r²)/n: the
/// one is corrected, and half of the other is added, because an error of this kind is paid with wrong
/// verdicts and one of the other kind with some more rotations.
fn by_correlation(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let from_mean: Vec<f64> = values.iter().map(|each| each - mean).collect();
    let squares: f64 = from_mean.iter().map(|each| each * each).sum();
    let products: f64 = from_mean.windows(2).map(|pair| pair[0] * pair[1]).sum();
    if n <= 4.0 {
        return 1.0;
    }
    let r = ((products / squares + 1.0 / n) / (1.0 - 3.0 / n)).clamp(0.0, CORRELATION_MAX);
    let r = (r + 0.5 * ((1.0 - r * r) / n).sqrt()).min(CORRELATION_MAX);
    (1.0 + r) / (1.0 - r)
}

/// By how much more than single values promise the means of successive batches vary (Law, *Simulation
/// Modeling and Analysis*, 9.5): the largest ratio over batches of 2, 4, 8..., as long as there are six.
fn by_batches(values: &[f64], single: f64) -> f64 {
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
    let centre = middle(values.iter().copied()).unwrap_or(0.0);
    let deviations = values.iter().map(|each| (each - centre).abs());
    let deviation = middle(deviations).unwrap_or(0.0);
    if deviation == 0.0 {
        return values.to_vec();
    }
    let reach = 3.0 * deviation / OF_NORMAL;
    let within = |each: &f64| each.clamp(centre - reach, centre + reach);
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
        let single = variance(&values).expect("twelve");
        let told = by_batches(&values, single);
        assert!((told - (6.0 / 5.0) * 2.0 / (12.0 / 11.0)).abs() < 1e-12);
        assert_eq!(by_batches(&[1.0, -1.0].repeat(20), 40.0 / 39.0), 1.0);
    }

    #[test]
    fn what_is_carried_over_is_found() {
        // Three quarters of each square are carried over: 1, 1, 1, 1, -1... has 3/4 of its products
        // positive and 1/4 negative, less the one that a row of 64 lacks.
        let values: Vec<f64> = [1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0].repeat(8);
        let r = ((48.0 - 15.0) / 64.0 + 1.0 / 64.0) / (1.0 - 3.0 / 64.0);
        let r: f64 = r + 0.5 * f64::sqrt((1.0 - r * r) / 64.0);
        assert!((by_correlation(&values) - (1.0 + r) / (1.0 - r)).abs() < 1e-12);
        // Alternating values carry nothing over: only the doubt of so few is left.
        let doubt = 0.5 / f64::sqrt(40.0);
        let told = dependence(&[1.0, -1.0].repeat(20));
        assert!((told - (1.0 + doubt) / (1.0 - doubt)).abs() < 1e-12);
    }

    #[test]
    fn few_and_constant_values_are_left_alone() {
        assert_eq!(dependence(&[]), 1.0);
        assert_eq!(dependence(&[3.0; 50]), 1.0);
        assert_eq!(dependence(&[1.0, 2.0, 9.0]), 1.0);
        assert_eq!(dependence(&[7.0]), 1.0);
    }

    #[test]
    fn one_wild_value_does_not_hide_the_rest() {
        let mut values: Vec<f64> = [1.0, 1.1, 0.9, 1.0, -1.0, -1.1, -0.9, -1.0].repeat(6);
        assert!(dependence(&values) > 2.5);
        values[20] = 1e6;
        assert!(dependence(&values) > 1.8);
    }
}
