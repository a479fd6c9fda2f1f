//! Two models, compared within blocks.

use std::collections::BTreeMap;

use super::rank::Evidence;
use super::{LEVEL, Spread, hodges_lehmann, wilcoxon_interval};

/// What can be said of one model against another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Better by more than the indifference zone.
    Faster,
    /// Worse by more than the indifference zone.
    Slower,
    /// The difference lies within the indifference zone.
    Equivalent,
    /// The trials do not tell.
    TooClose,
}

impl Verdict {
    /// The verdict in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::Equivalent => "equivalent",
            Self::TooClose => "too close to call",
        }
    }
}

/// How many times worse one model is than another, as logarithms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Estimate.
    pub log: f64,
    /// Lower end of its interval or range.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Blocks that hold both.
    pub pairs: usize,
    /// What follows.
    pub verdict: Verdict,
}

/// Compares the logarithmic costs by block of `one` with those of `other`, as far as `evidence`
/// allows; differences below `zone` do not matter. `None` where nothing may be said at all.
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

/// Few blocks: different only where the ranges are disjoint, and the medians further apart than
/// the zone. Both ends are taken against the other's median, so that what is seen to overlap ties.
fn ranges(one: &BTreeMap<u32, f64>, other: &BTreeMap<u32, f64>, zone: f64) -> Option<Comparison> {
    if one.len() < 2 || other.len() < 2 {
        return None;
    }
    let a = Spread::of(one.values().copied(), Evidence::Ranges)?;
    let b = Spread::of(other.values().copied(), Evidence::Ranges)?;
    let log = a.median - b.median;
    let verdict = if a.low > b.high && log > zone {
        Verdict::Slower
    } else if a.high < b.low && log < -zone {
        Verdict::Faster
    } else {
        Verdict::TooClose
    };
    let pairs = a.n.min(b.n);
    Some(Comparison {
        log,
        low: a.low - b.median,
        high: a.high - b.median,
        pairs,
        verdict,
    })
}

/// Many blocks: within-block differences, the Hodges-Lehmann estimate and its interval.
fn intervals(
    one: &BTreeMap<u32, f64>,
    other: &BTreeMap<u32, f64>,
    zone: f64,
) -> Option<Comparison> {
    let differences: Vec<f64> = one
        .iter()
        .filter_map(|(block, a)| Some(a - other.get(block)?))
        .collect();
    let log = hodges_lehmann(&differences)?;
    let (low, high) = wilcoxon_interval(&differences, LEVEL)?;
    let verdict = if low > zone {
        Verdict::Slower
    } else if high < -zone {
        Verdict::Faster
    } else if low >= -zone && high <= zone {
        Verdict::Equivalent
    } else {
        Verdict::TooClose
    };
    Some(Comparison {
        log,
        low,
        high,
        pairs: differences.len(),
        verdict,
    })
}
