//! The bounds of an overload, and how fractions are kept.

use std::time::Duration;

use proto::Limits;

/// Parts of what is kept as a fraction in an integer.
pub(super) const WHOLE: u32 = 256;

/// An eighth of an interval is the rhythm of looking at requests, and of adjusting the window.
const RHYTHM: u64 = 8;

/// The bounds of [`Limits`] in the units of this module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) target: Duration,
    pub(super) interval_ns: u64,
}

impl Bounds {
    pub(super) fn of(limits: &Limits) -> Bounds {
        Bounds {
            target: Duration::from_millis(limits.queue_delay_ms),
            interval_ns: limits.queue_delay_interval_ms.saturating_mul(1_000_000),
        }
    }

    /// The length of that rhythm.
    pub(super) fn rhythm_ns(self) -> u64 {
        self.interval_ns / RHYTHM
    }
}
