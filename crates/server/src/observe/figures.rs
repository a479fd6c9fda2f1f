//! The figures of one worker that are kept only while a flag asks for them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::ring::Ends;
use crate::board::add;

/// The part of one worker. Only this worker writes it, except where a field says otherwise.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Figures {
    /// Since when the service has been computing a request, monotonic ns; 0 if it is not.
    pub(crate) call_began_ns: AtomicU64,
    /// Requests that this worker has begun and whose replies are delayed or awaited. Whichever worker has
    /// the connection in the end takes one off.
    pub(crate) waiting: AtomicU64,
    /// How long calls of the service have held the worker, ns.
    pub(crate) held_ns: AtomicU64,
    /// The longest of them, ns.
    pub(crate) held_ns_max: AtomicU64,
    /// Until when the queue of this loop counts as overloaded, monotonic ns; 0 if it is not.
    pub(crate) overloaded_until_ns: AtomicU64,
    /// Responses by their status.
    pub(crate) statuses: Statuses,
    /// From the complete request to its response.
    pub(crate) responses: Histogram,
    /// From the complete request to the call of the service, where requests wait for a worker.
    pub(crate) queued: Histogram,
    /// Not 0: the worker is to end when it has served what it has. Written by the helper.
    pub(crate) retire: AtomicU64,
    /// Its ring of the access log.
    pub(crate) ends: Ends,
}

impl Figures {
    /// The worker that was in a call has ended: none is stuck in it.
    pub(crate) fn forget_call(&self) {
        self.call_began_ns.store(0, Ordering::Relaxed);
    }

    /// The process of the worker has ended, and with it all that was in flight there.
    pub(crate) fn forget_process(&self) {
        self.forget_call();
        self.waiting.store(0, Ordering::Relaxed);
    }
}

/// A counter for each status; 0 is for responses that have none.
#[derive(Debug)]
pub(crate) struct Statuses([AtomicU64; STATUSES]);

pub(crate) const STATUSES: usize = 600;

impl Default for Statuses {
    fn default() -> Statuses {
        Statuses(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Statuses {
    pub(crate) fn count(&self, status: u16) {
        let status = usize::from(status);
        add(&self.0[if status < STATUSES { status } else { 0 }], 1);
    }

    pub(crate) fn add_to(&self, sums: &mut [u64; STATUSES]) {
        for (sum, count) in sums.iter_mut().zip(&self.0) {
            *sum += count.load(Ordering::Relaxed);
        }
    }
}

/// A histogram of durations, with one writer.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// How many were at most as long as the bound, and longer than the one before.
    counts: [AtomicU64; BOUNDS_US.len() + 1],
    sum_ns: AtomicU64,
}

/// Upper bounds of the buckets, µs; the last bucket has none.
pub(crate) const BOUNDS_US: [u64; 19] = [
    10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000,
    500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

impl Histogram {
    pub(crate) fn record(&self, duration: Duration) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.partition_point(|bound| bound * 1_000 < ns);
        add(&self.counts[bucket], 1);
        add(&self.sum_ns, ns);
    }
}

/// Histograms of several workers, added up.
#[derive(Debug, Default)]
pub(crate) struct Total {
    pub(crate) counts: [u64; BOUNDS_US.len() + 1],
    pub(crate) sum_ns: u64,
}

impl Total {
    pub(crate) fn of<'a>(all: impl Iterator<Item = &'a Histogram>) -> Total {
        let mut total = Total::default();
        for histogram in all {
            for (sum, count) in total.counts.iter_mut().zip(&histogram.counts) {
                *sum += count.load(Ordering::Relaxed);
            }
            total.sum_ns += histogram.sum_ns.load(Ordering::Relaxed);
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let histogram = Histogram::default();
        for us in [0, 10, 11, 10_000_000, 10_000_001] {
            histogram.record(Duration::from_micros(us));
        }
        let total = Total::of([&histogram, &Histogram::default()].into_iter());
        assert_eq!(total.counts[0], 2);
        assert_eq!(total.counts[1], 1);
        assert_eq!(total.counts[BOUNDS_US.len() - 1], 1);
        assert_eq!(total.counts[BOUNDS_US.len()], 1);
        assert_eq!(total.sum_ns, 20_000_022_000);
    }
}
