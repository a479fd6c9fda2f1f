//! Moments in which a CPU is away: its hypervisor gave it to another guest, or something else ran on it.
//!
//! A virtual machine's CPU stands still for some ms a few times in a second, and so does one on which the
//! system's own tasks run. Requests that come meanwhile wait, and so do those behind them until the queue is
//! gone. That decides whether an objective of a few ms can be kept, at any rate.

/// How often a CPU is away, and for how long.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stalls {
    /// How often per second; 0 for a CPU that never is.
    pub per_s: f64,
    /// How long, µs: the middles of equal parts of what was measured, in order.
    pub lengths_us: [f64; PARTS],
}

/// Parts of the distribution of lengths.
pub const PARTS: usize = 8;

impl Stalls {
    /// Stall `n` of a CPU: when it begins and when it ends, ns; `None` where there is none.
    ///
    /// Stalls are spread by low-discrepancy sequences (van der Corput) instead of drawn: a simulated second has
    /// as many, and as long ones, as the measured second had in the mean. So a short simulation says the same as
    /// a long one.
    pub(crate) fn nth(&self, n: u64, cpu: u64) -> Option<(u64, u64)> {
        if self.per_s <= 0.0 {
            return None;
        }
        let gap = 1e9 / self.per_s;
        // CPUs do not stand still at the same time.
        let phase = inverse(cpu + 1, 5);
        let at = gap * (n as f64 + (inverse(n + 1, 3) + phase).fract() * 0.8);
        let part = (inverse(n + 1 + 3 * cpu, 2) * PARTS as f64) as usize;
        let length = (self.lengths_us[part.min(PARTS - 1)] * 1_000.0).clamp(0.0, gap * 0.2);
        Some((at as u64, (at + length) as u64))
    }
}

/// The stalls of one CPU, asked about one moment after the other.
#[derive(Debug)]
pub(crate) struct Away<'a> {
    stalls: &'a Stalls,
    cpu: u64,
    /// The number of the last that was asked about, when it begins and when it ends, ns.
    last: (u64, Option<(u64, u64)>),
}

impl<'a> Away<'a> {
    pub(crate) fn new(stalls: &'a Stalls, cpu: u64) -> Self {
        let last = (0, stalls.nth(0, cpu));
        Self { stalls, cpu, last }
    }

    /// The end of the stall in which the time `ns` lies, else `ns` itself.
    pub(crate) fn over(&mut self, ns: u64) -> u64 {
        let n = (ns as f64 * self.stalls.per_s / 1e9) as u64;
        if n != self.last.0 {
            self.last = (n, self.stalls.nth(n, self.cpu));
        }
        match self.last.1 {
            Some((from, until)) if (from..until).contains(&ns) => until,
            _ => ns,
        }
    }
}

/// The radical inverse of `n` in `base`: in [0, 1), each next one in the widest gap.
fn inverse(mut n: u64, base: u64) -> f64 {
    let (mut value, mut part) = (0.0, 1.0 / base as f64);
    while n > 0 {
        value += (n % base) as f64 * part;
        n /= base;
        part /= base as f64;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_its_stalls_and_they_do_not_overlap() {
        let stalls = Stalls {
            per_s: 4.0,
            lengths_us: [100.0, 200.0, 300.0, 400.0, 500.0, 1_000.0, 2_000.0, 4_000.0],
        };
        let all: Vec<(u64, u64)> = (0..400).filter_map(|n| stalls.nth(n, 0)).collect();
        assert!(all.windows(2).all(|w| w[0].1 < w[1].0), "{all:?}");
        assert!(all.iter().all(|(_, until)| *until <= 100_000_000_000));
        let away: u64 = all.iter().map(|(from, until)| until - from).sum();
        // 4 a second for 100 s, of 1,062.5 µs in the mean.
        assert!(
            (away as f64 / (400.0 * 1_062_500.0) - 1.0).abs() < 0.02,
            "{away}"
        );
        let mut away = Away::new(&stalls, 0);
        for (from, until) in &all[..50] {
            assert_eq!(away.over((from + until) / 2), *until);
            assert_eq!(away.over(until + 1), until + 1);
        }
        assert_eq!(Stalls::default().nth(0, 0), None);
        assert_eq!(Away::new(&Stalls::default(), 0).over(5), 5);
    }
}
