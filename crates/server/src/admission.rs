//! Admission: when requests have waited too long for too long, some are refused so that the others are
//! answered in time.
//!
//! Under overload a queue that is served in order makes every answer late, and late answers are worth
//! nothing: the server works as hard as it can for nobody. CoDel (Nichols and Jacobson, *Controlling
//! Queue Delay*, ACM Queue 2012; RFC 8289) tells a queue that absorbs a burst from one that stands: the
//! former is empty again within an interval. CoDel then drops packets ever more often until the delay
//! is below its target; senders slow down meanwhile. Clients of a server do not, so a server in overload
//! refuses at once whatever has waited longer than the target: 503 with `Retry-After`, before the service
//! is called, on a connection that stays open.
//!
//! How long a request has waited is known to the kernel alone, since it waits in the socket. A worker
//! asks it for one request per eighth of an interval, and for every request as soon as one was late.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proto::{Limits, Request, Response, Service};

/// The delay of one queue, seen by all workers that take from it. Two that update it at once may lose
/// one observation, which does not matter.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct QueueDelay {
    /// When the present interval ends, monotonic ns.
    ends_ns: AtomicU64,
    /// Requests that were looked at in it.
    seen: AtomicU32,
    /// Of these, how many had waited longer than the target.
    late: AtomicU32,
    /// Whether the last interval was one of overload.
    overloaded: AtomicBool,
}

/// What follows from the age of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The queue is short.
    Calm,
    /// The queue is long, perhaps for a moment: look at every request.
    Watch,
    /// Refuse this one.
    Shed,
}

impl QueueDelay {
    /// Takes note that at `now_ns` a request had waited for `age`, and says what is to be done with it.
    ///
    /// An interval is one of overload if three of four requests were late. CoDel asks for all; where
    /// several workers take from one queue, one that the scheduler has favoured would hide the others.
    pub(crate) fn observe(&self, age: Duration, now_ns: u64, limits: &Limits) -> Admission {
        let target = Duration::from_millis(limits.queue_delay_ms);
        let interval_ns = limits.queue_delay_interval_ms * 1_000_000;
        let ends_ns = self.ends_ns.load(Ordering::Relaxed);
        if now_ns >= ends_ns {
            let seen = self.seen.swap(0, Ordering::Relaxed);
            let late = self.late.swap(0, Ordering::Relaxed);
            // What was seen before a silence says nothing, unless this request has waited since then.
            let age_ns = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
            let is_recent = now_ns.saturating_sub(age_ns) < ends_ns + interval_ns;
            let overloaded = is_recent && seen > 0 && late * 4 >= seen * 3;
            self.overloaded.store(overloaded, Ordering::Relaxed);
            self.ends_ns.store(now_ns + interval_ns, Ordering::Relaxed);
        }
        let is_late = age > target;
        self.seen.fetch_add(1, Ordering::Relaxed);
        self.late.fetch_add(u32::from(is_late), Ordering::Relaxed);
        match self.overloaded.load(Ordering::Relaxed) {
            true if is_late => Admission::Shed,
            true => Admission::Watch,
            false if is_late => Admission::Watch,
            false => Admission::Calm,
        }
    }

    /// Whether requests are being refused.
    pub(crate) fn is_overloaded(&self) -> bool {
        self.overloaded.load(Ordering::Relaxed)
    }
}

/// When a worker looks at the age of a request again.
pub(crate) fn next_look(admission: Admission, now: Instant, limits: &Limits) -> Instant {
    match admission {
        Admission::Calm => now + Duration::from_millis(limits.queue_delay_interval_ms) / 8,
        Admission::Watch | Admission::Shed => now,
    }
}

/// So far away that it never comes.
pub(crate) fn never(now: Instant) -> Instant {
    now + Duration::from_secs(100 * 365 * 24 * 3_600)
}

/// What answers in the place of the service.
#[derive(Debug)]
pub(crate) struct Overloaded;

impl Service for Overloaded {
    fn call(&self, _: &Request<'_>, response: &mut Response<'_>) {
        response
            .status(503)
            .field("Retry-After", "1")
            .content_type("text/plain")
            .body(b"overloaded\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// What happens to requests that arrive so often and have waited so long, from time 1 s on.
    fn observe(delay: &QueueDelay, from_ms: u64, ages_ms: &[u64]) -> Vec<Admission> {
        let limits = Limits::default();
        let observed = ages_ms.iter().zip(from_ms..);
        observed
            .map(|(age, at)| delay.observe(Duration::from_millis(*age), at * MS, &limits))
            .collect()
    }

    #[test]
    fn a_short_queue_is_left_alone() {
        let seen = observe(&QueueDelay::default(), 1_000, &[5; 1_000]);
        assert!(seen.iter().all(|admission| *admission == Admission::Calm));
    }

    #[test]
    fn a_burst_shorter_than_an_interval_is_served_whole() {
        let delay = QueueDelay::default();
        observe(&delay, 1_000, &[0; 50]);
        let burst = observe(&delay, 1_050, &[80; 40]);
        let after = observe(&delay, 1_090, &[0; 200]);
        assert!(burst.iter().all(|admission| *admission == Admission::Watch));
        assert!(after.iter().all(|admission| *admission == Admission::Calm));
    }

    #[test]
    fn a_standing_queue_is_cut_to_the_target() {
        let delay = QueueDelay::default();
        observe(&delay, 1_000, &[20; 101]);
        assert!(delay.is_overloaded());
        assert_eq!(observe(&delay, 1_101, &[6]), [Admission::Shed]);
        assert_eq!(observe(&delay, 1_102, &[5]), [Admission::Watch]);
    }

    #[test]
    fn overload_ends_an_interval_after_the_queue_was_short() {
        let delay = QueueDelay::default();
        observe(&delay, 1_000, &[20; 150]);
        let seen = observe(&delay, 1_150, &[0; 200]);
        assert!(
            seen[..50]
                .iter()
                .all(|admission| *admission == Admission::Watch)
        );
        assert!(!delay.is_overloaded());
        assert_eq!(seen[199], Admission::Calm);
    }

    #[test]
    fn one_favoured_worker_of_four_hides_nothing() {
        let delay = QueueDelay::default();
        let ages: Vec<_> = (0..101).map(|n| if n % 4 == 3 { 0 } else { 20 }).collect();
        observe(&delay, 1_000, &ages);
        assert!(delay.is_overloaded());
    }

    #[test]
    fn a_worker_slower_than_the_interval_is_overloaded_too() {
        let delay = QueueDelay::default();
        for at in [1_000, 2_000, 3_000] {
            observe(&delay, at, &[1_500]);
        }
        assert!(delay.is_overloaded());
    }

    #[test]
    fn what_was_seen_long_ago_is_forgotten() {
        let delay = QueueDelay::default();
        observe(&delay, 1_000, &[20; 20]);
        assert_eq!(observe(&delay, 9_000, &[20]), [Admission::Watch]);
        assert!(!delay.is_overloaded());
    }
}
