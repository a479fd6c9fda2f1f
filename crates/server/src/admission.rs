//! Admission: when requests have waited too long for too long, some are refused so that the others are
//! answered in time.
//!
//! Under overload a queue that is served in order makes every answer late, and late answers are worth
//! nothing: the server works as hard as it can for replies that come too late. CoDel (Nichols and Jacobson, *Controlling
//! Queue Delay*, ACM Queue 2012; RFC 8289) tells a queue that absorbs a burst from one that stands: the
//! former is empty again within an interval. CoDel then drops packets ever more often until the delay
//! is below its target; senders slow down meanwhile. Clients of a server do not, so a server in overload
//! refuses at once whatever has waited too long: 503 with `Retry-After`, before the service is called, on a
//! connection that stays open.
//!
//! A request waits in three places. In its socket, for a worker: the kernel knows since when, and is
//! asked. In a queue of the server, for a thread of a pool: the server knows. And while it is served, for
//! a CPU, where the scheduler lets many workers take turns: the scheduler knows, and is asked before and
//! after a call of the service. The last makes no request older before its call; so where workers
//! share CPUs, there is a bound on how many serve at once besides, which is found as TCP finds its window:
//! up by a little while requests are in time, down by a quarter when one that was followed to its end was late, or
//! when a quarter of all had waited for longer than the target. The latter has to be counted: a worker that has just
//! answered receives the next request of its connection at once and computes that, too, until its turn ends, so
//! most of the requests that begin are young while those of all other connections grow old. The bound
//! stays above the number of CPUs, so that none of them is idle between two requests; and it shrinks only while
//! workers wait for a CPU: where they are blocked, the queue is one for workers, and it takes more of them.
//!
//! Clients have a queue, too, which the server cannot see: one that has few connections and a backlog sends its
//! next request when one is answered, and every answer is late until that backlog is gone. It shrinks only if
//! the server answers faster than requests come. If it serves what has waited for the whole target, it hardly
//! does: of 64 requests of 200 us, 25 to 30 are served, the others refused, and all 64 take 5 to 6 ms. So during an
//! overload the limit is the target less the share that was refused in the last interval, and half of the target
//! in the first: where nine of ten have to be refused it is a tenth, so that those 64 take less than 2 ms. It is never
//! shorter than the time that two requests take, which would leave the CPU without work between them.
//!
//! The kernel tells the age of what a socket holds in ticks, of 4 ms as a rule: half of the requests that have waited
//! for 2 ms seem to have waited for 4. Where few have to be refused, whatever may be in time is served, so the limit is
//! longer by a tick, less the share that was refused. Where most have to be, one that may be late is refused. A loop
//! knows better: what it was woken for has waited at least since then.
//!
//! Of requests in time, one in an eighth of an interval is looked at.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use os::net;
use proto::{Limits, Request, Response, Service};

/// The delay of one queue, seen by all workers that take from it. Two that update it at once may lose
/// one observation, which does not matter.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct QueueDelay {
    /// When the present interval ends, monotonic ns.
    ends_ns: AtomicU64,
    /// Eighths of it in which a delay was observed, and those of them in which most were late.
    eighths: AtomicU32,
    late_eighths: AtomicU32,
    /// Whether a request was observed in it that had waited for longer than an interval.
    stood: AtomicBool,
    /// In the present eighth: what a worker had received, and requests that were followed to their end.
    received: Seen,
    followed: Seen,
    /// During an overload: requests that were looked at in it, those of them that were refused because they had
    /// waited for too long, and those that were because enough are served.
    asked: AtomicU32,
    old: AtomicU32,
    crowded: AtomicU32,
    /// By how much the limit is longer than half of the target, or shorter, in [parts](WHOLE) of that half.
    eased: AtomicI32,
    /// What a request takes that is served during an overload, a moving average, ns.
    service_ns: AtomicU64,
    /// Whether the last interval was one of overload.
    overloaded: AtomicBool,
    /// Since the window was adjusted: requests that were looked at, and those that had waited for too long.
    asked_lately: AtomicU32,
    old_lately: AtomicU32,
    /// The part of their time for which threads that were looked at have waited for a CPU, in [parts](WHOLE) of it:
    /// a moving average.
    cpu_wait: AtomicU32,
    /// How many may serve at once during overload, at least how many, and how many do of those that began in it.
    window: AtomicU32,
    window_min: AtomicU32,
    serving: AtomicU32,
    /// When the window is adjusted again, and the next request is followed, monotonic ns.
    adjust_ns: AtomicU64,
    follow_ns: AtomicU64,
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

