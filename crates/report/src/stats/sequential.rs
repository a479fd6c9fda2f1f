//! Looking repeatedly, and stopping as soon as it is decided, without being wrong more often.
//!
//! The method is alpha spending at looks fixed beforehand (Lan and DeMets, "Discrete sequential
//! boundaries for clinical trials", Biometrika 70, 1983), with a linear spending function. The looks are
//! taken at [`FIRST`] pairs and then whenever the number has grown by a quarter, up to the number at which
//! the measurement ends whatever was seen. Of the probability α of being wrong at any look, each
//! look gets the share by which it added pairs, and its interval is Wilcoxon's at that level.
//!
//! That all intervals cover the truth at once, with a probability of 1 - α at least, follows from
//! adding up the shares (Boole's inequality). It needs no assumption on how the looks depend on each
//! other, so it holds for a rank statistic as it does for a mean, and for "equal" as for "slower". The
//! price is an interval about a quarter wider than one of a single look.

use std::collections::BTreeMap;

use super::comparison::{Comparison, Verdict};
use super::dependence::dependence;
use super::signed_rank::{hodges_lehmann, wilcoxon_interval};

/// Pairs at the first look. Fewer could not reach the level that a first look is given.
pub const FIRST: usize = 12;

/// Pairs that are worth fewer independent ones than these decide nothing: that few do not tell how much
/// they depend on each other either.
const WORTH_MIN: f64 = 8.0;

/// Each look comes when there are this many times the pairs of the one before.
const GROWTH: f64 = 1.25;

/// What counts as a difference, as logarithms.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bounds {
    /// A difference counts when its interval lies wholly beyond this...
    pub least: f64,
    /// ...and its estimate beyond this.
    pub zone: f64,
    /// Two are equal when the interval lies within this.
    pub within: f64,
}

/// When to look, and how much of the probability of an error each look may use.
#[derive(Debug, Clone)]
pub struct Schedule {
    looks: BTreeMap<usize, f64>,
    pairs_max: usize,
}

impl Schedule {
    /// The looks of a measurement that ends at `pairs_max` pairs and is wrong with the probability
    /// `alpha` at most. With fewer than [`FIRST`] pairs there is the last look only.
    pub fn new(pairs_max: usize, alpha: f64) -> Self {
        let mut places = Vec::new();
        let mut next = FIRST;
        while next < pairs_max {
            places.push(next);
            next = (next as f64 * GROWTH).ceil() as usize;
        }
        // A look shortly before the last one would cost more than it saves.
        if places
            .last()
            .is_some_and(|&n| n as f64 * 1.1 > pairs_max as f64)
        {
            places.pop();
        }
        places.push(pairs_max);
        let mut before = 0;
        let looks = places.into_iter().map(|n| {
            let spent = spent(alpha, before, n, pairs_max);
            before = n;
            (n, spent)
        });
        Self {
            looks: looks.collect(),
            pairs_max,
        }
    }

    /// What a look at `pairs` pairs may spend; `None` where none is due.
    pub fn due(&self, pairs: usize) -> Option<f64> {
        self.looks.get(&pairs).copied()
    }

    /// What a last look at `pairs` pairs may spend when it has to end there: the share of the pairs since
    /// the look before. `None` where there are none.
    pub fn rest(&self, pairs: usize) -> Option<f64> {
        let before = self.looks.keys().rev().find(|look| **look <= pairs);
        let since = pairs - before.copied().unwrap_or(0);
        let alpha: f64 = self.looks.values().sum();
        (since > 0).then(|| alpha * since as f64 / self.pairs_max as f64)
    }

    /// The number of pairs at which it ends.
    pub fn pairs_max(&self) -> usize {
        self.pairs_max
    }

    /// Every look: its pairs, and what it may spend.
    pub fn looks(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.looks.iter().map(|(pairs, alpha)| (*pairs, *alpha))
    }
}

