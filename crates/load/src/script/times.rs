//! When the requests of a log are due in a replay.

use std::time::Duration;

use schema::load::Arrivals;
use schema::random::SplitMix64;
use traces::Entry;

use crate::clock::{SECOND_NS, duration_ns};
use crate::plan::{Pace, Plan};

/// Makes the random numbers of smoothing differ from the others of the seed.
const STREAM: u64 = 0x7265_706C_6179_5F73;

/// How the times of a log become those of a replay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Smoothing {
    /// Requests of each such stretch are spread over it; kept as they are where absent.
    pub(crate) window_ns: Option<u64>,
    pub(crate) arrivals: Arrivals,
    pub(crate) seed: u64,
    pub(crate) speed: f64,
}

impl Smoothing {
    /// What was asked for. Where the log tells whole seconds only, the requests of a second are spread
    /// over it, since they did not all come at its beginning.
    pub(super) fn new(entries: &[Entry], asked: Option<Duration>, plan: &Plan, speed: f64) -> Self {
        let whole_seconds = entries.iter().any(|entry| entry.whole_second);
        let window_ns = match asked.map(duration_ns) {
            Some(ns) if whole_seconds => Some(ns.max(SECOND_NS)),
            None if whole_seconds => Some(SECOND_NS),
            asked => asked,
        };
        Self {
            window_ns,
            arrivals: match plan.pace {
                Pace::Open { arrivals, .. } => arrivals,
                Pace::Closed => Arrivals::Poisson,
            },
            seed: plan.seed,
            speed,
        }
    }
}

/// The time of each request after the start of the replay, and the length of the replay, nanoseconds.
/// `moments` are those of the log, in order and not empty.
pub(crate) fn place(moments: &[u64], smoothing: Smoothing) -> (Vec<u64>, u64) {
    let scaled = |ns: f64| (ns / smoothing.speed) as u64;
    let first_ns = moments.first().copied().unwrap_or(0);
    let last_ns = moments.last().copied().unwrap_or(0);
    let Some(window_ns) = smoothing.window_ns else {
        let due = moments.iter().map(|ns| scaled((ns - first_ns) as f64));
        // The last request belongs to the window, whose end does not.
        return (
            due.collect(),
            scaled((last_ns - first_ns) as f64) + 1_000_000,
        );
    };
    let mut random = SplitMix64::new(smoothing.seed ^ STREAM);
    let mut due = Vec::with_capacity(moments.len());
    let window_of = |ns: u64| (ns - first_ns) / window_ns;
    for together in moments.chunk_by(|&a, &b| window_of(a) == window_of(b)) {
        let start = window_of(together[0]) as f64;
        let n = together.len();
        let mut parts: Vec<f64> = match smoothing.arrivals {
            // A Poisson process of which the count is known: independent and uniform.
            Arrivals::Poisson => (0..n).map(|_| random.uniform()).collect(),
            Arrivals::Constant => (0..n).map(|i| (i as f64 + 0.5) / n as f64).collect(),
        };
        parts.sort_by(f64::total_cmp);
        due.extend(
            parts
                .iter()
                .map(|part| scaled((start + part) * window_ns as f64)),
        );
    }
    let windows = window_of(last_ns) + 1;
    (due, scaled(windows as f64 * window_ns as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn smoothing(window_ns: Option<u64>, arrivals: Arrivals) -> Smoothing {
        Smoothing {
            window_ns,
            arrivals,
            seed: 7,
            speed: 1.0,
        }
    }

    #[test]
    fn kept_times_are_those_of_the_log() {
        let moments = [5 * MS, 6 * MS, 6 * MS, 905 * MS];
        let mut kept = smoothing(None, Arrivals::Poisson);
        assert_eq!(place(&moments, kept).0, [0, MS, MS, 900 * MS]);
        kept.speed = 2.0;
        let (due, length) = place(&moments, kept);
        assert_eq!(due, [0, MS / 2, MS / 2, 450 * MS]);
        assert!(length > 450 * MS);
    }

    #[test]
    fn smoothing_keeps_the_count_of_every_stretch_and_spreads_it() {
        let counts = [1000, 0, 10, 4000];
        let moments: Vec<u64> = counts
            .iter()
            .enumerate()
            .flat_map(|(second, &n)| vec![second as u64 * SECOND_NS; n])
            .collect();
        for arrivals in [Arrivals::Poisson, Arrivals::Constant] {
            let (due, length) = place(&moments, smoothing(Some(SECOND_NS), arrivals));
            assert!(due.is_sorted() && length == 4 * SECOND_NS);
            for (second, &n) in counts.iter().enumerate() {
                let start = second as u64 * SECOND_NS;
                let within = |from: u64, to: u64| {
                    due.iter()
                        .filter(|&&ns| (start + from..start + to).contains(&ns))
                        .count()
                };
                assert_eq!(within(0, SECOND_NS), n);
                // A half of a Poisson second has n/2, with a standard deviation of sqrt(n)/2.
                let half = within(0, SECOND_NS / 2) as f64;
                assert!(
                    (half - n as f64 / 2.0).abs() <= 2.5 * (n as f64).sqrt(),
                    "{half}"
                );
            }
            let gaps: Vec<f64> = due[..1000]
                .windows(2)
                .map(|w| (w[1] - w[0]) as f64)
                .collect();
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            let spread = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
            let variation = spread.sqrt() / mean;
            match arrivals {
                Arrivals::Poisson => assert!((0.85..1.15).contains(&variation), "{variation}"),
                Arrivals::Constant => assert!(variation < 0.01, "{variation}"),
            }
        }
    }
}
