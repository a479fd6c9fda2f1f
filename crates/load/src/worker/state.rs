//! The state of a thread of the generator, on which its loop and the connections build.

use std::collections::VecDeque;

use anyhow::Result;
use rustix::io::Errno;

use crate::checker::Checker;
use crate::clock::{self, now_ns};
use crate::error_class::ErrorClass;
use crate::mix::Mix;
use crate::plan::Plan;
use crate::poller::Poller;
use crate::recorder::{PendingRequest, Recorder};
use crate::schedule::Schedule;
use crate::shared::{Progress, Shared};
use crate::slot::Slot;
use crate::thread_result::Usage;

/// Bytes received at once.
const RECEIVE_BYTES: usize = 64 * 1024;

/// Longest time spent polling before a request is due. Waking from a sleep takes tens of
/// microseconds, most of all on a virtual CPU.
pub(super) const SPIN_NS_MAX: u64 = 100_000;

/// The state of the thread.
pub(crate) struct Worker<'a> {
    pub(super) plan: &'a Plan,
    pub(super) shared: &'a Shared<'a>,
    pub(super) progress: &'a Progress,
    pub(super) thread: usize,
    pub(super) poller: Poller,
    /// Those that keep their connection; behind them, from `once_from` on, those that open one for each
    /// request.
    pub(super) slots: Vec<Slot>,
    pub(super) once_from: usize,
    /// One for each kind of request.
    pub(super) checkers: Vec<Checker>,
    /// Chooses each request where they are not all equal.
    pub(super) mix: Option<Mix>,
    pub(super) recorder: Recorder,
    pub(super) schedule: Option<Schedule>,
    /// For connections that are kept, and for those of one request.
    pub(super) lanes: [Lane; 2],
    /// Since when a slot's client thinks, and until when, in the order of that.
    pub(super) thinking: VecDeque<Thought>,
    /// How long each client thinks; 0 where none does.
    pub(super) think_ns: u64,
    /// Until when a reply is followed by a request at once: the end of the window, or never where
    /// clients think.
    pub(super) at_once_until_ns: u64,
    /// Slots that wait to be connected again.
    pub(super) down: Vec<usize>,
    /// Copies of the request, as many as one write may send.
    pub(super) requests: Vec<u8>,
    pub(super) request_bytes: usize,
    pub(super) scratch: Box<[u8]>,
    /// The time when the clock was last read.
    pub(super) now_ns: u64,
    pub(super) timeout_ns: u64,
    pub(super) next_due_ns: u64,
    pub(super) next_retry_ns: u64,
    pub(super) next_tick_ns: u64,
    pub(super) next_check_ns: u64,
    pub(super) spin_margin_ns: u64,
    pub(super) usage: Usage,
    pub(super) at_start: Option<Snapshot>,
    pub(super) at_end: Option<Snapshot>,
    pub(super) lost: u64,
    /// Connections that were to be kept and that the server closed: behind a reply, as announced, or
    /// while they were idle.
    pub(super) closed: u64,
    /// Of them, those that had answered before and had no request.
    pub(super) closed_idle: u64,
    /// The run has started: before that, connections are opened without requests.
    pub(super) started: bool,
    pub(super) connecting: usize,
    pub(super) ever_connected: bool,
    pub(super) connect_failures: u64,
    pub(super) last_failure: Option<ErrorClass>,
    /// What the kernel said when a connection was last refused.
    pub(super) last_errno: Option<Errno>,
    /// Why a connection was last lost, or could not be opened.
    pub(super) last_loss: ErrorClass,
}

impl<'a> Worker<'a> {
    /// Thread number `thread` of the plan.
    pub(crate) fn new(
        shared: &'a Shared<'a>,
        progress: &'a Progress,
        thread: usize,
    ) -> Result<Self> {
        let plan = shared.plan;
        let connections =
            plan.connections / plan.threads + usize::from(thread < plan.connections % plan.threads);
        let request = plan.request();
        let copies = plan.pipeline.min((RECEIVE_BYTES / request.len()).max(1));
        Ok(Self {
            plan,
            shared,
            progress,
            thread,
            poller: Poller::new()?,
            slots: (0..connections * (1 + usize::from(plan.is_mixed())))
                .map(|_| Slot::new(plan.pipeline))
                .collect(),
            once_from: match plan.new_connection {
                true => 0,
                false => connections,
            },
            checkers: Checker::all(plan, &shared.reference_bodies),
            mix: Mix::new(plan, thread),
            recorder: Recorder::new(plan),
            schedule: None,
            lanes: [Lane::with_slots(connections), Lane::with_slots(connections)],
            thinking: VecDeque::new(),
            think_ns: clock::duration_ns(plan.think),
            at_once_until_ns: 0,
            down: Vec::with_capacity(connections),
            request_bytes: request.len(),
            requests: request.repeat(copies),
            scratch: vec![0; RECEIVE_BYTES].into_boxed_slice(),
            now_ns: now_ns(),
            timeout_ns: clock::duration_ns(plan.timeout),
            next_due_ns: u64::MAX,
            next_retry_ns: u64::MAX,
            next_tick_ns: 0,
            next_check_ns: 0,
            spin_margin_ns: SPIN_NS_MAX / 2,
            usage: Usage::default(),
            at_start: None,
            at_end: None,
            lost: 0,
            closed: 0,
            closed_idle: 0,
            started: false,
            connecting: 0,
            ever_connected: false,
            connect_failures: 0,
            last_failure: None,
            last_errno: None,
            last_loss: ErrorClass::Timeout,
        })
    }
}

impl Worker<'_> {
    /// Whether a slot opens a connection for each request.
    #[inline(always)]
    pub(super) fn is_once(&self, index: usize) -> bool {
        index >= self.once_from
    }

    /// Some requests have a connection of their own, and others do not.
    #[inline(always)]
    pub(super) fn is_mixed(&self) -> bool {
        self.once_from > 0 && self.once_from < self.slots.len()
    }

    /// Of a closed loop: the client that uses a slot, which is its first one.
    pub(super) fn client(&self, index: usize) -> usize {
        match self.is_mixed() {
            true => index % self.once_from,
            false => index,
        }
    }

    /// The slots of all clients: the connections asked for.
    pub(super) fn clients(&self) -> &[Slot] {
        match self.is_mixed() {
            true => &self.slots[..self.once_from],
            false => &self.slots,
        }
    }
}

/// What waits for each other: requests for slots, or slots for requests.
#[derive(Debug)]
pub(super) struct Lane {
    /// Requests that are due and have no connection, oldest first. The time-out bounds its length.
    pub(super) queue: VecDeque<PendingRequest>,
    /// Slots that may take a request, those that are idle for longest first, so that all are used.
    pub(super) free: VecDeque<usize>,
}

impl Lane {
    fn with_slots(slots: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            free: VecDeque::with_capacity(slots),
        }
    }
}

/// A client that thinks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thought {
    pub(super) slot: usize,
    pub(super) since_ns: u64,
    pub(super) until_ns: u64,
}

/// The counters at the start or at the end of the window.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) usage: Usage,
    pub(super) alive: u64,
    /// Connections without a reply since the start of the window.
    pub(super) silent: u64,
}