/// What a look at `now` pairs may spend of `alpha` when the look before it was at `before` and the last
/// one is at `pairs_max`: the share of the pairs since then. However many looks there are, they spend
/// `alpha` together.
pub fn spent(alpha: f64, before: usize, now: usize, pairs_max: usize) -> f64 {
    let since = now.min(pairs_max) - before.min(now).min(pairs_max);
    alpha * since as f64 / pairs_max.max(1) as f64
}

/// How many rotations each round of a run adds that is to end after `rotations_max`. Servers are started
/// afresh for a round, and there is a look at the end of each but the first: two rounds make up the
/// [`FIRST`] look, and each one later makes the number grow by a quarter at least.
pub fn rounds(rotations_max: usize) -> Vec<usize> {
    const STEP: usize = FIRST / 2;
    let mut rounds = vec![STEP, FIRST - STEP];
    let mut done = FIRST;
    while done < rotations_max {
        let grown = (done as f64 * (GROWTH - 1.0)).ceil() as usize;
        let next = grown.next_multiple_of(STEP).min(rotations_max - done);
        rounds.push(next);
        done += next;
    }
    rounds
}

/// Judges the log-ratios of pairs, in the order in which they were taken, by an interval that is wrong
/// with the probability `alpha` at most; `None` for too few pairs.
///
/// The interval is Wilcoxon's around the Hodges-Lehmann estimate, stretched by the root of the
/// [`dependence`] of the pairs. Pairs that depend on each other so much that they are worth fewer than
/// eight are left open.
pub fn judge(logs: &[f64], alpha: f64, bounds: Bounds) -> Option<Comparison> {
    let log = hodges_lehmann(logs)?;
    let (low, high) = wilcoxon_interval(logs, 1.0 - alpha)?;
    let dependence = dependence(logs);
    let stretch = dependence.sqrt();
    let (low, high) = (log - (log - low) * stretch, log + (high - log) * stretch);
    Some(Comparison {
        log,
        low,
        high,
        pairs: logs.len(),
        verdict: match logs.len() as f64 / dependence {
            worth if worth < WORTH_MIN => Verdict::TooClose,
            _ => verdict(log, (low, high), bounds),
        },
        smallest: bounds.zone.max(bounds.least + (log - low)),
    })
}

/// The verdict of an estimate with its interval: see [`Bounds`].
pub fn verdict(log: f64, (low, high): (f64, f64), bounds: Bounds) -> Verdict {
    let Bounds {
        least,
        zone,
        within,
    } = bounds;
    if low > least && log > zone {
        Verdict::Slower
    } else if high < -least && log < -zone {
        Verdict::Faster
    } else if low >= -within && high <= within {
        Verdict::Equivalent
    } else {
        Verdict::TooClose
    }
}

