//! A request on its way, and the window in which it counts.

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
    pub(super) fn overlap_ns(self, from_ns: u64, to_ns: u64) -> u64 {
        to_ns
            .min(self.end_ns)
            .saturating_sub(from_ns.max(self.start_ns))
    }
}

/// A request between its intended start and its outcome.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flight {
    /// When it should have left.
    pub(crate) intended_ns: u64,
    /// When a connection was given to it: later than intended if the generator was late, or if no
    /// connection was free.
    pub(crate) assigned_ns: u64,
    /// When it was written: later than assigned if its connection had to be opened.
    pub(crate) sent_ns: u64,
    /// The number drawn for its path.
    pub(crate) number: u32,
    /// The slice of the window that it was scheduled in, where its outcome counts.
    pub(super) slice: u16,
    /// Its kind, in a mix.
    pub(crate) kind: u16,
}

/// Of a request outside the window, whose outcome counts nowhere.
pub(super) const NO_SLICE: u16 = u16::MAX;

impl Flight {
    /// It was scheduled within the window, so its outcome counts.
    #[inline]
    pub(crate) fn measured(&self) -> bool {
        self.slice != NO_SLICE
    }
}