/// An eighth of an interval is the rhythm of looking at requests, and of adjusting the window.
const RHYTHM: u64 = 8;

/// An overload lasts while at least one of so many requests has to be refused. Below that the queue alone
/// carries what comes unevenly.
const REFUSED_SHARE: u32 = 8;

/// The window shrinks when one of so many requests had waited for too long.
const OLD_SHARE: u32 = 4;

/// It does so only where threads wait for a CPU for one part of so many of their time: others that were
/// queued waited for a worker, and fewer that serve would help none.
const CPU_WAIT_SHARE: u32 = 16;

/// The weight of a thread that was looked at in that average: one of so many.
const CPU_WAIT_OF: u32 = 4;

/// Parts of half of the target.
const WHOLE: u32 = 256;

/// The weight of a request in the moving average of what one takes: one of so many.
const AVERAGE_OF: u64 = 8;

/// Workers that serve at once when an overload begins.
const WINDOW_AT_FIRST: u32 = 4;

/// The bounds of [`Limits`] in the units of this module.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    target: Duration,
    interval_ns: u64,
}

impl Bounds {
    fn of(limits: &Limits) -> Bounds {
        Bounds {
            target: Duration::from_millis(limits.queue_delay_ms),
            interval_ns: limits.queue_delay_interval_ms.saturating_mul(1_000_000),
        }
    }
}

/// How often a worker looks when all is well, ns.
pub(crate) fn rhythm_ns(limits: &Limits) -> u64 {
    Bounds::of(limits).interval_ns / RHYTHM
}

impl QueueDelay {
    /// During an overload so many CPUs have work: besides what they serve, one request has begun that goes on when
    /// another ends, and one has yielded its CPU to those that are refused.
    pub(crate) fn has_cpus(&self, cpus: usize) {
        let min = u32::try_from(cpus).unwrap_or(u32::MAX).saturating_add(2);
        self.window_min.store(min, Ordering::Relaxed);
    }

    /// Takes note that a request was delayed by so much until `now_ns`, and returns whether it was late.
    ///
    /// An interval is one of overload if most requests were late in three of four of its eighths. CoDel asks
    /// for all; where several workers take from one queue, one that the scheduler has favoured would hide the
    /// others. Eighths are counted and not requests, because all are looked at while they are late, and few
    /// when all is well: a burst would outweigh the time before it and behind it. One late eighth alone is a
    /// burst, too, unless a request in it has waited for a whole interval.
    /// Where requests are received by one worker and served by another, or aside, either may be late: what is
    /// received at once says nothing about how long many that are served at once wait for a CPU.
    /// An overload ends with an interval in which few were late and few had to be refused, or in which all were:
    /// that the server serves less does not help then.
    pub(crate) fn observe(&self, delay: Duration, now_ns: u64, limits: &Limits) -> bool {
        self.observe_in(&self.received, delay, now_ns, limits)
    }

    /// The same of a request that was followed to its end, or refused in the place of one.
    fn observe_followed(&self, delay: Duration, now_ns: u64, limits: &Limits) -> bool {
        self.observe_in(&self.followed, delay, now_ns, limits)
    }

