//! Medians and percentiles of trials, with their intervals.

use super::evidence::{Evidence, LEVEL};

/// A figure over trials: its median and either their range or the median's interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Middle value; the mean of the two middle ones when `n` is even.
    pub median: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Trials.
    pub n: usize,
}

impl Spread {
    /// The spread of `values` as far as `evidence` allows; `None` when there is none.
    ///
    /// Too few trials for an interval at [`LEVEL`] leave the range, which is wider.
    pub fn of(values: impl IntoIterator<Item = f64>, evidence: Evidence) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (first, last) = (*values.first()?, *values.last()?);
        let (low, high) = match evidence {
            Evidence::Intervals => median_interval(&values, LEVEL).unwrap_or((first, last)),
            Evidence::Figures | Evidence::Ranges => (first, last),
        };
        Some(Self {
            median: median(&values)?,
            low,
            high,
            n: values.len(),
        })
    }
}

/// The median of sorted values; `None` when empty.
pub fn median(sorted: &[f64]) -> Option<f64> {
    let n = sorted.len();
    let upper = *sorted.get(n / 2)?;
    if n % 2 == 1 {
        return Some(upper);
    }
    let lower = sorted[n / 2 - 1];
    // Two infinite values have an infinite middle; halving first keeps large ones finite.
    Some(if lower == upper {
        upper
    } else {
        lower / 2.0 + upper / 2.0
    })
}

/// The median of values in any order; `None` when empty.
pub fn middle(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    median(&values)
}

/// The rank `k`, from 1, such that the k-th smallest and k-th largest of `n` values enclose the
/// median with at least `level` confidence; `None` when `n` is too small for that.
pub fn median_rank(n: usize, level: f64) -> Option<usize> {
    let mut probability = 0.5_f64.powi(i32::try_from(n).ok()?);
    let mut below = 0.0;
    let mut rank = 0;
    // P(Bin(n, 1/2) < k) is the chance that the median lies below the k-th smallest.
    while 2.0 * (below + probability) <= 1.0 - level && rank < n / 2 {
        below += probability;
        probability *= (n - rank) as f64 / (rank + 1) as f64;
        rank += 1;
    }
    (rank > 0).then_some(rank)
}

/// The order-statistic interval of the median of sorted values.
pub fn median_interval(sorted: &[f64], level: f64) -> Option<(f64, f64)> {
    let rank = median_rank(sorted.len(), level)?;
    Some((sorted[rank - 1], sorted[sorted.len() - rank]))
}

/// The 95th percentile of `values` by the nearest rank, which of few values is the largest.
pub fn percentile_95(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * 95).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

/// The `q` quantile of sorted values by the nearest rank.
pub fn percentile_of(sorted: &[f64], q: f64) -> Option<f64> {
    let rank = (sorted.len() as f64 * q).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}
