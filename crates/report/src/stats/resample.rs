//! Percentiles of many slices together, and how sure they are.
//!
//! A percentile is that of the merged histogram of all slices; percentiles are never averaged. Its
//! interval comes from drawing rotations with replacement (Efron and Tibshirani, *An Introduction to the
//! Bootstrap*, 13.3: the percentile method). The rotation is drawn whole: requests of a slice share its
//! moment. Two servers are compared with the same rotations drawn for both, so that what the machine did
//! in a rotation stays in the pair.

use std::collections::BTreeMap;

use schema::random::SplitMix64;

use super::compare::INFINITE_LOG;
use super::comparison::Comparison;
use super::dependence::dependence;
use super::evidence::LEVEL;
use super::median::percentile_of;
use super::sequential::{self, Bounds};
use super::student::student_critical;

/// Drawn sets of rotations. The ends of a 95 % interval are then the 10th from either side.
const DRAWS: usize = 400;

/// The same draws every time.
const SEED: u64 = 20_261_125;

/// Values are kept to a thousandth.
const STEP_LOG: f64 = 0.001;

/// How often each response time was seen in one slice.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counts {
    /// By logarithm of the value in steps of a thousandth.
    steps: BTreeMap<i32, u64>,
    /// Requests that were never answered rightly: they rank behind every answer.
    unanswered: u64,
}

impl Counts {
    /// Counts `count` values of `value`, which is more than zero.
    pub fn add(&mut self, value: f64, count: u64) {
        let step = (value.max(f64::MIN_POSITIVE).ln() / STEP_LOG).round() as i32;
        *self.steps.entry(step).or_default() += count;
    }

    /// Counts requests without a right answer.
    pub fn add_unanswered(&mut self, count: u64) {
        self.unanswered += count;
    }
}

/// The slices of one server, so that rotations of them can be merged quickly.
struct Table {
    /// The values that occur, ascending.
    values: Vec<i32>,
    /// For each slice, how many of its requests took up to each of them.
    up_to: Vec<Vec<u64>>,
    /// For each slice, all of its requests.
    requests: Vec<u64>,
}

impl Table {
    fn of<'a>(slices: impl Iterator<Item = &'a Counts> + Clone) -> Self {
        let mut values: Vec<i32> = slices
            .clone()
            .flat_map(|counts| counts.steps.keys().copied())
            .collect();
        values.sort_unstable();
        values.dedup();
        let row = |counts: &Counts| {
            let mut row = vec![0; values.len()];
            for (step, count) in &counts.steps {
                if let Ok(place) = values.binary_search(step) {
                    row[place] = *count;
                }
            }
            let mut sum = 0;
            for count in &mut row {
                sum += *count;
                *count = sum;
            }
            row
        };
        let all = |counts: &Counts| counts.steps.values().sum::<u64>() + counts.unanswered;
        Self {
            up_to: slices.clone().map(row).collect(),
            requests: slices.map(all).collect(),
            values,
        }
    }

    /// The logarithm of the `q` quantile of the slices in `drawn` merged; infinite where it falls among
    /// the unanswered. `None` without any request.
    fn quantile(&self, drawn: &[usize], q: f64) -> Option<f64> {
        let total: u64 = drawn.iter().map(|&slice| self.requests[slice]).sum();
        let rank = ((total as f64 * q).ceil() as u64).max(1);
        // Merging every value of every draw would take a thousand times as long.
        let (mut low, mut high) = (0, self.values.len());
        while low < high {
            let middle = low.midpoint(high);
            let up_to: u64 = drawn.iter().map(|&slice| self.up_to[slice][middle]).sum();
            match up_to >= rank {
                true => high = middle,
                false => low = middle + 1,
            }
        }
        match self.values.get(low) {
            Some(step) => Some(f64::from(*step) * STEP_LOG),
            None => (total > 0).then_some(INFINITE_LOG),
        }
    }
}

/// An estimate with the interval that the draws give, logarithms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resampled {
    /// Of all rotations.
    pub log: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Rotations.
    pub n: usize,
}

