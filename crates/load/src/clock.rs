//! The clocks: monotonic time for requests, thread CPU time for the generator's own cost.
//!
//! Times are nanoseconds in a `u64` because the clock is read for every reply: an `Instant` costs a
//! checked subtraction at each use, and a further one for each comparison with the schedule.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Nanoseconds per second.
pub(crate) const SECOND_NS: u64 = 1_000_000_000;

/// Nanoseconds of `CLOCK_MONOTONIC`, read through the vDSO.
#[inline]
pub(crate) fn now_ns() -> u64 {
    to_ns(clock_gettime(ClockId::Monotonic))
}

/// Nanoseconds since 1970.
pub(crate) fn unix_ns() -> u64 {
    to_ns(clock_gettime(ClockId::Realtime))
}

/// CPU time of the calling thread, nanoseconds.
pub(crate) fn thread_cpu_ns() -> u64 {
    to_ns(clock_gettime(ClockId::ThreadCPUTime))
}

/// A duration in whole nanoseconds, capped at some 584 years.
pub(crate) fn duration_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The `timespec` that `epoll_pwait2` takes.
pub(crate) fn to_timespec(ns: u64) -> Timespec {
    Timespec {
        tv_sec: (ns / SECOND_NS) as i64,
        tv_nsec: (ns % SECOND_NS) as i64,
    }
}

#[inline]
fn to_ns(time: Timespec) -> u64 {
    time.tv_sec as u64 * SECOND_NS + time.tv_nsec as u64
}
