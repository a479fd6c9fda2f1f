//! One figure of one server in two runs, and what follows.

use serde::Serialize;

use crate::metric::Metric;
use crate::stats::{Comparison, INFINITE_LOG, Spread, Verdict};

/// The reason where there are too few trials for a verdict.
pub const TOO_FEW: &str = "too few trials";

/// What follows from comparing one figure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// The server has no figure any more, or lost trials where it lost none, and is itself the reason.
    Lost,
    /// The later run is worse, beyond the zone and decided.
    Worse,
    /// It is better.
    Better,
    /// Neither a difference nor equivalence was found.
    TooClose,
    /// The difference lies within the zone.
    Equivalent,
    /// The earlier run has a figure; the later one's is unusable because of the machine or the generator.
    NotComparable,
    /// There is nothing to compare; the reason says why.
    #[default]
    NotCompared,
}

/// A figure over the trials of one run, in its own unit.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Side {
    /// Median; `null` is infinite.
    pub median: Option<f64>,
    /// Trials.
    pub n: usize,
}

impl Side {
    /// The side of a figure with that spread.
    pub fn of(spread: Spread) -> Self {
        Self {
            median: spread.median.is_finite().then_some(spread.median),
            n: spread.n,
        }
    }
}

/// One figure of one model in one load of one scenario, in both runs.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Line {
    /// The model, as the reports call it.
    pub model: String,
    /// The scenario.
    pub scenario: String,
    /// The load: `closed loop`, `at 5,000/s`, `10,000 connections`.
    pub load: String,
    /// `throughput`, `server CPU per request`...
    pub figure: &'static str,
    /// The earlier run.
    pub before: Option<Side>,
    /// The later run.
    pub after: Option<Side>,
    /// How many times worse the later one is; 1.1 is 10 % worse in every figure.
    pub ratio: Option<f64>,
    /// Lower end of its interval, or span.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Indifference zone as a ratio: 1.03 is 3 %.
    pub zone: Option<f64>,
    /// The smallest slowdown that would have been found, as a ratio; `null`: none would.
    pub smallest_slowdown: Option<f64>,
    /// What follows.
    pub finding: Finding,
    /// It decides its scenario.
    pub decides: bool,
    /// It is counted and not timed, and so has next to no noise.
    pub exact: bool,
    /// Why it is not compared; else empty.
    pub reason: String,
    /// The figure's metric; `None` for validity.
    #[serde(skip)]
    pub metric: Option<Metric>,
}

impl Line {
    /// `true` when a slowdown of the factor `see` would have been found.
    pub fn would_have_shown(&self, see: f64) -> bool {
        self.smallest_slowdown
            .is_some_and(|smallest| smallest <= see)
    }

    /// A line about `metric`, or about validity, not compared yet.
    pub fn empty(metric: Option<Metric>) -> Self {
        Self {
            figure: metric.map_or("validity", Metric::name),
            metric,
            ..Self::default()
        }
    }

    /// Writes down what follows from `comparison`; `None`: there were too few trials for one.
    pub fn judge(&mut self, comparison: Option<Comparison>) {
        let Some(comparison) = comparison else {
            self.reason = TOO_FEW.to_owned();
            return;
        };
        let ratio = |log: f64| (log.abs() < INFINITE_LOG / 2.0).then(|| log.exp());
        (self.ratio, self.low, self.high) = (
            ratio(comparison.log),
            ratio(comparison.low),
            ratio(comparison.high),
        );
        self.smallest_slowdown = ratio(comparison.smallest);
        self.finding = match comparison.verdict {
            Verdict::Slower => Finding::Worse,
            Verdict::Faster => Finding::Better,
            Verdict::Equivalent => Finding::Equivalent,
            Verdict::TooClose => Finding::TooClose,
        };
    }
}