    fn observe_in(&self, seen: &Seen, delay: Duration, now_ns: u64, limits: &Limits) -> bool {
        let bounds = Bounds::of(limits);
        let ends_ns = self.ends_ns.load(Ordering::Relaxed);
        if now_ns >= ends_ns {
            // What was seen before a silence says nothing, unless this request has waited since then.
            let delay_ns = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
            let is_recent = now_ns.saturating_sub(delay_ns) < ends_ns + bounds.interval_ns;
            self.begin_interval(is_recent);
            self.ends_ns
                .store(now_ns + bounds.interval_ns, Ordering::Relaxed);
        }
        let is_late = delay > bounds.target;
        if delay.as_nanos() > u128::from(bounds.interval_ns) {
            self.stood.store(true, Ordering::Relaxed);
        }
        seen.add(is_late);
        if now_ns >= self.adjust_ns.load(Ordering::Relaxed) {
            self.end_eighth();
            let asked = self.asked_lately.swap(0, Ordering::Relaxed);
            let old = self.old_lately.swap(0, Ordering::Relaxed);
            let waits_for_cpu = self.cpu_wait.load(Ordering::Relaxed) * CPU_WAIT_SHARE >= WHOLE;
            self.adjust_window(is_late || waits_for_cpu && old > 0 && old * OLD_SHARE >= asked);
            self.adjust_ns
                .store(now_ns + bounds.interval_ns / RHYTHM, Ordering::Relaxed);
        }
        is_late
    }

    fn begin_interval(&self, is_recent: bool) {
        self.end_eighth();
        let eighths = self.eighths.swap(0, Ordering::Relaxed);
        let late = self.late_eighths.swap(0, Ordering::Relaxed);
        let old = self.old.swap(0, Ordering::Relaxed);
        let asked = self.asked.swap(0, Ordering::Relaxed);
        let refused = old + self.crowded.swap(0, Ordering::Relaxed);
        let was = self.overloaded.load(Ordering::Relaxed);
        let stood = self.stood.swap(false, Ordering::Relaxed);
        let stands = late * 4 >= eighths * 3 && (late >= 2 || late == 1 && stood);
        let many_refused = refused > 0 && refused * REFUSED_SHARE >= asked;
        // Where nothing was served, requests wait for no other requests: programs beside the server use the CPUs.
        let none_served = was && asked > 0 && old >= asked;
        let overloaded = is_recent && !none_served && (stands || was && many_refused);
        // Workers count meanwhile, and one that asked in the last interval may be refused in this one.
        let share = (f64::from(refused) / f64::from(asked.max(1))).min(1.0);
        // Of a whole target 1 less the share, of half a target twice that, of which half a target is one.
        let eased = match was && asked > 0 {
            true => 2.0 * (1.0 - share) - 1.0,
            false => 0.0,
        };
        self.eased
            .store((eased * f64::from(WHOLE)) as i32, Ordering::Relaxed);
        if overloaded && !was {
            let window = WINDOW_AT_FIRST.max(self.window_min.load(Ordering::Relaxed));
            self.window.store(window, Ordering::Relaxed);
            self.cpu_wait.store(WHOLE, Ordering::Relaxed);
            self.serving.store(0, Ordering::Relaxed);
        }
        self.overloaded.store(overloaded, Ordering::Relaxed);
    }

