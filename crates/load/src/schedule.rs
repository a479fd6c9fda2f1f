//! When requests are due in an open loop: constant or Poisson arrivals from a seed.

use std::sync::Arc;

use schema::load::Arrivals;
use schema::random::SplitMix64;

use crate::clock::SECOND_NS;
use crate::profile::Step;
use crate::random;
use crate::script::Script;

/// A part of the schedule in which the rate changes linearly.
#[derive(Debug, Clone, Copy)]
struct Segment {
    /// Arrivals expected before it, of all threads.
    before: f64,
    /// Arrivals expected before its end.
    until: f64,
    /// Its start, after the anchor.
    start_ns: f64,
    /// Arrivals per nanosecond at its start.
    rate: f64,
    /// How much the rate grows per nanosecond.
    slope: f64,
}

impl Segment {
    /// When, after the anchor, `count` arrivals are expected to have come: the time x that solves
    /// rate x + slope x^2 / 2 = count - before, in the form that holds for a slope of 0 as well.
    fn reached_ns(&self, count: f64) -> f64 {
        let more = count - self.before;
        if more <= 0.0 {
            return self.start_ns;
        }
        let root = if self.slope == 0.0 {
            self.rate
        } else {
            // Rounding may leave a descending ramp a little below 0 at its end.
            f64::max(self.rate * self.rate + 2.0 * self.slope * more, 0.0).sqrt()
        };
        self.start_ns + 2.0 * more / (self.rate + root)
    }
}

/// One thread's share of the arrivals. All shares together are the whole arrival process: a share
/// is every `shares`-th arrival of a constant process, or an independent part of a Poisson process.
///
/// Arrivals are counted first and then placed in time: the n-th arrival of a constant process comes
/// when n arrivals are expected; those of a Poisson process have exponential gaps in that count. So
/// one rule is right for every profile, and rounding never accumulates.
#[derive(Debug)]
pub(crate) struct Schedule {
    arrivals: Arrivals,
    anchor_ns: u64,
    segments: Vec<Segment>,
    /// The segment of the next arrival; after the last segment there is no arrival.
    segment: usize,
    /// The next arrival, in the count of all threads.
    count: f64,
    /// Constant: number of the next arrival of this share. Poisson: unused.
    index: u64,
    share: f64,
    shares: f64,
    next_due_ns: u64,
    random: SplitMix64,
    /// The arrivals of a replay, instead of all this.
    replay: Option<Arc<Script>>,
}

impl Schedule {
    /// Share number `share` of `shares`, from `anchor_ns` of the monotonic clock on.
    pub(crate) fn new(
        arrivals: Arrivals,
        steps: impl IntoIterator<Item = Step>,
        seed: u64,
        (share, shares): (usize, usize),
        anchor_ns: u64,
    ) -> Self {
        let mut schedule = Self {
            arrivals,
            anchor_ns,
            segments: segments(steps),
            segment: 0,
            count: share as f64,
            index: 0,
            share: share as f64,
            shares: shares as f64,
            next_due_ns: u64::MAX,
            random: random::of_thread(seed, share),
            replay: None,
        };
        if arrivals == Arrivals::Poisson {
            schedule.count = schedule.random_gap();
        }
        schedule.place();
        schedule
    }

    /// Share number `share` of `shares` of a replay: every `shares`-th request, at its own time.
    pub(crate) fn replay(
        script: &Arc<Script>,
        (share, shares): (usize, usize),
        anchor_ns: u64,
    ) -> Self {
        let none = std::iter::empty();
        let mut schedule = Self::new(Arrivals::Constant, none, 0, (share, shares), anchor_ns);
        schedule.replay = Some(Arc::clone(script));
        schedule.place();
        schedule
    }

    /// Moves constant arrivals by `phase` of the gap between two of them. Those of a Poisson process have no
    /// phase, and those of a replay have their own times.
    pub(crate) fn shifted(mut self, phase: f64) -> Self {
        if self.arrivals == Arrivals::Constant && phase > 0.0 {
            self.share += phase;
            self.count = self.share;
            self.place();
        }
        self
    }

    /// When the next request is due; `u64::MAX` when there is none.
    #[inline]
    pub(crate) fn next_due_ns(&self) -> u64 {
        self.next_due_ns
    }

    /// Moves on to the arrival after the next.
    pub(crate) fn advance(&mut self) {
        self.index += 1;
        self.count = match self.arrivals {
            // Multiplied, not accumulated: the n-th arrival is exact however long the run.
            Arrivals::Constant => self.share + self.index as f64 * self.shares,
            Arrivals::Poisson => self.count + self.random_gap(),
        };
        self.place();
    }