/// How many pairs in all would decide what `now` leaves open, if the estimate stays where it is and its
/// interval shrinks with the root of their number; `None` where it is decided already.
pub fn pairs_to_decide(now: &Comparison, bounds: Bounds) -> Option<usize> {
    let Bounds {
        least,
        zone,
        within,
    } = bounds;
    if now.verdict != Verdict::TooClose {
        return None;
    }
    let size = now.log.abs();
    let half = (now.high - now.low) / 2.0;
    // Whichever comes first: a difference, where there is one that counts, or that there is none.
    let to_differ = if size > zone { size - least } else { 0.0 };
    let room = to_differ.max(within - size);
    let times = (half / room).powi(2);
    let pairs = now.pairs as f64 * times.max(1.0);
    // A value on the edge of the zone would take for ever.
    (pairs < 1e9).then_some(pairs.ceil() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        least: 0.01,
        zone: 0.03,
        within: 0.03,
    };

    #[test]
    fn the_shares_add_up_to_alpha_and_the_last_look_is_the_end() {
        for pairs_max in [1, 5, 12, 13, 40, 120, 400] {
            let schedule = Schedule::new(pairs_max, 0.05);
            let spent: f64 = schedule.looks().map(|(_, alpha)| alpha).sum();
            assert!((spent - 0.05).abs() < 1e-12, "{pairs_max}");
            assert_eq!(schedule.looks().last().map(|(n, _)| n), Some(pairs_max));
        }
        let looks: Vec<usize> = Schedule::new(60, 0.05).looks().map(|(n, _)| n).collect();
        assert_eq!(looks, [12, 15, 19, 24, 30, 38, 48, 60]);
        assert_eq!(Schedule::new(60, 0.05).due(13), None);
        // The time was over at 27 pairs, three behind the look at 24.
        let rest = Schedule::new(60, 0.05).rest(27).expect("three pairs");
        assert!((rest - 0.05 * 3.0 / 60.0).abs() < 1e-12);
        assert_eq!(Schedule::new(60, 0.05).rest(24), None);
        // The first of 60 pairs may spend a fifth.
        let first = Schedule::new(60, 0.05).due(12).expect("a look");
        assert!((first - 0.01).abs() < 1e-12);
    }

    #[test]
    fn rounds_end_at_looks_that_spend_alpha_together() {
        assert_eq!(rounds(60), [6, 6, 6, 6, 6, 12, 12, 6]);
        assert_eq!(rounds(12), [6, 6]);
        for rotations_max in [24, 100, 120, 1080] {
            let rounds = rounds(rotations_max);
            assert_eq!(rounds.iter().sum::<usize>(), rotations_max);
            assert!(rounds.len() < 30, "{rounds:?}");
            let (mut before, mut all) = (0, 0.0);
            let mut now = rounds[0];
            for more in &rounds[1..] {
                now += more;
                all += spent(0.05, before, now, rotations_max);
                before = now;
            }
            assert!((all - 0.05).abs() < 1e-12);
        }
        assert_eq!(spent(0.05, 100, 130, 100), 0.0);
    }

    #[test]
    fn the_interval_of_alternating_values_is_wilcoxons_but_for_a_doubt() {
        // Twenty values, 1 to 20 hundredths with alternating signs: batches do not vary more.
        let logs: Vec<f64> = (1..=20)
            .map(|i| f64::from(i) * if i % 2 == 0 { 0.01 } else { -0.01 })
            .collect();
        let told = judge(&logs, 0.05, BOUNDS).expect("twenty values");
        let (low, high) = wilcoxon_interval(&logs, 0.95).expect("twenty values");
        // The doubt about a correlation of nothing in twenty values.
        let doubt = 0.5 / f64::sqrt(20.0);
        let stretch = f64::sqrt((1.0 + doubt) / (1.0 - doubt));
        assert!((told.high - told.log - (high - told.log) * stretch).abs() < 1e-12);
        assert!((told.log - told.low - (told.log - low) * stretch).abs() < 1e-12);
        assert_eq!(told.verdict, Verdict::TooClose);
    }

    #[test]
    fn verdicts_follow_the_bounds() {
        let cases = [
            (0.05, (0.02, 0.08), Verdict::Slower),
            (-0.05, (-0.08, -0.02), Verdict::Faster),
            (0.02, (0.015, 0.025), Verdict::Equivalent),
            (0.02, (0.005, 0.035), Verdict::TooClose),
            (0.05, (0.005, 0.095), Verdict::TooClose),
        ];
        for (log, span, expected) in cases {
            assert_eq!(verdict(log, span, BOUNDS), expected, "{log} {span:?}");
        }
    }

    #[test]
    fn half_the_interval_takes_four_times_the_pairs() {
        let open = |log: f64, half: f64| Comparison {
            log,
            low: log - half,
            high: log + half,
            pairs: 20,
            verdict: Verdict::TooClose,
            smallest: 0.0,
        };
        // Equal, once the half-width of 0.06 is 0.03.
        assert_eq!(pairs_to_decide(&open(0.0, 0.06), BOUNDS), Some(80));
        // Different, once 0.08 is 0.04.
        assert_eq!(pairs_to_decide(&open(0.05, 0.08), BOUNDS), Some(80));
        assert_eq!(pairs_to_decide(&open(0.03, 0.08), BOUNDS), None);
        let decided = Comparison {
            verdict: Verdict::Slower,
            ..open(0.05, 0.01)
        };
        assert_eq!(pairs_to_decide(&decided, BOUNDS), None);
    }
}
