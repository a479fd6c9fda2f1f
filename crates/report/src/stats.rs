//! Statistics on trials. The trial is the unit: what goes in is one value a trial, never a request.
//!
//! * [`median`] with its [order-statistic interval](median_interval): no assumption on the
//!   distribution beyond independent trials (Conover, *Practical Nonparametric Statistics*, 3.2).
//! * [`hodges_lehmann`] with the [Wilcoxon interval](wilcoxon_interval): for within-block
//!   log-ratios of two models (Hollander and Wolfe, *Nonparametric Statistical Methods*, 3.2-3.3).
//! * [`shift`] with the [Mann-Whitney interval](shift_interval): for two sessions, which share no
//!   blocks (the same, 4.2-4.3).
//! * [`zone()`]: what a difference must exceed to count as one, from the A/A placebo.
//! * [`rank()`]: verdicts and tiers out of these.

mod compare;
mod rank;
mod unpaired;
mod zone;

pub use compare::{Comparison, Verdict, compare, compare_sessions, verdict_of_span};
pub use rank::{Evidence, Ranked, rank};
pub use unpaired::{mann_whitney_critical, shift, shift_interval};
pub use zone::{Noise, floor, zone, zone_of_sessions};

/// Confidence asked of every interval.
pub const LEVEL: f64 = 0.95;

/// Stands for the logarithm of an infinite value. Finite, so that differences of two never give
/// something that is not a number; far beyond the logarithm of any real ratio.
pub const INFINITE_LOG: f64 = 1e6;

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

/// The means of every pair of values, each with itself too, sorted.
fn walsh_averages(values: &[f64]) -> Vec<f64> {
    let mut averages = Vec::with_capacity(values.len() * (values.len() + 1) / 2);
    for (index, first) in values.iter().enumerate() {
        averages.extend(values[index..].iter().map(|second| (first + second) / 2.0));
    }
    averages.sort_by(f64::total_cmp);
    averages
}

/// The Hodges-Lehmann estimate of the centre of `values`; `None` when empty.
pub fn hodges_lehmann(values: &[f64]) -> Option<f64> {
    median(&walsh_averages(values))
}

/// The largest `t` with P(T ≤ t) ≤ (1 - `level`)/2 for Wilcoxon's signed-rank statistic of `n`
/// values: the critical value of the textbook tables. `None` when no `t` is that unlikely.
pub fn wilcoxon_critical(n: usize, level: f64) -> Option<usize> {
    // share[t]: the share of the 2^n equally likely sign patterns whose positive ranks sum to t.
    let mut share = vec![0.0; n * (n + 1) / 2 + 1];
    share[0] = 1.0;
    for rank in 1..=n {
        for sum in (0..share.len()).rev() {
            let with = if sum >= rank { share[sum - rank] } else { 0.0 };
            share[sum] = (share[sum] + with) / 2.0;
        }
    }
    let mut tail = 0.0;
    let mut critical = None;
    for (sum, part) in share.iter().enumerate() {
        tail += part;
        if tail > (1.0 - level) / 2.0 {
            break;
        }
        critical = Some(sum);
    }
    critical
}

/// The interval of the centre of `values` that goes with Wilcoxon's signed-rank test; `None` when
/// there are too few values (fewer than six at 95 %).
pub fn wilcoxon_interval(values: &[f64], level: f64) -> Option<(f64, f64)> {
    let critical = wilcoxon_critical(values.len(), level)?;
    let averages = walsh_averages(values);
    Some((averages[critical], averages[averages.len() - 1 - critical]))
}

/// The 95th percentile of `values` by the nearest rank, which of few values is the largest.
pub fn percentile_95(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * 95).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests;
