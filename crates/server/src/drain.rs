//! The drain: how a server ends without losing a connection or a request that it has received.
//!
//! SIGTERM or SIGINT begins it. Our own listeners become non-blocking, so that workers accept all
//! connections in the backlog and then find it empty. The waker becomes readable, for loops that wait in
//! a selector. SIGALRM is sent every 50 ms, so that no worker blocks through a change of phase. Every
//! reply says `Connection: close`.
//!
//! A worker process that alone gets SIGTERM drains by itself: it accepts nothing more, leaves the listeners
//! as they are, and ends when its connections have ended, by the same phases. Its parent replaces it.
//!
//! The phase follows from the time since the beginning, so all processes and threads agree about it
//! without messages:
//!
//! ```text
//!   Serving ─ signal ─▶ Draining ─ drain_idle_ms ─▶ Closing ─ drain_ms ─▶ Cutting
//!                       idle connections may        idle connections      busy connections
//!                       send a last request         are closed            are cut
//! ```

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use os::signal;

use crate::Limits;
use crate::board::{Activity, Block, Board};

/// The phases of a server's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// No drain has begun.
    Serving,
    /// No new connections are accepted beyond those in the backlog; every reply says close.
    Draining,
    /// Idle connections are closed.
    Closing,
    /// Busy connections are cut.
    Cutting,
}

/// The state of the drain, shared by all workers.
#[derive(Debug)]
pub struct Drain {
    board: &'static Board,
    idle: Duration,
    grace: Duration,
    /// One moment on two clocks, to convert shared nanoseconds to instants and back.
    anchor: (Instant, u64),
}

/// When this process began to drain by itself, monotonic ns; 0: it has not.
static OWN: AtomicU64 = AtomicU64::new(0);

impl Drain {
    /// Whether this process drains, and the others do not.
    #[inline]
    pub fn is_own(&self) -> bool {
        OWN.load(Ordering::Relaxed) != 0 && self.board.drain_began_ns.load(Ordering::SeqCst) == 0
    }

    /// Begins the drain of this process alone. Async-signal-safe.
    pub(crate) fn begin_own(&self) {
        let now = signal::monotonic_ns();
        let _ = OWN.compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst);
    }

    #[inline]
    fn began_ns(&self) -> u64 {
        match self.board.drain_began_ns.load(Ordering::SeqCst) {
            0 => OWN.load(Ordering::Relaxed),
            ns => ns,
        }
    }

    pub(crate) fn new(board: &'static Board, limits: &Limits) -> Drain {
        Drain {
            board,
            idle: Duration::from_millis(limits.drain_idle_ms),
            grace: Duration::from_millis(limits.drain_ms),
            anchor: (Instant::now(), signal::monotonic_ns()),
        }
    }

    /// When the drain began, if it has.
    #[inline]
    pub fn began(&self) -> Option<Instant> {
        match self.began_ns() {
            0 => None,
            ns => Some(self.moment(ns)),
        }
    }

    /// Not 0 once it has begun. For code that must read this later.
    #[inline]
    pub(crate) fn flag(&self) -> &'static AtomicU64 {
        &self.board.drain_began_ns
    }

    /// Whether it has begun.
    #[inline]
    pub fn has_begun(&self) -> bool {
        self.began_ns() != 0
    }

    /// The phase now. Async-signal-safe.
    pub fn phase(&self) -> Phase {
        match self.elapsed() {
            None => Phase::Serving,
            Some(_) if self.is_hurried(Duration::ZERO) => Phase::Cutting,
            Some(_) if self.cut_at_ns() != 0 => Phase::Closing,
            Some(elapsed) if elapsed >= self.grace => Phase::Cutting,
            Some(elapsed) if elapsed >= self.idle => Phase::Closing,
            Some(_) => Phase::Draining,
        }
    }

    /// When an idle connection is closed, given that the drain began at `began`.
    pub fn idle_ends(&self, began: Instant) -> Instant {
        began + self.idle
    }

    /// When a busy connection is cut.
    pub fn grace_ends(&self, began: Instant) -> Instant {
        let usual = began + self.grace;
        match self.cut_at_ns() {
            0 => usual,
            ns => usual.min(self.moment(ns)),
        }
    }

    fn cut_at_ns(&self) -> u64 {
        self.board.cut_at_ns.load(Ordering::SeqCst)
    }

    /// Has busy connections cut so long from now, unless they are sooner, and idle ones closed.
    /// Async-signal-safe.
    pub(crate) fn cut_after(&self, time: Duration) {
        let at_ns = signal::monotonic_ns() + time.as_nanos() as u64;
        let sooner = |now| (now == 0 || now > at_ns).then_some(at_ns);
        let cut_at = &self.board.cut_at_ns;
        let _ = cut_at.fetch_update(Ordering::SeqCst, Ordering::SeqCst, sooner);
    }

    /// Whether it was asked to hurry, and should have cut every connection at least `more` ago. Loops that
    /// have armed their deadlines do not learn of it: the main process ends without them.
    /// Async-signal-safe.
    pub(crate) fn is_hurried(&self, more: Duration) -> bool {
        let at_ns = self.cut_at_ns();
        at_ns != 0 && signal::monotonic_ns() >= at_ns.saturating_add(more.as_nanos() as u64)
    }

    /// A moment on the clock that all processes share, monotonic ns.
    #[inline]
    pub(crate) fn shared_ns(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.anchor.0);
        self.anchor.1 + since.as_nanos() as u64
    }

    /// Back from that clock.
    pub(crate) fn moment(&self, ns: u64) -> Instant {
        self.anchor.0 + Duration::from_nanos(ns.saturating_sub(self.anchor.1))
    }

    /// Whether a drain leaves the listeners as they are, for another process that serves at them.
    #[inline]
    pub(crate) fn leaves_listeners(&self) -> bool {
        self.board.leaves.load(Ordering::Relaxed)
            || self.board.handed_over.load(Ordering::SeqCst)
            || self.is_own()
    }

    pub(crate) fn leave_listeners(&self, leaves: bool) {
        self.board.leaves.store(leaves, Ordering::SeqCst);
    }

    /// Whether nothing is accepted any more, because another process accepts.
    #[inline]
    pub(crate) fn accepts_no_more(&self) -> bool {
        self.has_begun() && self.leaves_listeners()
    }

    /// How long ago it began, if it has. Async-signal-safe.
    pub(crate) fn elapsed(&self) -> Option<Duration> {
        match self.began_ns() {
            0 => None,
            began => Some(Duration::from_nanos(
                signal::monotonic_ns().saturating_sub(began),
            )),
        }
    }

    /// Whether the grace ended at least `more` ago. Async-signal-safe.
    pub(crate) fn has_outlived_grace_by(&self, more: Duration) -> bool {
        self.elapsed()
            .is_some_and(|elapsed| elapsed > self.grace + more)
    }

    /// Begins it. False if it had begun before. Async-signal-safe.
    pub(crate) fn begin(&self) -> bool {
        let (flag, now) = (self.flag(), signal::monotonic_ns());
        flag.compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }

    /// Closes the connection of a blocking worker if it is idle, or cuts it if it is busy, according to
    /// the phase. The worker's call returns then. Async-signal-safe.
    pub(crate) fn close_or_cut(&self, block: &Block) {
        let phase = self.phase();
        if phase >= Phase::Closing {
            block.act_if(Activity::Idle, os::net::shutdown_read);
        }
        if phase == Phase::Cutting && block.cut(os::net::shutdown_both) {
            self.board.cut.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// How long a worker may take to end after its connection was cut.
pub(crate) const TIME_TO_EXIT: Duration = Duration::from_millis(500);
