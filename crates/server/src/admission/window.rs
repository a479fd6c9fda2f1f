//! How many requests may be served at once during an overload, where many workers share CPUs.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::bounds::WHOLE;
use super::waited::Waited;

/// Workers that serve at once when an overload begins.
pub(super) const AT_FIRST: u32 = 4;

/// It shrinks when one of so many requests had waited for too long.
const OLD_SHARE: u32 = 4;

/// It does so only where threads wait for a CPU for one part of so many of their time: others that were
/// queued waited for a worker, and fewer that serve would help none.
const CPU_WAIT_SHARE: u32 = 16;

/// The weight of a thread that was looked at in that average: one of so many.
const CPU_WAIT_OF: u32 = 4;

/// The part of requests in time that is served becomes smaller by one part of so many, and larger by half as much.
const ADMITTED_STEP: u32 = 8;
/// At least one of so many is served.
const ADMITTED_MIN: u32 = 8;

/// A bound on how many serve at once, found as TCP finds its window: up by a little while requests are in
/// time, down by a quarter when one that was followed to its end was late, or when a quarter of all had
/// waited for longer than the target. The latter has to be counted: a worker that has just answered receives
/// the next request of its connection at once and computes that, too, until its turn ends, so most of the
/// requests that begin are young while those of all other connections grow old.
///
/// The bound stays above the number of CPUs, so that none of them is idle between two requests; and it
/// shrinks only while workers wait for a CPU: where they are blocked, the queue is one for workers, and it
/// takes more of them.
///
/// That is not enough where clients have a queue of their own: whose request is answered sends the next at once, which
/// is young, and so the CPU goes to young requests of a few connections, as many as it can serve, while those of all
/// others wait for long and are refused. Each answer is late by what waits in the clients, and that does not shrink. So
/// as long as requests wait for a CPU, and have waited for longer than the target on average, those that are refused
/// among them, a growing part of those in time is refused, too: the CPU is then left for the others, which are answered
/// sooner.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// How many may serve at once, and at least how many.
    size: AtomicU32,
    size_min: AtomicU32,
    /// How many do of those that began in this overload.
    serving: AtomicU32,
    /// Since it was adjusted: requests that were looked at, and those that had waited for too long.
    asked: AtomicU32,
    old: AtomicU32,
    /// Since then: the time for which those have waited, us.
    waited_us: AtomicU64,
    /// The part of those that are in time that is served, in [parts](WHOLE), and what is left of it over.
    admitted: AtomicU32,
    rest: AtomicU32,
    /// The part of their time for which threads that were looked at have waited for a CPU, in [parts](WHOLE)
    /// of it: a moving average.
    cpu_wait: AtomicU32,
}

impl Window {
    /// So many CPUs have work: besides what they serve, one request has begun that goes on when another
    /// ends, and one has yielded its CPU to those that are refused.
    pub(super) fn has_cpus(&self, cpus: usize) {
        let min = u32::try_from(cpus).unwrap_or(u32::MAX).saturating_add(2);
        self.size_min.store(min, Ordering::Relaxed);
    }

    /// An overload begins. What is still served of the last one does not count.
    pub(super) fn open(&self) {
        let size = AT_FIRST.max(self.size_min.load(Ordering::Relaxed));
        self.size.store(size, Ordering::Relaxed);
        self.cpu_wait.store(WHOLE, Ordering::Relaxed);
        self.admitted.store(WHOLE, Ordering::Relaxed);
        self.serving.store(0, Ordering::Relaxed);
    }

    /// A worker begins to serve, unless enough do.
    pub(super) fn enter(&self) -> bool {
        let admitted = self.admitted.load(Ordering::Relaxed);
        if admitted < WHOLE && !self.is_admitted(admitted) {
            return false;
        }
        let size = self.size.load(Ordering::Relaxed);
        let has_room = self.serving.fetch_add(1, Ordering::Relaxed) < size;
        if !has_room {
            self.leave();
        }
        has_room
    }

    /// Whether the next of those of which so large a part is admitted is.
    fn is_admitted(&self, admitted: u32) -> bool {
        let rest = self.rest.fetch_add(admitted, Ordering::Relaxed) % WHOLE;
        rest + admitted >= WHOLE
    }

    /// One that had entered has served.
    pub(super) fn leave(&self) {
        // A new overload counts from 0, even if requests of the last one are still served.
        let _ = self
            .serving
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |serving| {
                serving.checked_sub(1)
            });
    }

    /// A request was looked at that has waited for so long.
    pub(super) fn saw(&self, waited: Waited, target: Duration) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let us = u64::try_from(waited.longest().as_micros()).unwrap_or(u64::MAX);
        self.waited_us.fetch_add(us, Ordering::Relaxed);
        let is_old = waited.longest() > target;
        self.old.fetch_add(u32::from(is_old), Ordering::Relaxed);
    }

    /// A worker has waited for a CPU for so long of the time from the beginning of one request to that of
    /// the next.
    pub(super) fn waited_for_cpu(&self, waited: Duration, time: Duration) {
        let share = waited.as_secs_f64() / time.max(waited).as_secs_f64().max(1e-9);
        let average = self.cpu_wait.load(Ordering::Relaxed);
        let next =
            average - average / CPU_WAIT_OF + (share * f64::from(WHOLE / CPU_WAIT_OF)) as u32;
        self.cpu_wait.store(next, Ordering::Relaxed);
    }

    /// Makes it, and the part that is served, larger or smaller by what was seen since the last time, and by whether the request that is
    /// looked at now was late.
    pub(super) fn adjust(&self, is_late: bool, target: Duration) {
        let asked = self.asked.swap(0, Ordering::Relaxed);
        let old = self.old.swap(0, Ordering::Relaxed);
        let waited_us = self.waited_us.swap(0, Ordering::Relaxed);
        let mean = Duration::from_micros(waited_us / u64::from(asked.max(1)));
        let waits_for_cpu = self.cpu_wait.load(Ordering::Relaxed) * CPU_WAIT_SHARE >= WHOLE;
        self.adjust_admitted(waits_for_cpu && mean > target);
        let many_old = old > 0 && old * OLD_SHARE >= asked;
        let size = self.size.load(Ordering::Relaxed);
        let min = self.size_min.load(Ordering::Relaxed).max(1);
        let next = match is_late || waits_for_cpu && many_old {
            true => size - size / 4 - u32::from(size < 4 && size > 1),
            false => size + (size / 8).max(1),
        };
        self.size
            .store(next.min(u32::from(u16::MAX)).max(min), Ordering::Relaxed);
    }

    fn adjust_admitted(&self, all_wait: bool) {
        let admitted = self.admitted.load(Ordering::Relaxed);
        let step = WHOLE / ADMITTED_STEP;
        let next = match all_wait {
            true => (admitted - admitted / ADMITTED_STEP).max(WHOLE / ADMITTED_MIN),
            false => (admitted + step / 2).min(WHOLE),
        };
        self.admitted.store(next, Ordering::Relaxed);
    }

    /// Those that are served have been.
    #[cfg(test)]
    pub(super) fn leave_all(&self) {
        self.serving.store(0, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(super) fn size(&self) -> u32 {
        self.size.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(super) fn serving(&self) -> u32 {
        self.serving.load(Ordering::Relaxed)
    }
}
