//! Refusals that are held back.
//!
//! A refusal costs little, and clients that come back at once for the next one make many: sixty-four of them get
//! 130,000 in a second, and the server has no CPU left for those that it admits. So when refusals become more
//! than a part of the CPU can pay for, a client that came back at once for another gets it a moment later. In that
//! moment its connection asks for nothing. Who comes back later, as `Retry-After` says, is never held back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Refusals that are made at once in each window for each CPU: at 7 µs each, a ninth of its time.
const AT_ONCE: u64 = 1_600;
/// A window, ns. It is longer than the slices in which a scheduler lets threads take turns, so that a burst after one
/// is not taken for many.
const WINDOW_NS: u64 = 100_000_000;
/// A client that comes back so soon after a refusal comes back at once.
const SOON: Duration = Duration::from_millis(1);
/// For how long a refusal is held back.
pub(super) const PAUSE: Duration = Duration::from_millis(20);

/// Low bits of a counter, which hold the refusals of a window.
const BITS: u32 = 20;

/// Refusals of the present window, of all workers. Two that count at once may lose one, which does not matter.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// The window, and how many.
    counted: AtomicU64,
    cpus: AtomicU64,
}

impl Refusals {
    pub(super) fn has_cpus(&self, cpus: usize) {
        self.cpus.store(cpus as u64, Ordering::Relaxed);
    }

    /// Counts a refusal of a client that was refused `before`, too. Whether it is held back.
    pub(super) fn holds_back(&self, before: Option<Instant>, now: Instant, now_ns: u64) -> bool {
        let many = self.count(now_ns) > AT_ONCE * self.cpus.load(Ordering::Relaxed).max(1);
        many && before.is_some_and(|before| now.saturating_duration_since(before) < SOON)
    }

    fn count(&self, now_ns: u64) -> u64 {
        let window = now_ns / WINDOW_NS;
        let counted = self.counted.load(Ordering::Relaxed);
        let many = match counted >> BITS == window {
            true => (counted & ((1 << BITS) - 1)) + 1,
            false => 1,
        };
        self.counted.store(window << BITS | many, Ordering::Relaxed);
        many
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_back_at_once_waits_when_there_are_many() {
        let now = Instant::now() + Duration::from_secs(1);
        let ago = |ms: u64| now.checked_sub(Duration::from_millis(ms));
        for cpus in [0, 1, 2] {
            let refusals = Refusals::default();
            refusals.has_cpus(cpus);
            let allowed = AT_ONCE * (cpus as u64).max(1);
            let held =
                |before, window: u64| refusals.holds_back(before, now, window * WINDOW_NS + 5);
            for _ in 0..allowed {
                assert!(!held(ago(0), 7), "few");
            }
            assert!(held(ago(0), 7));
            assert!(!held(None, 7), "its first");
            assert!(!held(ago(1), 7), "it waited");
            assert!(!held(ago(0), 8), "another window");
        }
    }
}
