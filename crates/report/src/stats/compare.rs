//! Two models, compared within blocks.

use std::collections::BTreeMap;

use super::comparison::{Comparison, ROTATIONS_MIN, Verdict};
use super::dependence::dependence;
use super::evidence::{Evidence, LEVEL};
use super::median::Spread;
use super::sequential;
use super::signed_rank::{hodges_lehmann, wilcoxon_interval};
use super::unpaired::{shift, shift_interval};
use super::zone::{bounds, floor};

/// Stands for the logarithm of an infinite value. Finite, so that differences of two never give
/// something that is not a number; far beyond the logarithm of any real ratio.
pub const INFINITE_LOG: f64 = 1e6;

/// Compares the logarithmic costs by block of `one` with those of `other`, as far as `evidence`
/// allows; differences below `zone` do not matter. `None` where nothing may be concluded at all.
pub fn compare(
    one: &BTreeMap<u32, f64>,
    other: &BTreeMap<u32, f64>,
    zone: f64,
    evidence: Evidence,
) -> Option<Comparison> {
    match evidence {
        Evidence::Figures => None,
        Evidence::Ranges => ranges(one, other, zone),
        Evidence::Intervals => intervals(one, other, zone),
    }
}

/// Few blocks: different only where the ranges are disjoint, and further apart than the zone: of
/// two equal servers in three blocks, one pair in ten has disjoint ranges. Both ends are taken against
/// the other's median, so that ranges which overlap on the page tie.
fn ranges(one: &BTreeMap<u32, f64>, other: &BTreeMap<u32, f64>, zone: f64) -> Option<Comparison> {
    if one.len() < 2 || other.len() < 2 {
        return None;
    }
    let a = Spread::of(one.values().copied(), Evidence::Ranges)?;
    let b = Spread::of(other.values().copied(), Evidence::Ranges)?;
    let log = a.median - b.median;
    // A pair of trials shows about half of its spread, so its range counts twice.
    let unseen = match a.n.min(b.n) {
        2 => (a.high - a.low).max(b.high - b.low),
        _ => 0.0,
    };
    let verdict = verdict_of_span((a.low - b.high, a.high - b.low), zone, unseen);
    let pairs = a.n.min(b.n);
    Some(Comparison {
        log,
        low: a.low - b.median,
        high: a.high - b.median,
        pairs,
        verdict,
        smallest: zone + unseen + (log - (a.low - b.high)),
    })
}

/// Fewer blocks than these that hold both, and the blocks are given up: the interval of so few
/// differences is their whole range.
const PAIRS_MIN: usize = 8;

/// Many blocks: within-block differences, the Hodges-Lehmann estimate and its interval. Where the
/// gates left too few blocks that hold both, all trials of the one against all of the other.
fn intervals(
    one: &BTreeMap<u32, f64>,
    other: &BTreeMap<u32, f64>,
    zone: f64,
) -> Option<Comparison> {
    let differences: Vec<f64> = one
        .iter()
        .filter_map(|(block, a)| Some(a - other.get(block)?))
        .collect();
    if differences.len() < PAIRS_MIN {
        let values = |costs: &BTreeMap<u32, f64>| costs.values().copied().collect::<Vec<f64>>();
        return compare_sessions(&values(one), &values(other), zone, Evidence::Intervals);
    }
    let log = hodges_lehmann(&differences)?;
    let (mut low, mut high) = wilcoxon_interval(&differences, LEVEL)?;
    if differences.len() >= ROTATIONS_MIN {
        let stretch = dependence(&differences).sqrt();
        (low, high) = (log - (log - low) * stretch, log + (high - log) * stretch);
    }
    Some(Comparison {
        log,
        low,
        high,
        pairs: differences.len(),
        verdict: decided(log, (low, high), zone),
        smallest: smallest(log - low, zone),
    })
}

/// What an interval that reaches `below` its estimate could have shown: see [`decided`].
fn smallest(below: f64, zone: f64) -> f64 {
    zone.max(floor().min(zone) + below)
}

/// The verdict of an estimate with its interval. A difference counts when the estimate lies beyond
/// the zone and the interval wholly beyond the least zone; an equivalence when the interval lies
/// wholly within the zone.
fn decided(log: f64, span: (f64, f64), zone: f64) -> Verdict {
    sequential::verdict(log, span, bounds(zone))
}

/// The verdict of a span, from the smallest difference to the largest, that is short of the truth by
/// `unseen`: different only where all of it lies beyond the zone by that much, as ranges are
/// compared within a session; never equivalent. Two runs are compared in a thousand figures, and a
/// span of three trials that merely leaves the 3 % out would call several of them worse by chance.
pub fn verdict_of_span((low, high): (f64, f64), zone: f64, unseen: f64) -> Verdict {
    if low > zone + unseen {
        Verdict::Slower
    } else if high < -zone - unseen {
        Verdict::Faster
    } else {
        Verdict::TooClose
    }
}

/// Compares logarithmic costs of two sessions, which share no blocks: `one` against `other`.
///
/// With ten blocks or more in each, the Hodges-Lehmann shift and its Mann-Whitney interval; with
/// three or more, the span of all differences between the two, which can show slower or faster
/// but never equivalence; `None` with fewer.
pub fn compare_sessions(
    one: &[f64],
    other: &[f64],
    zone: f64,
    evidence: Evidence,
) -> Option<Comparison> {
    let pairs = one.len().min(other.len());
    let log = shift(one, other)?;
    let span = || {
        let low = |values: &[f64]| values.iter().copied().min_by(f64::total_cmp);
        let high = |values: &[f64]| values.iter().copied().max_by(f64::total_cmp);
        Some((low(one)? - high(other)?, high(one)? - low(other)?))
    };
    let (low, high) = match evidence {
        Evidence::Figures => return None,
        Evidence::Ranges if pairs < 3 => return None,
        Evidence::Ranges => span()?,
        Evidence::Intervals => shift_interval(one, other, LEVEL)?,
    };
    let (verdict, smallest) = match evidence {
        Evidence::Ranges => (verdict_of_span((low, high), zone, 0.0), zone + (log - low)),
        Evidence::Figures | Evidence::Intervals => {
            (decided(log, (low, high), zone), smallest(log - low, zone))
        }
    };
    Some(Comparison {
        log,
        low,
        high,
        pairs,
        verdict,
        smallest,
    })
}