/// The logarithm of the `q` quantile of `slices`, one per rotation, merged.
pub fn quantile(slices: &[&Counts], q: f64, alpha: f64) -> Option<Resampled> {
    let table = Table::of(slices.iter().copied());
    resampled(slices.len(), alpha, |drawn| table.quantile(drawn, q))
}

/// The logarithm of how many times higher the `q` quantile of the first of each pair is than that of the
/// second; a pair is of one rotation.
pub fn quantile_ratio(pairs: &[(&Counts, &Counts)], q: f64, alpha: f64) -> Option<Resampled> {
    let one = Table::of(pairs.iter().map(|(one, _)| *one));
    let other = Table::of(pairs.iter().map(|(_, other)| *other));
    resampled(pairs.len(), alpha, |drawn| {
        Some(one.quantile(drawn, q)? - other.quantile(drawn, q)?)
    })
}

/// Fewer rotations do not show how much a percentile varies.
pub const ROTATIONS_MIN: usize = 8;

/// Compares the `q` quantiles of the first and the second of each pair by an interval that is wrong with
/// the probability `alpha` at most; `None` for fewer than [`ROTATIONS_MIN`] pairs.
///
/// Draws show an interval of 95 %. It is stretched to the level by Student's distribution, because 400
/// draws know nothing of what happens once in ten thousand and few rotations vary by less than they
/// should, and by the root of the [`dependence`] of the slices' own quantiles.
pub fn compare_quantiles(
    pairs: &[(&Counts, &Counts)],
    q: f64,
    alpha: f64,
    bounds: Bounds,
) -> Option<Comparison> {
    if pairs.len() < ROTATIONS_MIN {
        return None;
    }
    let told = quantile_ratio(pairs, q, 1.0 - LEVEL)?;
    let alone = |counts: &Counts| Table::of(std::iter::once(counts)).quantile(&[0], q);
    let of_slice = |(one, other): &(&Counts, &Counts)| Some(alone(one)? - alone(other)?);
    let logs: Vec<f64> = pairs.iter().filter_map(of_slice).collect();
    let level = student_critical(pairs.len() - 1, alpha) / OF_NORMAL;
    let stretch = level * dependence(&logs).sqrt();
    let low = told.log - (told.log - told.low) * stretch;
    let high = told.log + (told.high - told.log) * stretch;
    Some(Comparison {
        log: told.log,
        low,
        high,
        pairs: told.n,
        verdict: sequential::verdict(told.log, (low, high), bounds),
        smallest: bounds.zone.max(bounds.least + (told.log - low)),
    })
}

/// Half the width of the interval of a normal distribution at [`LEVEL`], in deviations.
const OF_NORMAL: f64 = 1.96;

