//! Two samples that share no blocks, such as those of two sessions: the Hodges-Lehmann shift and
//! the interval that goes with the Mann-Whitney test (Hollander and Wolfe, 4.2-4.3).

use super::median::median;
use super::signed_rank::critical;

/// Every difference of a value of `one` and a value of `other`, sorted.
fn differences(one: &[f64], other: &[f64]) -> Vec<f64> {
    let mut all: Vec<f64> = one
        .iter()
        .flat_map(|a| other.iter().map(move |b| a - b))
        .collect();
    all.sort_by(f64::total_cmp);
    all
}

/// The Hodges-Lehmann estimate of how far `one` lies above `other`: the median of all differences;
/// `None` when either is empty.
pub fn shift(one: &[f64], other: &[f64]) -> Option<f64> {
    median(&differences(one, other))
}

/// The largest `u` with P(U ≤ u) ≤ (1 - `level`)/2 for the Mann-Whitney statistic of samples of
/// `m` and `n`: the critical value of the textbook tables. `None` when no `u` is that unlikely.
pub fn mann_whitney_critical(m: usize, n: usize, level: f64) -> Option<usize> {
    // share[k][u]: the chance that the first k values of the one sample and all so far of the other
    // have U = u. Of j + k values the largest is from either sample with the odds j : k.
    let mut share = vec![vec![1.0]; m + 1];
    for j in 1..=n {
        let mut next: Vec<Vec<f64>> = vec![vec![1.0]];
        for k in 1..=m {
            let (ours, theirs) = (&next[k - 1], &share[k]);
            let total = (j + k) as f64;
            let mut row = vec![0.0; j * k + 1];
            // The largest is of the one sample: it exceeds all j of the other.
            for (u, part) in ours.iter().enumerate() {
                row[u + j] += part * k as f64 / total;
            }
            for (u, part) in theirs.iter().enumerate() {
                row[u] += part * j as f64 / total;
            }
            next.push(row);
        }
        share = next;
    }
    critical(&share[m], level)
}

/// The interval of the [`shift`] that goes with the Mann-Whitney test; `None` when there are too
/// few values (fewer than four in each at 95 %).
pub fn shift_interval(one: &[f64], other: &[f64], level: f64) -> Option<(f64, f64)> {
    let critical = mann_whitney_critical(one.len(), other.len(), level)?;
    let all = differences(one, other);
    Some((all[critical], all[all.len() - 1 - critical]))
}
