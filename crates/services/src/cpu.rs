//! Work that takes a known time of CPU, whoever else is running.
//!
//! A spin until the clock says so would not be work: preempted, it would finish on time all the
//! same, and ten of them at once would take no longer than one. So a fixed amount of arithmetic
//! is timed once, and later that amount is done again.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// How much arithmetic a microsecond holds on this machine.
#[derive(Debug, Clone, Copy)]
pub struct Calibration {
    rounds_per_us: f64,
}

/// Rounds of one timed sample: a fraction of a millisecond, short enough to escape preemption.
const SAMPLE_ROUNDS: u64 = 200_000;
const SAMPLES: u32 = 24;

impl Calibration {
    /// Times samples of work and keeps the fastest, the one least disturbed.
    pub fn measure() -> Calibration {
        work(SAMPLE_ROUNDS);
        let sample = |_| {
            let start = Instant::now();
            work(SAMPLE_ROUNDS);
            start.elapsed()
        };
        let fastest = (0..SAMPLES).map(sample).min().unwrap_or_default();
        let fastest = fastest.max(Duration::from_nanos(1));
        Calibration {
            rounds_per_us: SAMPLE_ROUNDS as f64 / (fastest.as_nanos() as f64 / 1_000.0),
        }
    }

    /// Does `micros` µs of work.
    pub fn burn(&self, micros: u64) {
        work(self.rounds(micros));
    }

    fn rounds(&self, micros: u64) -> u64 {
        (micros as f64 * self.rounds_per_us) as u64
    }
}

/// A chain of multiplications (Knuth's MMIX generator), each of which needs the one before.
fn work(rounds: u64) {
    let mut state = black_box(1u64);
    for _ in 0..rounds {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
    }
    black_box(state);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The amount is what is fixed; how long it takes is the machine's affair.
    #[test]
    fn twice_the_time_is_twice_the_work() {
        let cpu = Calibration::measure();
        let (one, two) = (cpu.rounds(1_000), cpu.rounds(2_000));
        assert!(one > 0 && two.abs_diff(2 * one) <= 1, "{one} and {two}");
        assert_eq!(cpu.rounds(0), 0);
        // A sample that took no time by the clock would make every microsecond endless.
        assert!(cpu.rounds_per_us.is_finite());
    }
}
