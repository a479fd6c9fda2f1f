//! Admission: when requests have waited too long for too long, some are refused so that the others are
//! answered in time.
//!
//! Under overload a queue that is served in order makes every answer late, and late answers are worth
//! nothing: the server works as hard as it can for replies that come too late. CoDel (Nichols and Jacobson,
//! *Controlling Queue Delay*, ACM Queue 2012; RFC 8289) tells a queue that absorbs a burst from one that
//! stands: the former is empty again within an interval ([`Intervals`]). CoDel then drops packets ever more
//! often until the delay is below its target; senders slow down meanwhile. Clients of a server do not, so a
//! server in overload refuses at once whatever has waited too long ([`Limit`]): 503 with `Retry-After`,
//! before the service is called, on a connection that stays open. Clients that come back at once for many
//! refusals wait for them ([`Refusals`]).
//!
//! A request waits in three places. In its socket, for a worker: the kernel knows since when, and is
//! asked. In a queue of the server, for a thread of a pool: the server knows. And while it is served, for
//! a CPU, where the scheduler lets many workers take turns: the scheduler knows, and is asked before and
//! after a call of the service. The last makes no request older before its call; so where workers
//! share CPUs, there is a bound on how many serve at once besides ([`Window`]).
//!
//! Of requests in time, one in an eighth of an interval is looked at.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proto::{Limits, Request, Response, Service, Session};

use self::bounds::Bounds;
use self::intervals::{At, Intervals};
use self::limit::Limit;
use self::refusals::{PAUSE, Refusals};
pub(crate) use self::waited::Waited;
use self::window::Window;

mod bounds;
mod intervals;
mod limit;
mod refusals;
#[cfg(test)]
mod tests;
mod waited;
mod window;

/// The delay of one queue, seen by all workers that take from it. Two that update it at once may lose
/// one observation, which does not matter.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct QueueDelay {
    intervals: Intervals,
    limit: Limit,
    window: Window,
    refusals: Refusals,
    /// When the next request is followed to its end, monotonic ns.
    follow_ns: AtomicU64,
}

/// How often a worker looks when all is well, ns.
pub(crate) fn rhythm_ns(limits: &Limits) -> u64 {
    Bounds::of(limits).rhythm_ns()
}

impl QueueDelay {
    /// So many CPUs have work during an overload.
    pub(crate) fn has_cpus(&self, cpus: usize) {
        self.window.has_cpus(cpus);
        self.refusals.has_cpus(cpus);
    }

