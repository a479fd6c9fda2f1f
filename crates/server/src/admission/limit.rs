//! How long a request may have waited that is still served during an overload.

use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use os::net;

use super::bounds::WHOLE;
use super::waited::Waited;

/// An overload lasts while at least one of so many requests has to be refused. Below that the queue alone
/// carries what comes unevenly.
const REFUSED_SHARE: u32 = 8;

/// The weight of a request in the moving average of what one takes: one of so many.
const AVERAGE_OF: u64 = 8;

/// The longest wait of a request that is served: the target less the share that was refused in the last
/// interval, and half of the target in the first.
///
/// Clients have a queue, too, which the server cannot see: one that has few connections and a backlog sends
/// its next request when one is answered, and every answer is late until that backlog is gone. It shrinks
/// only if the server answers faster than requests come. If it serves what has waited for the whole target,
/// it hardly does: of 64 requests of 200 us, 25 to 30 are served, the others refused, and all 64 take 5 to
/// 6 ms. Where nine of ten have to be refused the limit is a tenth of the target, so that those 64 take less
/// than 2 ms. It is never shorter than the time that two requests take, which would leave the CPU without
/// work between them.
///
/// The kernel tells the age of what a socket holds in ticks, of 4 ms as a rule: half of the requests that
/// have waited for 2 ms seem to have waited for 4. Where few have to be refused, whatever may be in time is
/// served, so the limit is longer by a tick, less the share that was refused. Where most have to be, one
/// that may be late is refused. A loop knows better: what it was woken for has waited at least since then.
#[derive(Debug, Default)]
pub(super) struct Limit {
    /// In this interval: requests that were looked at, those of them that were refused because they had
    /// waited for too long, and those that were because enough are served.
    asked: AtomicU32,
    old: AtomicU32,
    crowded: AtomicU32,
    /// By how much it is longer than half of the target, or shorter, in [parts](WHOLE) of that half.
    eased: AtomicI32,
    /// What a request takes that is served, a moving average, ns.
    service_ns: AtomicU64,
}

/// What was refused in an interval.
pub(super) struct Refusals {
    /// So many that the overload lasts.
    pub(super) many: bool,
    /// Every request that was looked at had waited for too long.
    pub(super) all_old: bool,
}

impl Limit {
    /// Whether a request that has waited for so long is refused, which is counted.
    pub(super) fn refuses(&self, waited: Waited, target: Duration) -> bool {
        let half = target / 2;
        let two = Duration::from_nanos(2 * self.service_ns.load(Ordering::Relaxed));
        let parts = WHOLE.saturating_add_signed(self.eased.load(Ordering::Relaxed));
        let limit = half.saturating_mul(parts) / WHOLE;
        let limit = two.min(target).max(limit);
        let refused = waited.exact > limit
            || waited.in_ticks > limit
                && waited.in_ticks > limit + net::input_age_step() * parts / (2 * WHOLE);
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.old.fetch_add(u32::from(refused), Ordering::Relaxed);
        refused
    }

    /// One is refused because enough are served.
    pub(super) fn is_crowded(&self) {
        self.crowded.fetch_add(1, Ordering::Relaxed);
    }

    /// A request was served, and the worker was free for the next after so long.
    pub(super) fn took(&self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let average = self.service_ns.load(Ordering::Relaxed);
        let next = average - average / AVERAGE_OF + ns / AVERAGE_OF;
        self.service_ns.store(next, Ordering::Relaxed);
    }

    /// An interval is over, which was one of overload or not: says what was refused in it, and sets the
    /// limit of the next by that.
    pub(super) fn end_interval(&self, was_overloaded: bool) -> Refusals {
        let old = self.old.swap(0, Ordering::Relaxed);
        let asked = self.asked.swap(0, Ordering::Relaxed);
        let refused = old + self.crowded.swap(0, Ordering::Relaxed);
        // Workers count meanwhile, and one that asked in the last interval may be refused in this one.
        let share = (f64::from(refused) / f64::from(asked.max(1))).min(1.0);
        // Of a whole target 1 less the share, of half a target twice that, of which half a target is one.
        let eased = match was_overloaded && asked > 0 {
            true => 2.0 * (1.0 - share) - 1.0,
            false => 0.0,
        };
        self.eased
            .store((eased * f64::from(WHOLE)) as i32, Ordering::Relaxed);
        Refusals {
            many: refused > 0 && refused * REFUSED_SHARE >= asked,
            all_old: asked > 0 && old >= asked,
        }
    }
}
