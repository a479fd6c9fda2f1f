//! Response times, counted.

/// Buckets in each doubling: a value is off by 0.4 % at most.
const PER_OCTAVE_BITS: u32 = 7;
const PER_OCTAVE: u64 = 1 << PER_OCTAVE_BITS;

/// A histogram of times in ns, with a relative error of at most 0.4 %.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    counts: Vec<u32>,
    count: u64,
    sum_ns: f64,
}

impl Histogram {
    pub(crate) fn record(&mut self, ns: u64) {
        let at = bucket(ns);
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] += 1;
        self.count += 1;
        self.sum_ns += ns as f64;
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean, µs.
    pub fn mean_us(&self) -> f64 {
        self.sum_ns / self.count.max(1) as f64 / 1_000.0
    }

    /// How many of so many values are at or below a percentile of them.
    pub(crate) fn rank(count: u64, percentile: f64) -> u64 {
        (count as f64 * percentile / 100.0).ceil().max(1.0) as u64
    }

    /// The value below which `percentile` of them lie, µs; infinite where there is no value.
    pub fn percentile_us(&self, percentile: f64) -> f64 {
        let wanted = Self::rank(self.count, percentile);
        let mut seen = 0;
        for (at, &count) in self.counts.iter().enumerate() {
            seen += u64::from(count);
            if seen >= wanted {
                return middle(at) / 1_000.0;
            }
        }
        f64::INFINITY
    }
}

fn bucket(ns: u64) -> usize {
    if ns < PER_OCTAVE {
        return ns as usize;
    }
    let octave = 63 - ns.leading_zeros() - PER_OCTAVE_BITS;
    let within = (ns >> octave) - PER_OCTAVE;
    ((u64::from(octave) + 1) * PER_OCTAVE + within) as usize
}

/// The value as which a percentile would give it, µs.
pub(crate) fn counted_us(ns: u64) -> f64 {
    middle(bucket(ns)) / 1_000.0
}

/// The middle of a bucket, ns.
fn middle(at: usize) -> f64 {
    let (octave, within) = (at as u64 / PER_OCTAVE, at as u64 % PER_OCTAVE);
    if octave == 0 {
        return within as f64;
    }
    let width = (1u64 << (octave - 1)) as f64;
    (PER_OCTAVE + within) as f64 * width + width / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_within_its_error() {
        for ns in (0..60).flat_map(|bits| [1u64 << bits, (1 << bits) + 1, (3 << bits) / 2]) {
            let back = middle(bucket(ns));
            assert!(
                (back - ns as f64).abs() <= ns as f64 * 0.004 + 0.5,
                "{ns} {back}"
            );
        }
    }

    #[test]
    fn percentiles_are_ranks() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile_us(99.0), f64::INFINITY);
        (1..=100).for_each(|us| histogram.record(us * 1_000));
        for percentile in [1.0, 50.0, 99.0, 100.0] {
            let found = histogram.percentile_us(percentile);
            assert!(
                (found / percentile - 1.0).abs() < 0.005,
                "{percentile} {found}"
            );
        }
        assert!((histogram.mean_us() - 50.5).abs() < 1e-9);
    }
}
