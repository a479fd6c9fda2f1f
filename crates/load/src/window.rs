//! The measured window.

use crate::clock::duration_ns;
use crate::plan::Plan;

/// The measured window, nanoseconds of the monotonic clock; its end is not part of it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Window {
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
}

impl Window {
    /// The window of a plan whose schedule begins at `anchor_ns`.
    pub(crate) fn of(plan: &Plan, anchor_ns: u64) -> Self {
        let start_ns = anchor_ns + duration_ns(plan.warmup);
        let end_ns = start_ns + duration_ns(plan.duration);
        Self { start_ns, end_ns }
    }

    #[inline]
    pub(crate) fn contains(self, at_ns: u64) -> bool {
        at_ns.wrapping_sub(self.start_ns) < self.end_ns - self.start_ns
    }

    /// How much of a stretch of time lies within.
    #[inline]
    pub(crate) fn overlap_ns(self, from_ns: u64, to_ns: u64) -> u64 {
        to_ns
            .min(self.end_ns)
            .saturating_sub(from_ns.max(self.start_ns))
    }
}
