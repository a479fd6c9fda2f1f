//! Two rows of a column against each other: by the pairs of blocks or rotations that hold both.
//!
//! A percentile of slices is that of their merged histograms, and two are compared by drawing the same
//! rotations for both. Every other figure is a value per unit, and its pairs are summed up by ranks. A run
//! that stops where its verdicts are settled is judged at the level that the look of each pair may
//! spend.

use std::collections::{BTreeMap, BTreeSet};

use crate::cell::{Cell, State};
use crate::metric::Metric;
use crate::run::Run;
use crate::stats::resample::{self, Counts};
use crate::stats::sequential::{self, Bounds, FIRST};
use crate::stats::{self, Comparison, Evidence, INFINITE_LOG, LEVEL, Noise, Spread};

/// The probability that a run in rounds tells a wrong verdict in a column, over all of its looks.
const ALPHA: f64 = 0.05;

/// One row of a column, as far as it may be compared.
#[derive(Debug, Clone, Default)]
pub struct Side {
    /// Logarithmic costs by unit.
    costs: BTreeMap<u32, f64>,
    /// Histograms by unit, where the figure is a percentile of slices.
    slices: BTreeMap<u32, Counts>,
    /// The rotations it was loaded in, by block.
    rotations: BTreeMap<u32, BTreeSet<u32>>,
    /// It held the offered rate, or the figure means something without.
    held: bool,
}

/// How the rows of a column are compared.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    metric: Metric,
    evidence: Evidence,
    looks: Option<Looks>,
}

/// The looks of a run in rounds.
#[derive(Debug, Clone, Copy)]
struct Looks {
    /// Within this a server is tied with the best, a logarithm.
    until: f64,
    rotations_max: usize,
    /// What one comparison of the column may spend, over all of its looks.
    alpha: f64,
}

impl Side {
    /// A row by `metric`; empty for a cell that is not [`State::Valid`] for it, which is never compared.
    pub fn of(cell: &Cell<'_>, metric: Metric) -> Self {
        if cell.state_for(metric) != State::Valid {
            return Self::default();
        }
        Self {
            costs: cell.costs(metric),
            slices: cell.slices(metric),
            rotations: cell.rotations(),
            held: !metric.needs_the_rate_held() || cell.holds(metric),
        }
    }

    /// The same without the units in which it failed altogether.
    pub fn finite(mut self) -> Self {
        self.costs.retain(|_, cost| cost.abs() < INFINITE_LOG);
        self
    }

    /// Logarithmic costs by unit.
    pub fn costs(&self) -> &BTreeMap<u32, f64> {
        &self.costs
    }

    /// Whether percentiles are those of merged histograms.
    fn is_merged(&self) -> bool {
        self.held && !self.slices.is_empty()
    }
}

impl Rule {
    /// The rule for a column of `run` in which `servers` are ranked.
    pub fn of(run: &Run, scenario: &str, metric: Metric, servers: usize) -> Self {
        let looks = run.env.sequential.filter(|_| run.is_in_slices(scenario));
        Self {
            metric,
            evidence: run.evidence(scenario),
            looks: looks.map(|how| Looks {
                until: (how.until_percent / 100.0).ln_1p(),
                rotations_max: how.rotations_max as usize,
                alpha: ALPHA / servers.saturating_sub(1).max(1) as f64,
            }),
        }
    }

    /// The rule of one comparison that is made once, however long the run went on.
    pub fn once(run: &Run, scenario: &str, metric: Metric) -> Self {
        Self {
            looks: None,
            ..Self::of(run, scenario, metric, 0)
        }
    }

    /// What the number of units allows one to conclude.
    pub fn evidence(&self) -> Evidence {
        self.evidence
    }

    /// The indifference zone of a column with such a placebo, a logarithm.
    pub fn zone(&self, noise: Noise) -> f64 {
        match self.looks {
            Some(looks) => noise.of_estimates.max(looks.until),
            None => noise.zone(),
        }
    }

