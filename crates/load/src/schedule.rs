//! When requests are due in an open loop: constant or Poisson arrivals from a seed.

use clap::ValueEnum;
use serde::Serialize;

use crate::clock::SECOND_NS;

/// How the arrivals of an open loop are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Exponential gaps, as independent users make them.
    Poisson,
    /// Equal gaps.
    Constant,
}

/// One thread's share of the arrivals. The shares of all threads together are the whole process:
/// every `threads`-th arrival of a constant one, an independent part of a Poisson one.
#[derive(Debug)]
pub(crate) struct Schedule {
    arrivals: Arrivals,
    anchor_ns: u64,
    /// Mean gap between two arrivals of this share.
    gap_ns: f64,
    /// Constant: number of the next arrival of this share. Poisson: unused.
    index: u64,
    /// Next arrival after the anchor.
    offset_ns: f64,
    /// Constant: the first arrival of this share after the anchor.
    lead_ns: f64,
    random: SplitMix,
}

impl Schedule {
    /// The share of thread `share` out of `shares`, anchored at a moment of the monotonic clock.
    pub(crate) fn new(
        arrivals: Arrivals,
        rate: f64,
        seed: u64,
        (share, shares): (usize, usize),
        anchor_ns: u64,
    ) -> Self {
        let whole_gap_ns = SECOND_NS as f64 / rate;
        let mut schedule = Self {
            arrivals,
            anchor_ns,
            gap_ns: whole_gap_ns * shares as f64,
            index: 0,
            offset_ns: 0.0,
            lead_ns: whole_gap_ns * share as f64,
            random: SplitMix(seed ^ (share as u64).wrapping_mul(0xA076_1D64_78BD_642F)),
        };
        schedule.offset_ns = match arrivals {
            Arrivals::Constant => schedule.lead_ns,
            Arrivals::Poisson => schedule.random_gap_ns(),
        };
        schedule
    }

    /// When the next request is due.
    #[inline]
    pub(crate) fn next_due_ns(&self) -> u64 {
        self.anchor_ns + self.offset_ns as u64
    }

    /// Moves on to the arrival after the next.
    pub(crate) fn advance(&mut self) {
        self.index += 1;
        self.offset_ns = match self.arrivals {
            // Multiplied, not accumulated: the n-th arrival is exact however long the run.
            Arrivals::Constant => self.lead_ns + self.index as f64 * self.gap_ns,
            Arrivals::Poisson => self.offset_ns + self.random_gap_ns(),
        };
    }

    fn random_gap_ns(&mut self) -> f64 {
        // 1 - u lies in (0, 1], so the logarithm is finite.
        -(1.0 - self.random.unit()).ln() * self.gap_ns
    }
}

/// Steele, Lea and Flood's SplitMix64 ("Fast splittable pseudorandom number generators", 2014):
/// small, and the same on every machine, which is all a recorded seed asks for.
#[derive(Debug)]
struct SplitMix(u64);

impl SplitMix {
    /// Uniform in [0, 1), 53 bits.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(schedule: &mut Schedule, until_ns: u64) -> Vec<u64> {
        let mut due = Vec::new();
        while schedule.next_due_ns() < until_ns {
            due.push(schedule.next_due_ns());
            schedule.advance();
        }
        due
    }

    #[test]
    fn constant_shares_interleave_into_equal_gaps() {
        let mut all: Vec<u64> = (0..3)
            .flat_map(|k| {
                let mut share = Schedule::new(Arrivals::Constant, 1000.0, 1, (k, 3), 500);
                arrivals(&mut share, SECOND_NS + 500)
            })
            .collect();
        all.sort_unstable();
        assert_eq!(all.len(), 1000);
        assert!(
            all.windows(2)
                .all(|w| (w[1] - w[0]).abs_diff(1_000_000) <= 1)
        );
    }

    #[test]
    fn poisson_gaps_have_the_mean_and_the_spread_of_an_exponential() {
        let mut schedule = Schedule::new(Arrivals::Poisson, 10_000.0, 7, (0, 1), 0);
        let due = arrivals(&mut schedule, 20 * SECOND_NS);
        let gaps: Vec<f64> = due.windows(2).map(|w| (w[1] - w[0]) as f64).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((mean / 100_000.0 - 1.0).abs() < 0.01, "mean {mean}");
        assert!(
            (variance.sqrt() / mean - 1.0).abs() < 0.02,
            "cv {}",
            variance.sqrt() / mean
        );
    }

    #[test]
    fn a_seed_repeats_itself_and_differs_from_another() {
        let draw = |seed| {
            arrivals(
                &mut Schedule::new(Arrivals::Poisson, 500.0, seed, (0, 1), 0),
                SECOND_NS,
            )
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }

    /// Pollaczek and Khinchine: with a fixed service time S and load r, Poisson arrivals wait
    /// r S / (2 (1 - r)) on average. Lindley's recursion gives what this schedule makes them wait.
    #[test]
    fn poisson_arrivals_wait_as_queueing_theory_says() {
        let (service_ns, load) = (1e6, 0.7);
        let mut schedule = Schedule::new(Arrivals::Poisson, load * 1e3, 11, (0, 1), 0);
        let (mut free_ns, mut waited_ns, arrivals) = (0.0, 0.0, 400_000);
        for _ in 0..arrivals {
            let due_ns = schedule.next_due_ns() as f64;
            schedule.advance();
            waited_ns += f64::max(free_ns - due_ns, 0.0);
            free_ns = f64::max(free_ns, due_ns) + service_ns;
        }
        let expected_ns = load * service_ns / (2.0 * (1.0 - load));
        let mean_ns = waited_ns / f64::from(arrivals);
        assert!(
            (mean_ns / expected_ns - 1.0).abs() < 0.03,
            "{mean_ns} {expected_ns}"
        );
    }
}