    /// Finds the time of the counted arrival.
    fn place(&mut self) {
        if let Some(script) = &self.replay {
            // The counts are whole numbers, far below 2^53.
            let due_ns = script.due_ns.get(self.count as usize);
            self.next_due_ns = due_ns.map_or(u64::MAX, |ns| self.anchor_ns + ns);
            return;
        }
        while let Some(segment) = self.segments.get(self.segment) {
            if self.count < segment.until {
                self.next_due_ns = self.anchor_ns + segment.reached_ns(self.count) as u64;
                return;
            }
            self.segment += 1;
        }
        self.next_due_ns = u64::MAX;
    }

    fn random_gap(&mut self) -> f64 {
        // 1 - u lies in (0, 1], so the logarithm is finite.
        -(1.0 - self.random.uniform()).ln() * self.shares
    }
}

fn segments(steps: impl IntoIterator<Item = Step>) -> Vec<Segment> {
    let (mut before, mut start_ns) = (0.0, 0.0);
    let place = |step: Step| {
        let length_ns = step.duration.as_nanos() as f64;
        let per_ns = |rate: f64| rate / SECOND_NS as f64;
        let segment = Segment {
            before,
            until: before + per_ns(step.rate_from + step.rate_to) / 2.0 * length_ns,
            start_ns,
            rate: per_ns(step.rate_from),
            slope: per_ns(step.rate_to - step.rate_from) / length_ns,
        };
        before = segment.until;
        start_ns += length_ns;
        segment
    };
    // A step without a length, such as a warm-up of zero, has no slope.
    let steps = steps.into_iter().filter(|step| !step.duration.is_zero());
    steps.map(place).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn steady(rate: f64) -> [Step; 1] {
        [Step::constant(rate, Duration::from_secs(1_000_000))]
    }

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
                let mut share = Schedule::new(Arrivals::Constant, steady(1000.0), 1, (k, 3), 500);
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
    fn machines_interleave_as_threads_do() {
        let steps = [Step::constant(250.0, Duration::from_secs(1_000_000))];
        let mut all: Vec<u64> = (0..8)
            .flat_map(|k| {
                let (machine, thread) = (k / 2, k % 2);
                let share = Schedule::new(Arrivals::Constant, steps, 1, (thread, 2), 500);
                let phase = machine as f64 / 4.0;
                arrivals(&mut share.shifted(phase), SECOND_NS + 500)
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
        let mut schedule = Schedule::new(Arrivals::Poisson, steady(10_000.0), 7, (0, 1), 0);
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
                &mut Schedule::new(Arrivals::Poisson, steady(500.0), seed, (0, 1), 0),
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
        let mut schedule = Schedule::new(Arrivals::Poisson, steady(load * 1e3), 11, (0, 1), 0);
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

    fn profile() -> Vec<Step> {
        ["100:1s", "100-900:2s", "0:1s", "900-0:1s"]
            .map(|text| text.parse().unwrap())
            .to_vec()
    }

    #[test]
    fn steps_hold_the_requests_they_promise_and_end_the_schedule() {
        for (threads, kind) in [(1, Arrivals::Constant), (3, Arrivals::Constant)] {
            let mut all: Vec<u64> = (0..threads)
                .flat_map(|k| {
                    let mut share = Schedule::new(kind, profile(), 1, (k, threads), 0);
                    arrivals(&mut share, u64::MAX)
                })
                .collect();
            all.sort_unstable();
            let within = |from_s: f64, to_s: f64| {
                let at = |s: f64| (s * SECOND_NS as f64) as u64;
                all.iter()
                    .filter(|ns| (at(from_s)..at(to_s)).contains(ns))
                    .count()
            };
            // The first half of the ramp from 100 to 900 per second holds 300 of its 1000.
            let found = [(0.0, 1.0), (1.0, 2.0), (2.0, 3.0), (3.0, 4.0), (4.0, 9.0)]
                .map(|(from, to)| within(from, to));
            for (found, expected) in found.into_iter().zip([100usize, 300, 700, 0, 450]) {
                assert!(found.abs_diff(expected) <= 1, "{found} {expected}");
            }
            assert_eq!(all.len(), 1550);
        }
    }

    #[test]
    fn a_poisson_ramp_has_the_mean_of_its_rate() {
        let mut schedule = Schedule::new(Arrivals::Poisson, profile(), 5, (0, 1), 0);
        let due = arrivals(&mut schedule, u64::MAX);
        assert!(due.is_sorted());
        // 1550 are expected, with a standard deviation of 39.
        assert!(due.len().abs_diff(1550) < 160, "{}", due.len());
        let ramp = due
            .iter()
            .filter(|ns| (SECOND_NS..3 * SECOND_NS).contains(ns));
        assert!(ramp.count().abs_diff(1000) < 130);
        assert!(
            !due.iter()
                .any(|ns| (3 * SECOND_NS + 1..4 * SECOND_NS).contains(ns))
        );
    }
}
