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

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use os::process::{Pid, Signal};
use os::signal;

use crate::alarm::ALARM;
use crate::board::{Block, Board, Holding};
use crate::{Limits, Server, log, watchdog};

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
        let began = self.board.drain_began_ns.load(Ordering::SeqCst);
        if began == 0 {
            return Phase::Serving;
        }
        let elapsed = Duration::from_nanos(signal::monotonic_ns().saturating_sub(began));
        match elapsed {
            _ if elapsed >= self.grace => Phase::Cutting,
            _ if elapsed >= self.idle => Phase::Closing,
            _ => Phase::Draining,
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

    /// True if it had not begun before.
    pub(crate) fn begin(&self) -> bool {
        let (flag, now) = (self.flag(), signal::monotonic_ns());
        flag.compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }

    /// Closes or cuts what a blocking worker holds, as far as the phase goes.
    pub(crate) fn press(&self, block: &Block) {
        let phase = self.phase();
        if phase >= Phase::Closing {
            block.seize(Holding::Idle, os::net::shutdown_read);
        }
        if phase == Phase::Cutting && block.cut(os::net::shutdown_both) {
            self.board.cut.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What a worker may take from being cut to being gone.
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(500);

/// When the process ends itself, because nobody else is left to end it: its only thread is stuck in
/// a service that blocks.
const LAST_RESORT: Duration = Duration::from_millis(2 * LAST_WORDS.as_millis() as u64);

static SERVER: OnceLock<&'static Server> = OnceLock::new();
/// Id of the process that serves, or whose children do.
static FIRST: AtomicU32 = AtomicU32::new(0);

/// Installs the handlers of the drain. Forked children keep them.
pub(crate) fn install(server: &'static Server) {
    assert!(SERVER.set(server).is_ok(), "a process has one server");
    FIRST.store(os::process::id(), Ordering::SeqCst);
    signal::handle(&[signal::SIGTERM, signal::SIGINT], on_terminate);
    signal::handle(&[signal::SIGALRM], on_tick);
}

/// Has a worker that has just become a process of its own take part in a drain: forked in one, it has
/// missed the signal.
pub(crate) fn join(server: &Server, block: &Block) {
    if server.drain.has_begun() {
        block.alarm.make_periodic();
    }
}

/// The block of the worker that is this whole process, if one is. Async-signal-safe.
fn mine(server: &Server) -> Option<&Block> {
    let id = os::process::id();
    server.blocks.iter().find(|block| block.is_process(id))
}

/// A listener that we share was shut by somebody else, unless the drain has done it: drains as if told
/// to. Waiting at it would be told of the end again and again.
pub(crate) fn begin_unasked(server: &Server) {
    if server.drain.begin() {
        log(format_args!(
            "a listener was shut down by another process: nobody can come any more"
        ));
        server.begin_drain();
        // The first process sees to the others, as it does when it is told.
        if let Some(first) = Pid::from_raw(FIRST.load(Ordering::SeqCst) as i32) {
            os::process::kill(first, Signal::TERM);
        }
    }
}

extern "C" fn on_terminate(_: i32) {
    signal::keeping_errno(|| {
        if let Some(server) = SERVER.get() {
            server.begin_drain();
            mine(server)
                .map_or(&ALARM, |block| &block.alarm)
                .make_periodic();
        }
    });
}

/// Looks at the deadlines of this process's workers and, in a drain, presses on its own connection.
/// Only async-signal-safe calls: atomics, the clock, shutdown, tgkill. In the end of a drain it ends
/// the process.
extern "C" fn on_tick(_: i32) {
    signal::keeping_errno(|| {
        let Some(server) = SERVER.get() else {
            return;
        };
        let mine = mine(server);
        watchdog::on_alarm(server.blocks, mine, &server.limits);
        let began = server.drain.board.drain_began_ns.load(Ordering::SeqCst);
        if began == 0 {
            return;
        }
        if let Some(block) = mine {
            server.drain.press(block);
        }
        let elapsed = Duration::from_nanos(signal::monotonic_ns().saturating_sub(began));
        if elapsed > server.drain.grace + LAST_RESORT
            && FIRST.load(Ordering::SeqCst) == os::process::id()
        {
            server.leave_now();
        }
    });
}