    /// What answers a client whose request of now is refused: see [`Refusals`].
    pub(crate) fn refusal(
        &self,
        session: &mut Session,
        now: Instant,
        now_ns: u64,
    ) -> &'static Overloaded {
        let before = session.refused();
        let (refusal, at) = match self.refusals.holds_back(before, now, now_ns) {
            true => (Overloaded::LATER, now + PAUSE),
            false => (Overloaded::NOW, now),
        };
        session.set_refused(at);
        refusal
    }

    /// Takes note that a request was delayed by so much until `now_ns`, when a worker received it, and
    /// returns whether it was late.
    pub(crate) fn observe(&self, delay: Duration, now_ns: u64, limits: &Limits) -> bool {
        self.observe_at(At::Receipt, delay, now_ns, limits)
    }

    /// The same of a request that was followed to its end, or refused in the place of one.
    fn observe_followed(&self, delay: Duration, now_ns: u64, limits: &Limits) -> bool {
        self.observe_at(At::End, delay, now_ns, limits)
    }

    fn observe_at(&self, at: At, delay: Duration, now_ns: u64, limits: &Limits) -> bool {
        let bounds = Bounds::of(limits);
        if let Some(is_recent) = self.intervals.turn(delay, now_ns, bounds) {
            self.end_interval(is_recent);
        }
        self.intervals.add(at, delay, bounds);
        let is_late = delay > bounds.target;
        if self.intervals.turn_eighth(now_ns, bounds) {
            self.window.adjust(is_late, bounds.target);
        }
        is_late
    }

    /// An overload ends with an interval in which few were late and few had to be refused, or in which all
    /// were: that the server serves less does not help then.
    fn end_interval(&self, is_recent: bool) {
        let was = self.intervals.was_overloaded();
        let stands = self.intervals.take_stood();
        let refusals = self.limit.end_interval(was);
        // Where nothing was served, requests wait for no other requests: programs beside the server use the CPUs.
        let none_served = was && refusals.all_old;
        let overloaded = is_recent && !none_served && (stands || was && refusals.many);
        if overloaded && !was {
            self.window.open();
        }
        self.intervals.set_overloaded(overloaded);
    }

    /// A worker has waited for a CPU for so long of the time from the beginning of one request to that of the next.
    pub(crate) fn waited_for_cpu(&self, waited: Duration, time: Duration) {
        self.window.waited_for_cpu(waited, time);
    }

    /// Whether requests are being refused. An overload is over when nothing was seen for an interval.
    #[inline]
    pub(crate) fn is_overloaded(&self, now_ns: u64, limits: &Limits) -> bool {
        self.intervals.was_overloaded() && now_ns < self.overloaded_until_ns(limits)
    }

    /// Until when that is so, unless more is seen, monotonic ns; 0 if requests are not being refused.
    pub(crate) fn overloaded_until_ns(&self, limits: &Limits) -> u64 {
        match self.intervals.was_overloaded() {
            true => self.intervals.counts_until_ns(Bounds::of(limits)),
            false => 0,
        }
    }

    /// A request that has waited for so long is about to be served by one of several threads or processes
    /// that share CPUs; `None`: whether it has waited for too long was asked before. Returns what is to be told of
    /// its [end](Self::end); `None` refuses it.
    pub(crate) fn begin(
        &self,
        waited: Option<Waited>,
        now_ns: u64,
        limits: &Limits,
    ) -> Option<Call> {
        let overloaded = self.is_overloaded(now_ns, limits);
        let is_late = overloaded && waited.is_some_and(|waited| self.refuses(waited, limits));
        let waited = waited.map_or(Duration::ZERO, Waited::longest);
        let entered = overloaded && !is_late && self.enter();
        let refused = overloaded && !entered;
        if refused && !is_late {
            return None; // How long it would have waited is not known.
        }
        let mut call = Call {
            entered,
            began_ns: now_ns,
            followed: None,
        };
        if self.is_follow_due(now_ns) {
            self.follow(now_ns, limits);
            match os::thread::run_delay() {
                Some(run_delay) if !refused => call.followed = Some((waited, run_delay)),
                _ => {
                    self.observe_followed(waited, now_ns, limits);
                }
            }
        }
        (!refused).then_some(call)
    }

    /// The request is answered, or waits for something else than a worker. The thread is the one that began. Returns
    /// how long it has waited for a CPU until now, if that was looked at.
    pub(crate) fn end(&self, call: Call, limits: &Limits) -> Option<Duration> {
        if call.entered {
            self.window.leave();
            let taken_ns = os::signal::monotonic_ns().saturating_sub(call.began_ns);
            self.took(Duration::from_nanos(taken_ns));
        }
        let (waited, before) = call.followed?;
        let run_delay = os::thread::run_delay()?;
        let while_served = run_delay.saturating_sub(before);
        self.observe_followed(waited + while_served, os::signal::monotonic_ns(), limits);
        Some(run_delay)
    }

    /// During an overload: whether a request that has waited for so long is refused, which is counted.
    pub(crate) fn refuses(&self, waited: Waited, limits: &Limits) -> bool {
        let target = Bounds::of(limits).target;
        self.window.saw(waited, target);
        self.limit.refuses(waited, target)
    }

    /// During an overload: a request was served, and the worker was free for the next after so long.
    pub(crate) fn took(&self, time: Duration) {
        self.limit.took(time);
    }

    /// During an overload, a worker begins to serve, unless enough do, which is counted.
    fn enter(&self) -> bool {
        let has_room = self.window.enter();
        if !has_room {
            self.limit.is_crowded();
        }
        has_room
    }

    /// Whether it is time to follow a request to its end: once in a rhythm, however many workers there
    /// are.
    #[inline]
    pub(crate) fn is_follow_due(&self, now_ns: u64) -> bool {
        now_ns >= self.follow_ns.load(Ordering::Relaxed)
    }

    /// Takes note that one is followed.
    fn follow(&self, now_ns: u64, limits: &Limits) {
        self.follow_ns
            .store(now_ns + rhythm_ns(limits), Ordering::Relaxed);
    }
}

/// What is known of a request that is being served.
#[derive(Debug)]
pub(crate) struct Call {
    /// It counts in the window.
    entered: bool,
    /// When it began, monotonic ns.
    began_ns: u64,
    /// Its delay is measured to its end: how long it had waited before, and how long its thread had waited
    /// for a CPU by then.
    followed: Option<(Duration, Duration)>,
}

impl Call {
    /// When it began, monotonic ns, and how long its thread had waited for a CPU by then, if that was looked at.
    pub(crate) fn followed(&self) -> Option<(u64, Duration)> {
        self.followed
            .map(|(_, run_delay)| (self.began_ns, run_delay))
    }

    /// Whether its end is of interest.
    pub(crate) fn is_tracked(&self) -> bool {
        self.entered || self.followed.is_some()
    }
}

/// What answers in the place of the service.
#[derive(Debug)]
pub(crate) struct Overloaded {
    pause: Duration,
}

impl Overloaded {
    pub(crate) const NOW: &Overloaded = &Overloaded {
        pause: Duration::ZERO,
    };
    pub(crate) const LATER: &Overloaded = &Overloaded { pause: PAUSE };
}

impl Service for Overloaded {
    fn call(&self, _: &Request<'_>, response: &mut Response<'_>) {
        response
            .status(503)
            .field("Retry-After", "1")
            .content_type("text/plain")
            .body(b"overloaded\n");
        if !self.pause.is_zero() {
            response.wait(self.pause);
        }
    }
}
