//! Tiers: a tier holds the contestants for which no difference from its best member was found.

use std::collections::BTreeMap;

use super::compare::compare;
use super::comparison::{Comparison, Verdict};
use super::evidence::Evidence;
use super::median::Spread;

/// The place of one contestant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Tier, from 1.
    pub tier: usize,
    /// `true` for the contestant with the best median.
    pub best: bool,
    /// Against the best; for the best itself, its own spread around 1.
    pub against_best: Comparison,
}

/// Ranks contestants by their logarithmic costs by block. `None` for one that cannot be ranked:
/// it has too few trials, or shares too few blocks with the best.
///
/// Each joins the first tier whose leader it is not slower than, or leads a new one.
pub fn rank(
    contestants: &[BTreeMap<u32, f64>],
    zone: f64,
    evidence: Evidence,
) -> Vec<Option<Ranked>> {
    let middle = |costs: &BTreeMap<u32, f64>| {
        // Only what can be compared at all, be it with itself, takes part.
        compare(costs, costs, zone, evidence)?;
        Some(Spread::of(costs.values().copied(), evidence)?.median)
    };
    let middles: Vec<Option<f64>> = contestants.iter().map(middle).collect();
    rank_by(&middles, |one, other| {
        compare(&contestants[one], &contestants[other], zone, evidence)
    })
}

/// The same where contestants are given by their logarithmic cost (`None` takes no part) and compared
/// by their places.
pub fn rank_by(
    middles: &[Option<f64>],
    against: impl Fn(usize, usize) -> Option<Comparison>,
) -> Vec<Option<Ranked>> {
    let mut order: Vec<(f64, usize)> = (0..middles.len())
        .filter_map(|index| Some((middles[index]?, index)))
        .collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));

    let mut places = vec![None; middles.len()];
    let Some(&(_, best)) = order.first() else {
        return places;
    };
    let mut leaders = vec![best];
    for &(_, index) in &order {
        let Some(against_best) = against(index, best) else {
            continue;
        };
        let tied =
            |leader: &usize| against(index, *leader).is_some_and(|c| c.verdict != Verdict::Slower);
        let tier = leaders.iter().position(tied).unwrap_or_else(|| {
            leaders.push(index);
            leaders.len() - 1
        });
        places[index] = Some(Ranked {
            tier: tier + 1,
            best: index == best,
            against_best,
        });
    }
    places
}