    /// Within what distance of the best a server is tied, a logarithm, where the run says it.
    pub fn tied_within(&self) -> Option<f64> {
        Some(self.looks?.until)
    }

    /// The logarithmic cost by which a row has its place; `None` for one that takes no part.
    pub fn middle(&self, side: &Side, zone: f64) -> Option<f64> {
        // Only what can be compared at all, be it with itself, takes part.
        self.compare(side, side, zone)?;
        let quantile = || {
            let q = self.metric.quantile().filter(|_| side.is_merged())?;
            let slices: Vec<&Counts> = side.slices.values().collect();
            Some(resample::quantile(&slices, q, 1.0 - LEVEL)?.log)
        };
        let of_units = || Spread::of(side.costs.values().copied(), self.evidence);
        quantile().or_else(|| Some(of_units()?.median))
    }

    /// `one` against `other`; `None` where nothing may be concluded at all, as before the first look of
    /// a run in rounds.
    pub fn compare(&self, one: &Side, other: &Side, zone: f64) -> Option<Comparison> {
        let Some(looks) = self.looks else {
            let merged = self.merged(one, other, 1.0 - LEVEL, stats::bounds(zone));
            return merged
                .or_else(|| stats::compare(&one.costs, &other.costs, zone, self.evidence));
        };
        let bounds = Bounds {
            least: looks.until / 2.0,
            zone,
            within: looks.until,
        };
        let alpha = looks.alpha(one, other)?;
        let merged = self.merged(one, other, alpha, bounds);
        merged.or_else(|| sequential::judge(&logs(one, other), alpha, bounds))
    }

    /// Two percentiles of merged slices; `None` for other figures.
    fn merged(&self, one: &Side, other: &Side, alpha: f64, bounds: Bounds) -> Option<Comparison> {
        let q = self.metric.quantile()?;
        if self.evidence != Evidence::Intervals || !one.is_merged() || !other.is_merged() {
            return None;
        }
        let pairs: Vec<(&Counts, &Counts)> = one
            .slices
            .iter()
            .filter_map(|(unit, counts)| Some((counts, other.slices.get(unit)?)))
            .collect();
        resample::compare_quantiles(&pairs, q, alpha, bounds)
    }

    /// How far equal servers may seem apart, as a placebo and its original show it.
    pub fn noise(&self, told: Option<Comparison>, logs: &[f64], merged: bool) -> Noise {
        match told.filter(|_| merged) {
            Some(told) => Noise {
                of_estimates: told.low.abs().max(told.high.abs()),
            },
            None => Noise::of(logs, self.evidence),
        }
    }

    /// Whether the two are compared by their merged slices.
    pub fn is_merged(&self, one: &Side, other: &Side) -> bool {
        let anything = Bounds::default();
        self.merged(one, other, 1.0 - LEVEL, anything).is_some()
    }
}

impl Looks {
    /// What the latest look at the pair may spend: the share of the rotations that its last round added.
    /// `None` before the first look.
    fn alpha(&self, one: &Side, other: &Side) -> Option<f64> {
        let both = |(block, rotations): (&u32, &BTreeSet<u32>)| {
            let theirs = other.rotations.get(block)?;
            Some(rotations.intersection(theirs).count()).filter(|&count| count > 0)
        };
        let rounds: Vec<usize> = one.rotations.iter().filter_map(both).collect();
        let now: usize = rounds.iter().sum();
        if now < FIRST {
            return None;
        }
        let before = now - rounds.last()?;
        let before = if before < FIRST { 0 } else { before };
        let spent = sequential::spent(self.alpha, before, now, self.rotations_max);
        (spent > 0.0).then_some(spent)
    }
}

/// How many times worse `one` was in each unit that holds both, as logarithms in the order of time.
pub fn logs(one: &Side, other: &Side) -> Vec<f64> {
    let pair = |(unit, cost): (&u32, &f64)| Some(cost - other.costs.get(unit)?);
    one.costs.iter().filter_map(pair).collect()
}
