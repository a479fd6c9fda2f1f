//! Going away without losing anything.
//!
//! SIGTERM or SIGINT begins the drain: listeners that are ours become non-blocking, so that every
//! acceptor takes what already waits in the backlog and then finds it empty; the waker rings for
//! whoever waits in a selector; SIGALRM ticks, so that no process sleeps through a later phase.
//! From then on every reply says `Connection: close`. The phases follow from the time alone, so
//! that all processes and threads agree without talking:
//!
//! ```text
//!   Serving ─ signal ─▶ Draining ─ drain_idle_ms ─▶ Closing ─ drain_ms ─▶ Cutting
//!                       idle ones may bring         idle ones are         whatever is left
//!                       one last request            closed                is cut
//! ```

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use os::signal;

use crate::Limits;
use crate::board::{Block, Board, Holding};

/// How far the server has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Not at all.
    Serving,
    /// No new connections; every reply says close.
    Draining,
    /// Idle connections are closed.
    Closing,
    /// Busy ones are cut.
    Cutting,
}

/// The state of the drain, shared by all workers.
#[derive(Debug)]
pub struct Drain {
    board: &'static Board,
    idle: Duration,
    grace: Duration,
    /// Two clocks read at one moment, to turn shared nanoseconds into instants.
    anchor: (Instant, u64),
}

impl Drain {
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
        match self.board.drain_began_ns.load(Ordering::SeqCst) {
            0 => None,
            ns => Some(self.anchor.0 + Duration::from_nanos(ns.saturating_sub(self.anchor.1))),
        }
    }

    /// Not 0 once it has begun, for whoever must look later.
    #[inline]
    pub(crate) fn flag(&self) -> &'static AtomicU64 {
        &self.board.drain_began_ns
    }

    /// Whether it has begun.
    #[inline]
    pub fn has_begun(&self) -> bool {
        self.board.drain_began_ns.load(Ordering::SeqCst) != 0
    }

    /// The phase now. Async-signal-safe.
    pub fn phase(&self) -> Phase {
        match self.elapsed() {
            None => Phase::Serving,
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
        began + self.grace
    }

    /// A moment on the clock that all processes share, ns.
    #[inline]
    pub(crate) fn shared_ns(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.anchor.0);
        self.anchor.1 + since.as_nanos() as u64
    }

    /// How long it lasts already, if it has begun. Async-signal-safe.
    pub(crate) fn elapsed(&self) -> Option<Duration> {
        match self.board.drain_began_ns.load(Ordering::SeqCst) {
            0 => None,
            began => Some(Duration::from_nanos(
                signal::monotonic_ns().saturating_sub(began),
            )),
        }
    }

    /// Whether this process has outlived the grace by `more`, although all connections were cut
    /// then. Async-signal-safe.
    pub(crate) fn has_outlived_grace_by(&self, more: Duration) -> bool {
        self.elapsed()
            .is_some_and(|elapsed| elapsed > self.grace + more)
    }

    /// True if it had not begun before.
    pub(crate) fn begin(&self) -> bool {
        let (flag, now) = (self.flag(), signal::monotonic_ns());
        flag.compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }

    /// Closes or cuts what a blocking worker holds, as far as the phase goes.
    pub(crate) fn close_or_cut(&self, block: &Block) {
        let phase = self.phase();
        if phase >= Phase::Closing {
            block.seize(Holding::Idle, os::net::shutdown_read);
        }
        if phase == Phase::Cutting && block.cut(os::net::shutdown_both) {
            self.board.cut.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// How long a worker may take to end after its connection was cut.
pub(crate) const TIME_TO_EXIT: Duration = Duration::from_millis(500);