/// Estimates on all of `n` rotations and on drawn ones.
fn resampled(
    n: usize,
    alpha: f64,
    estimate: impl Fn(&[usize]) -> Option<f64>,
) -> Option<Resampled> {
    let all: Vec<usize> = (0..n).collect();
    let log = estimate(&all)?;
    let mut random = SplitMix64::new(SEED);
    let bound = u32::try_from(n).ok()?;
    let mut drawn: Vec<f64> = (0..DRAWS)
        .filter_map(|_| {
            let rotations: Vec<usize> = (0..n).map(|_| random.below(bound) as usize).collect();
            estimate(&rotations)
        })
        .collect();
    drawn.sort_by(f64::total_cmp);
    Some(Resampled {
        log,
        low: percentile_of(&drawn, alpha / 2.0)?.min(log),
        high: percentile_of(&drawn, 1.0 - alpha / 2.0)?.max(log),
        n,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Verdict;

    fn counts(values: &[(f64, u64)]) -> Counts {
        let mut counts = Counts::default();
        values.iter().for_each(|(value, n)| counts.add(*value, *n));
        counts
    }

    #[test]
    fn percentiles_are_merged_and_never_averaged() {
        // 99 fast and 1 slow, then 1 fast and 99 slow: the mean of the medians would be 550.
        let slices = [
            counts(&[(100.0, 99), (1000.0, 1)]),
            counts(&[(100.0, 1), (1000.0, 99)]),
        ];
        let slices: Vec<&Counts> = slices.iter().collect();
        let at = |q| quantile(&slices, q, 0.05).expect("requests").log.exp();
        assert!((at(0.5) / 100.0 - 1.0).abs() < 0.001);
        assert!((at(0.51) / 1000.0 - 1.0).abs() < 0.001);
    }

    #[test]
    fn what_was_never_answered_ranks_last() {
        let mut slice = counts(&[(100.0, 98)]);
        slice.add_unanswered(2);
        let at = |q| quantile(&[&slice], q, 0.05).expect("requests").log;
        assert!(at(0.98) < 5.0);
        assert_eq!(at(0.99), INFINITE_LOG);
        assert!(quantile(&[&Counts::default()], 0.5, 0.05).is_none());
        assert!(quantile(&[], 0.5, 0.05).is_none());
    }

    #[test]
    fn equal_slices_leave_no_doubt_and_a_shared_mood_cancels() {
        let mood = [1.0, 1.7, 0.6, 1.2, 2.0, 0.8, 1.1, 1.4];
        let one: Vec<Counts> = mood.iter().map(|m| counts(&[(100.0 * m, 50)])).collect();
        let other: Vec<Counts> = mood.iter().map(|m| counts(&[(50.0 * m, 50)])).collect();
        let pairs: Vec<(&Counts, &Counts)> = one.iter().zip(&other).collect();
        let ratio = quantile_ratio(&pairs, 0.5, 0.05).expect("requests");
        for log in [ratio.low, ratio.log, ratio.high] {
            assert!((log.exp() / 2.0 - 1.0).abs() < 0.003, "{ratio:?}");
        }
        let alone: Vec<&Counts> = one.iter().collect();
        let alone = quantile(&alone, 0.5, 0.05).expect("requests");
        assert!(alone.high - alone.low > 0.3, "{alone:?}");
    }

    #[test]
    fn the_interval_of_a_median_covers_it_nineteen_times_in_twenty() {
        let mut random = SplitMix64::new(9);
        let mut covered = 0;
        for _ in 0..200 {
            let slices: Vec<Counts> = (0..40)
                .map(|_| counts(&[((random.uniform() - 0.5).exp(), 1)]))
                .collect();
            let slices: Vec<&Counts> = slices.iter().collect();
            let found = quantile(&slices, 0.5, 0.05).expect("requests");
            covered += u32::from(found.low <= 0.0 && found.high >= 0.0);
        }
        assert!((180..=200).contains(&covered), "{covered} of 200");
    }

    #[test]
    fn quantiles_are_compared_at_the_level_that_is_asked_for() {
        let bounds = Bounds {
            least: 0.0,
            zone: 0.0,
            within: 0.0,
        };
        let mut random = SplitMix64::new(4);
        let mut slices = |factor: f64| -> Vec<Counts> {
            let mut one = || {
                let level = factor * (0.2 * random.uniform()).exp();
                let values: Vec<(f64, u64)> = (0..50)
                    .map(|_| (level * 100.0 * (1.0 + random.uniform()), 1))
                    .collect();
                counts(&values)
            };
            (0..14).map(|_| one()).collect()
        };
        let (mut wrong, mut found) = (0, 0);
        for _ in 0..200 {
            let (one, same, slower) = (slices(1.0), slices(1.0), slices(1.5));
            let told = |other: &[Counts], alpha| {
                let pairs: Vec<(&Counts, &Counts)> = other.iter().zip(&one).collect();
                compare_quantiles(&pairs, 0.9, alpha, bounds).expect("enough")
            };
            let equal = told(&same, 0.05);
            wrong += u32::from(equal.verdict != Verdict::TooClose);
            found += u32::from(told(&slower, 0.001).verdict == Verdict::Slower);
            let strict = told(&same, 0.001);
            assert!(strict.high - strict.low > 1.5 * (equal.high - equal.low));
        }
        assert!(wrong <= 14 && found >= 190, "{wrong} {found} of 200");
        let few = slices(1.0);
        let few: Vec<(&Counts, &Counts)> = few.iter().zip(&few).take(7).collect();
        assert!(compare_quantiles(&few, 0.9, 0.05, bounds).is_none());
    }
}
