//! The centre of paired differences: Hodges-Lehmann with the interval of Wilcoxon's signed-rank test.

use super::median::median;

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
    critical(&share, level)
}

/// The largest place up to which the `shares` add up to (1 - `level`)/2 at most.
pub(super) fn critical(shares: &[f64], level: f64) -> Option<usize> {
    let mut tail = 0.0;
    let is_unlikely = |share: &&f64| {
        tail += **share;
        tail <= (1.0 - level) / 2.0
    };
    shares.iter().take_while(is_unlikely).count().checked_sub(1)
}

/// The interval of the centre of `values` that goes with Wilcoxon's signed-rank test; `None` when
/// there are too few values (fewer than six at 95 %).
pub fn wilcoxon_interval(values: &[f64], level: f64) -> Option<(f64, f64)> {
    let critical = wilcoxon_critical(values.len(), level)?;
    let averages = walsh_averages(values);
    Some((averages[critical], averages[averages.len() - 1 - critical]))
}
