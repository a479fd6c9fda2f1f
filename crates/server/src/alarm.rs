//! The alarm of a process: one timer for the deadlines of all its blocking workers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use os::signal;

/// The alarm of a process that has several workers, or none. A worker that is a process of its own
/// has its alarm in its [`Block`](crate::Block).
pub(crate) static ALARM: Alarm = Alarm(AtomicU64::new(OFF));

/// When the timer of a process expires and sends SIGALRM, monotonic ns.
#[derive(Debug)]
pub(crate) struct Alarm(pub(crate) AtomicU64);

impl Default for Alarm {
    fn default() -> Alarm {
        Alarm(AtomicU64::new(OFF))
    }
}

/// The timer is off.
pub(crate) const OFF: u64 = u64::MAX;
/// The timer expires every [`PERIOD`]. As a time this is earlier than any deadline.
pub(crate) const PERIODIC: u64 = 0;

/// How often a periodic timer expires.
const PERIOD: Duration = Duration::from_millis(50);

/// Sets the timer of this process to a time, monotonic ns, or to [`PERIODIC`]. Async-signal-safe.
pub(crate) fn set_timer(at_ns: u64) {
    if at_ns == PERIODIC {
        signal::alarm_every(PERIOD);
    } else {
        let left = at_ns.saturating_sub(signal::monotonic_ns());
        signal::alarm_in(Duration::from_nanos(left));
    }
}

impl Alarm {
    /// Says that the timer is off, as it is in a process that was just forked: timers are not
    /// inherited (`fork(2)`).
    pub(crate) fn reset(&self) {
        self.0.store(OFF, Ordering::SeqCst);
    }

    /// Makes the timer periodic until the process ends. Async-signal-safe.
    pub(crate) fn make_periodic(&self) {
        self.bring_forward(PERIODIC, set_timer);
    }

    /// Sets the timer with `set` unless it expires by `deadline_ns` already. The deadline must have
    /// been published before.
    ///
    /// A handler of the alarm [takes it off](Self::take_off) before it reads the deadlines. So either
    /// the handler reads this deadline, or this finds that the timer is off: all these accesses are
    /// sequentially consistent.
    #[inline]
    pub(crate) fn cover(&self, deadline_ns: u64, set: impl Fn(u64)) {
        if deadline_ns < self.0.load(Ordering::SeqCst) {
            self.bring_forward(deadline_ns, set);
        }
    }

    /// Says that the timer has expired, and so is off. A periodic one stays: the handler of SIGTERM,
    /// which makes it periodic, may interrupt the handler of SIGALRM, which calls this.
    pub(crate) fn take_off(&self) {
        let _ = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |at_ns| {
                (at_ns != PERIODIC).then_some(OFF)
            });
    }

    /// Sets the timer with `set` to `at_ns`, unless it expires before that.
    pub(crate) fn bring_forward(&self, mut at_ns: u64, set: impl Fn(u64)) {
        if self.0.fetch_min(at_ns, Ordering::SeqCst) <= at_ns && at_ns != PERIODIC {
            return; // Another thread has set this time or an earlier one.
        }
        // When several threads set the timer at once, the last call counts in the kernel. So each
        // repeats its call until it has set the earliest time.
        loop {
            set(at_ns);
            match self.0.load(Ordering::SeqCst) {
                // It has expired meanwhile, and the handler sets it for the next deadline.
                OFF => return,
                now if now == at_ns => return,
                now => at_ns = now,
            }
        }
    }
}