    /// A worker has waited for a CPU for so long of the time from the beginning of one request to that of the next.
    pub(crate) fn waited_for_cpu(&self, waited: Duration, time: Duration) {
        let share = waited.as_secs_f64() / time.max(waited).as_secs_f64().max(1e-9);
        let average = self.cpu_wait.load(Ordering::Relaxed);
        let next =
            average - average / CPU_WAIT_OF + (share * f64::from(WHOLE / CPU_WAIT_OF)) as u32;
        self.cpu_wait.store(next, Ordering::Relaxed);
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

    fn adjust_window(&self, is_late: bool) {
        let window = self.window.load(Ordering::Relaxed);
        let min = self.window_min.load(Ordering::Relaxed).max(1);
        let next = match is_late {
            true => (window - window / 4 - u32::from(window < 4 && window > 1)).max(min),
            false => window + (window / 8).max(1),
        };
        self.window
            .store(next.min(u32::from(u16::MAX)).max(min), Ordering::Relaxed);
    }

    /// Whether requests are being refused. An overload is over when nothing was seen for an interval.
    #[inline]
    pub(crate) fn is_overloaded(&self, now_ns: u64, limits: &Limits) -> bool {
        let ends_ns = self.ends_ns.load(Ordering::Relaxed);
        let is_recent = || now_ns < ends_ns + Bounds::of(limits).interval_ns;
        self.overloaded.load(Ordering::Relaxed) && is_recent()
    }

    /// Until when that is so, unless more is seen, monotonic ns; 0 if requests are not being refused.
    pub(crate) fn overloaded_until_ns(&self, limits: &Limits) -> u64 {
        match self.overloaded.load(Ordering::Relaxed) {
            true => self.ends_ns.load(Ordering::Relaxed) + Bounds::of(limits).interval_ns,
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

    /// The request is answered, or waits for something else than a worker. The thread is the one that began.
    pub(crate) fn end(&self, call: Call, limits: &Limits) {
        if call.entered {
            self.leave();
            let taken_ns = os::signal::monotonic_ns().saturating_sub(call.began_ns);
            self.took(Duration::from_nanos(taken_ns));
        }
        if let Some((waited, before)) = call.followed
            && let Some(run_delay) = os::thread::run_delay()
        {
            let while_served = run_delay.saturating_sub(before);
            self.observe_followed(waited + while_served, os::signal::monotonic_ns(), limits);
        }
    }

    /// During an overload: whether a request that has waited for so long is refused, which is counted.
    pub(crate) fn refuses(&self, waited: Waited, limits: &Limits) -> bool {
        let half = Bounds::of(limits).target / 2;
        let two = Duration::from_nanos(2 * self.service_ns.load(Ordering::Relaxed));
        let parts = WHOLE.saturating_add_signed(self.eased.load(Ordering::Relaxed));
        let limit = half.saturating_mul(parts) / WHOLE;
        let limit = two.min(half.saturating_mul(2)).max(limit);
        let refused = waited.exact > limit
            || waited.in_ticks > limit
                && waited.in_ticks > limit + net::input_age_step() * parts / (2 * WHOLE);
        for (count, more) in [
            (&self.asked, 1),
            (&self.asked_lately, 1),
            (&self.old, u32::from(refused)),
            (
                &self.old_lately,
                u32::from(waited.longest() > half.saturating_mul(2)),
            ),
        ] {
            count.fetch_add(more, Ordering::Relaxed);
        }
        refused
    }

    /// During an overload: a request was served, and the worker was free for the next after so long.
    pub(crate) fn took(&self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let average = self.service_ns.load(Ordering::Relaxed);
        let next = average - average / AVERAGE_OF + ns / AVERAGE_OF;
        self.service_ns.store(next, Ordering::Relaxed);
    }

    /// During an overload, a worker begins to serve, unless enough do.
    fn enter(&self) -> bool {
        let window = self.window.load(Ordering::Relaxed);
        let has_room = self.serving.fetch_add(1, Ordering::Relaxed) < window;
        if !has_room {
            self.leave();
            self.crowded.fetch_add(1, Ordering::Relaxed);
        }
        has_room
    }

    /// One that had entered has served.
    fn leave(&self) {
        // A new overload counts from 0, even if requests of the last one are still served.
        let _ = self
            .serving
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |serving| {
                serving.checked_sub(1)
            });
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

/// How long a request has waited for a worker.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Waited {
    /// At least so long, by the clock.
    pub(crate) exact: Duration,
    /// So long in its socket, by the kernel's count of [ticks](net::input_age_step).
    pub(crate) in_ticks: Duration,
}

impl Waited {
    pub(crate) fn exactly(time: Duration) -> Waited {
        let in_ticks = Duration::ZERO;
        Waited {
            exact: time,
            in_ticks,
        }
    }

    pub(crate) fn in_ticks(time: Duration) -> Waited {
        let exact = Duration::ZERO;
        Waited {
            exact,
            in_ticks: time,
        }
    }

    pub(crate) fn longest(self) -> Duration {
        self.exact.max(self.in_ticks)
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

    /// One request per ms from `from_ms` on, each delayed by so much. Which of them were late.
    fn observe(queue: &QueueDelay, from_ms: u64, delays_ms: &[u64]) -> Vec<bool> {
        let limits = Limits::default();
        let observed = delays_ms.iter().zip(from_ms..);
        observed
            .map(|(delay, at)| queue.observe(Duration::from_millis(*delay), at * MS, &limits))
            .collect()
    }

    fn is_overloaded(queue: &QueueDelay, at_ms: u64) -> bool {
        queue.is_overloaded(at_ms * MS, &Limits::default())
    }

    fn refuses(queue: &QueueDelay, waited_ms: u64) -> bool {
        let waited = Waited::exactly(Duration::from_millis(waited_ms));
        queue.refuses(waited, &Limits::default())
    }

    /// So many requests, of which one had waited for too long.
    fn refuse_one_of(number: u64, queue: &QueueDelay) {
        for n in 0..number {
            assert_eq!(refuses(queue, 20 * u64::from(n == 0)), n == 0);
        }
    }

    /// An overload that has lasted for an interval, in which one of so many requests was refused.
    fn refusing_one_of(number: u64) -> QueueDelay {
        let queue = QueueDelay::default();
        observe(&queue, 1_000, &[20; 101]);
        for n in 0..200 {
            let is_old = n % number == 0;
            assert_eq!(refuses(&queue, 20 * u64::from(is_old)), is_old);
        }
        observe(&queue, 1_101, &[20; 101]);
        queue
    }

    #[test]
    fn at_first_half_of_the_target_is_the_limit_unless_requests_are_long() {
        let queue = QueueDelay::default();
        assert!(!refuses(&queue, 2) && refuses(&queue, 3));
        (0..100).for_each(|_| queue.took(Duration::from_millis(2)));
        assert!(!refuses(&queue, 3) && refuses(&queue, 5));
        (0..100).for_each(|_| queue.took(Duration::from_millis(200)));
        assert!(!refuses(&queue, 5) && refuses(&queue, 6));
    }

    #[test]
    fn the_limit_is_the_target_less_the_share_that_was_refused() {
        let queue = refusing_one_of(5);
        assert!(!refuses(&queue, 3) && refuses(&queue, 5));
        let queue = refusing_one_of(2);
        assert!(!refuses(&queue, 2) && refuses(&queue, 3));
        let queue = QueueDelay::default();
        observe(&queue, 1_000, &[20; 101]);
        (0..200).for_each(|n| assert_eq!(refuses(&queue, 20 * u64::from(n % 10 > 0)), n % 10 > 0));
        observe(&queue, 1_101, &[20; 101]);
        assert!(!refuses(&queue, 0) && refuses(&queue, 1));
    }

    #[test]
    fn more_that_were_refused_than_asked_leave_the_shortest_limit() {
        let queue = QueueDelay::default();
        observe(&queue, 1_000, &[20; 101]);
        refuses(&queue, 0);
        while queue.enter() {}
        (0..9).for_each(|_| assert!(!queue.enter()));
        observe(&queue, 1_101, &[20; 101]);
        assert!(is_overloaded(&queue, 1_202));
        assert!(!refuses(&queue, 0) && refuses(&queue, 1));
    }

    #[test]
    fn what_the_kernel_counts_in_ticks_may_be_younger() {
        let tick = net::input_age_step();
        assert!(tick > Duration::ZERO && tick <= Duration::from_millis(10));
        let in_ticks = |queue: &QueueDelay, waited| {
            queue.refuses(Waited::in_ticks(waited), &Limits::default())
        };
        let limit = Duration::from_millis(4);
        let queue = refusing_one_of(5);
        assert!(!in_ticks(&queue, limit + tick * 3 / 4));
        assert!(in_ticks(&queue, limit + tick));
        assert!(refuses(&queue, 5), "what is known exactly is not");
    }

    #[test]
    fn a_short_queue_is_left_alone() {
        let queue = QueueDelay::default();
        assert!(!observe(&queue, 1_000, &[5; 1_000]).contains(&true));
        assert!(!is_overloaded(&queue, 2_000));
    }

    #[test]
    fn a_burst_shorter_than_an_interval_is_served_whole() {
        let queue = QueueDelay::default();
        observe(&queue, 1_000, &[0; 50]);
        observe(&queue, 1_050, &[80; 40]);
        observe(&queue, 1_090, &[0; 200]);
        assert!(!is_overloaded(&queue, 1_290));
    }

    #[test]
    fn a_burst_that_is_looked_at_whole_does_not_outweigh_the_rest() {
        let (queue, limits) = (QueueDelay::default(), Limits::default());
        let late = |at_ms: u64, delay_ms| {
            queue.observe(Duration::from_millis(delay_ms), at_ms * MS, &limits);
        };
        (0..64).for_each(|n| late(1_000 + n / 4, 8));
        (1..20).for_each(|n| late(1_015 + 13 * n, 0));
        assert!(!is_overloaded(&queue, 1_120));
        assert!(!is_overloaded(&queue, 1_250));
    }

    #[test]
    fn one_late_request_of_a_server_that_begins_is_no_overload() {
        let queue = QueueDelay::default();
        observe(&queue, 1_000, &[12]);
        observe(&queue, 1_150, &[0]);
        assert!(!is_overloaded(&queue, 1_150));
    }

    #[test]
    fn a_standing_queue_is_an_overload() {
        let queue = QueueDelay::default();
        observe(&queue, 1_000, &[20; 101]);
        assert!(is_overloaded(&queue, 1_101));
        assert!(!is_overloaded(&queue, 1_500), "nothing was seen since");
    }

    #[test]
    fn an_overload_ends_after_an_interval_without_refusals() {
        let queue = QueueDelay::default();
        observe(&queue, 1_000, &[20; 150]);
        // Of eight requests one has to be refused, and then one of eighty.
        (0..80).for_each(|n| assert_eq!(refuses(&queue, 20 * u64::from(n % 8 == 0)), n % 8 == 0));
        observe(&queue, 1_150, &[0; 100]);
        assert!(is_overloaded(&queue, 1_250), "many were refused");
        (0..80).for_each(|n| assert_eq!(refuses(&queue, 20 * u64::from(n == 0)), n == 0));
        observe(&queue, 1_250, &[0; 150]);
        assert!(!is_overloaded(&queue, 1_400));
    }

    #[test]
    fn where_all_are_refused_and_wait_all_the_same_they_are_served() {
        let queue = QueueDelay::default();
        observe(&queue, 1_000, &[20; 101]);
        assert!(is_overloaded(&queue, 1_101));
        (0..50).for_each(|_| assert!(refuses(&queue, 20)));
        observe(&queue, 1_101, &[20; 101]);
        assert!(!is_overloaded(&queue, 1_202));
        observe(&queue, 1_202, &[20; 101]);
        assert!(is_overloaded(&queue, 1_303), "they still wait");
    }

    #[test]
    fn one_favoured_worker_of_four_hides_nothing() {
        let queue = QueueDelay::default();
        let delays: Vec<_> = (0..101).map(|n| if n % 4 == 3 { 0 } else { 20 }).collect();
        observe(&queue, 1_000, &delays);
        assert!(is_overloaded(&queue, 1_101));
    }

    #[test]
    fn what_is_received_at_once_hides_none_that_wait_while_they_are_served() {
        let (queue, limits) = (QueueDelay::default(), Limits::default());
        for step in 0..10 {
            let now_ns = (1_000 + 13 * step) * MS;
            for _ in 0..6 {
                queue.observe(Duration::ZERO, now_ns, &limits);
            }
            queue.observe_followed(Duration::from_millis(20), now_ns, &limits);
        }
        assert!(is_overloaded(&queue, 1_117));
    }

    #[test]
    fn a_worker_slower_than_the_interval_is_overloaded_too() {
        let queue = QueueDelay::default();
        for at in [1_000, 2_000, 3_000] {
            observe(&queue, at, &[1_500]);
        }
        assert!(is_overloaded(&queue, 3_000));
    }

    #[test]
    fn what_was_seen_long_ago_is_forgotten() {
        let queue = QueueDelay::default();
        observe(&queue, 1_000, &[20; 20]);
        observe(&queue, 9_000, &[20]);
        assert!(!is_overloaded(&queue, 9_000));
    }

    #[test]
    fn so_many_enter_as_the_window_has_room_for() {
        let queue = QueueDelay::default();
        observe(&queue, 1_000, &[20; 101]);
        let mut entered = 0;
        while queue.enter() {
            entered += 1;
        }
        assert!((1..=WINDOW_AT_FIRST).contains(&entered), "{entered}");
        assert!(!queue.enter());
        queue.leave();
        assert!(queue.enter());
    }

    /// The window after forty of its steps more, in each of which a request in time was followed to its end.
    fn window_after(queue: &QueueDelay, from_ms: u64, meanwhile: impl Fn()) -> u32 {
        for step in 0..40 {
            meanwhile();
            let now_ns = (from_ms + 13 * step) * MS;
            queue.observe_followed(Duration::ZERO, now_ns, &Limits::default());
        }
        queue.window.load(Ordering::Relaxed)
    }

    #[test]
    fn the_window_grows_while_requests_are_in_time_and_keeps_room_for_every_cpu() {
        let queue = QueueDelay::default();
        queue.has_cpus(2);
        observe(&queue, 1_000, &[20; 101]);
        let few_are_old = || refuse_one_of(8, &queue);
        let grown = window_after(&queue, 1_101, few_are_old);
        assert!(grown > 64, "{grown}");
        for step in 0..40 {
            observe(&queue, 1_700 + 13 * step, &[20]);
        }
        assert_eq!(queue.window.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn the_window_shrinks_when_many_are_old_though_those_that_begin_are_young() {
        let queue = QueueDelay::default();
        observe(&queue, 1_000, &[20; 101]);
        let many_are_old = || refuse_one_of(4, &queue);
        assert_eq!(window_after(&queue, 1_101, many_are_old), 1);
    }

    #[test]
    fn where_workers_are_blocked_a_queue_makes_the_window_no_smaller() {
        let queue = QueueDelay::default();
        observe(&queue, 1_000, &[20; 101]);
        let time = Duration::from_millis(10);
        (0..20).for_each(|_| queue.waited_for_cpu(time / 100, time));
        let many_are_old = || refuse_one_of(4, &queue);
        let grown = window_after(&queue, 1_101, many_are_old);
        assert!(grown > 64, "{grown}");
    }

    #[test]
    fn a_call_is_refused_when_it_is_late_or_enough_are_served() {
        let (queue, limits) = (QueueDelay::default(), Limits::default());
        let begin = |waited_ms| {
            let waited = Waited::exactly(Duration::from_millis(waited_ms));
            queue.begin(Some(waited), 1_101 * MS, &limits)
        };
        assert!(begin(20).is_some(), "all is well");
        observe(&queue, 1_000, &[20; 101]);
        assert!(begin(20).is_none(), "late");
        let calls: Vec<_> = std::iter::from_fn(|| begin(0)).collect();
        assert!((1..=WINDOW_AT_FIRST as usize).contains(&calls.len()));
        for call in calls {
            assert!(call.is_tracked());
            queue.end(call, &limits);
        }
        assert!(begin(0).is_some(), "there is room again");
    }

    #[test]
    fn one_that_leaves_late_takes_no_room_of_others() {
        let queue = QueueDelay::default();
        queue.leave();
        assert_eq!(queue.serving.load(Ordering::Relaxed), 0);
    }
}
