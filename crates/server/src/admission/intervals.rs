//! Tells a queue that absorbs a burst from one that stands.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::bounds::Bounds;

/// Where the delay of a request was observed.
#[derive(Debug, Clone, Copy)]
pub(super) enum At {
    /// When a worker received it.
    Receipt,
    /// When it was answered: it was followed to its end, or refused in the place of one that would be.
    End,
}

/// Intervals, and whether the last one was one of overload.
///
/// An interval is one of overload if most requests were late in three of four of its eighths. CoDel asks
/// for all; where several workers take from one queue, one that the scheduler has favoured would hide the
/// others. Eighths are counted and not requests, because all are looked at while they are late, and few
/// when all is well: a burst would outweigh the time before it and behind it. One late eighth alone is a
/// burst, too, unless a request in it has waited for a whole interval.
///
/// Where requests are received by one worker and served by another, or aside, either may be late: what is
/// received at once says nothing about how long many that are served at once wait for a CPU.
#[derive(Debug, Default)]
pub(super) struct Intervals {
    /// When the present interval ends, and the eighth of it, monotonic ns.
    ends_ns: AtomicU64,
    eighth_ends_ns: AtomicU64,
    /// Eighths of it in which a delay was observed, and those of them in which most were late.
    eighths: AtomicU32,
    late_eighths: AtomicU32,
    /// Whether a request was observed in it that had waited for longer than an interval.
    stood: AtomicBool,
    /// In the present eighth.
    received: Seen,
    followed: Seen,
    /// Whether the last interval was one of overload.
    overloaded: AtomicBool,
}

impl Intervals {
    /// Whether a new interval begins with a request that was delayed by so much until `now_ns`, and if so,
    /// whether what was seen in the last one still counts: before a silence it does not, unless this request
    /// has waited since then.
    pub(super) fn turn(&self, delay: Duration, now_ns: u64, bounds: Bounds) -> Option<bool> {
        let ends_ns = self.ends_ns.load(Ordering::Relaxed);
        if now_ns < ends_ns {
            return None;
        }
        self.ends_ns
            .store(now_ns + bounds.interval_ns, Ordering::Relaxed);
        let delay_ns = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        Some(now_ns.saturating_sub(delay_ns) < ends_ns + bounds.interval_ns)
    }

    /// Takes note of a request that was delayed by so much.
    pub(super) fn add(&self, at: At, delay: Duration, bounds: Bounds) {
        if delay.as_nanos() > u128::from(bounds.interval_ns) {
            self.stood.store(true, Ordering::Relaxed);
        }
        let seen = match at {
            At::Receipt => &self.received,
            At::End => &self.followed,
        };
        seen.add(delay > bounds.target);
    }

    /// Whether an eighth of the interval has ended; begins the next one then.
    pub(super) fn turn_eighth(&self, now_ns: u64, bounds: Bounds) -> bool {
        let has_ended = now_ns >= self.eighth_ends_ns.load(Ordering::Relaxed);
        if has_ended {
            self.end_eighth();
            self.eighth_ends_ns
                .store(now_ns + bounds.rhythm_ns(), Ordering::Relaxed);
        }
        has_ended
    }

    fn end_eighth(&self) {
        let (any_received, received_late) = self.received.take();
        let (any_followed, followed_late) = self.followed.take();
        if any_received || any_followed {
            self.eighths.fetch_add(1, Ordering::Relaxed);
            let is_late = received_late || followed_late;
            self.late_eighths
                .fetch_add(u32::from(is_late), Ordering::Relaxed);
        }
    }

    /// Whether the queue stood in the interval that ends here; forgets what was seen in it.
    pub(super) fn take_stood(&self) -> bool {
        self.end_eighth();
        let eighths = self.eighths.swap(0, Ordering::Relaxed);
        let late = self.late_eighths.swap(0, Ordering::Relaxed);
        let stood = self.stood.swap(false, Ordering::Relaxed);
        late * 4 >= eighths * 3 && (late >= 2 || late == 1 && stood)
    }

    /// Says whether the interval that ends here was one of overload.
    pub(super) fn set_overloaded(&self, overloaded: bool) {
        self.overloaded.store(overloaded, Ordering::Relaxed);
    }

    /// Whether the last interval was one of overload, however long ago it ended.
    pub(super) fn was_overloaded(&self) -> bool {
        self.overloaded.load(Ordering::Relaxed)
    }

    /// Until when an overload lasts unless more is seen, monotonic ns: for an interval after the present one.
    pub(super) fn counts_until_ns(&self, bounds: Bounds) -> u64 {
        self.ends_ns.load(Ordering::Relaxed) + bounds.interval_ns
    }
}

/// Requests of which the delay was observed, and those of them that were late.
#[derive(Debug, Default)]
struct Seen {
    all: AtomicU32,
    late: AtomicU32,
}

impl Seen {
    fn add(&self, is_late: bool) {
        self.all.fetch_add(1, Ordering::Relaxed);
        self.late.fetch_add(u32::from(is_late), Ordering::Relaxed);
    }

    /// Whether there were any, and whether most were late; forgets them.
    fn take(&self) -> (bool, bool) {
        let all = self.all.swap(0, Ordering::Relaxed);
        let late = self.late.swap(0, Ordering::Relaxed);
        (all > 0, all > 0 && late * 3 >= all * 2)
    }
}
