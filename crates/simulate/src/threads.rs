//! Threads on cores, as the kernel shares them.

use std::collections::VecDeque;

use crate::events::{Event, Events};
use crate::server::Scheduler;
use crate::steps::Step;

/// No thread, no request.
pub(crate) const NONE: u32 = u32::MAX;

#[derive(Debug, Clone)]
pub(crate) struct Thread {
    pub request: u32,
    pub step: Step,
    /// CPU that it still needs, ns.
    pub left: u64,
    /// Whether the blocked time of the step is over.
    pub unblocked: bool,
    /// Jobs it will take until it waits for readiness again.
    pub batch: usize,
}

#[derive(Debug, Clone, Copy)]
struct Core {
    thread: u32,
    /// When what it runs was begun, and when the slice was.
    since: u64,
    slice_since: u64,
    /// When it ends what it runs, or is to look at who waits.
    until: u64,
    version: u32,
}

/// The cores, and the threads that wait for one.
#[derive(Debug)]
pub(crate) struct Cores {
    cores: Vec<Core>,
    idle: Vec<u32>,
    ready: VecDeque<u32>,
    slice: u64,
    preempt: u64,
    pub used: u64,
}

impl Cores {
    pub(crate) fn new(cores: usize, scheduler: &Scheduler) -> Self {
        let core = Core {
            thread: NONE,
            since: 0,
            slice_since: 0,
            until: 0,
            version: 0,
        };
        Self {
            cores: vec![core; cores],
            idle: (0..cores as u32).rev().collect(),
            ready: VecDeque::new(),
            slice: (scheduler.slice_us * 1_000.0).max(1.0) as u64,
            preempt: (scheduler.preempt_us * 1_000.0).max(1.0) as u64,
            used: 0,
        }
    }

    /// Whether a thread that wakes up now finds a core asleep.
    pub(crate) fn has_idle(&self) -> bool {
        !self.idle.is_empty()
    }

    /// A thread wakes up.
    pub(crate) fn wake(&mut self, now: u64, id: u32, threads: &[Thread], events: &mut Events) {
        if let Some(core) = self.idle.pop() {
            self.begin(now, core, id, threads, events);
            return;
        }
        self.ready.push_back(id);
        // Whoever runs the longest is asked to make room: at the end of its slice, or sooner.
        let (slice, preempt) = (self.slice, self.preempt);
        let longest = (0..self.cores.len()).min_by_key(|&core| self.cores[core].slice_since);
        let Some(index) = longest else { return };
        let core = &mut self.cores[index];
        let end = (core.slice_since + slice).min(now + preempt).max(now);
        if end < core.until {
            core.until = end;
            core.version = core.version.wrapping_add(1);
            let (core, version) = (index as u32, core.version);
            events.at(end, Event::Core { core, version });
        }
    }

    fn begin(&mut self, now: u64, core: u32, id: u32, threads: &[Thread], events: &mut Events) {
        self.cores[core as usize].slice_since = now;
        self.go_on(now, core, id, threads, events);
    }

    /// The thread runs on, with new work, in the slice that it has.
    pub(crate) fn go_on(
        &mut self,
        now: u64,
        core: u32,
        id: u32,
        threads: &[Thread],
        events: &mut Events,
    ) {
        let left = threads[id as usize].left;
        let (slice, waits) = (self.slice, !self.ready.is_empty());
        let state = &mut self.cores[core as usize];
        state.thread = id;
        state.since = now;
        state.until = now + left;
        if waits {
            state.until = state.until.min((state.slice_since + slice).max(now));
        }
        state.version = state.version.wrapping_add(1);
        let (until, version) = (state.until, state.version);
        events.at(until, Event::Core { core, version });
    }

    /// The thread whose time on `core` is over, with what it still needs; `None` for a stale event.
    pub(crate) fn ended(
        &mut self,
        now: u64,
        core: u32,
        version: u32,
        threads: &mut [Thread],
    ) -> Option<u32> {
        let state = &mut self.cores[core as usize];
        if state.version != version || state.thread == NONE {
            return None;
        }
        let ran = now - state.since;
        self.used += ran;
        state.since = now;
        let thread = &mut threads[state.thread as usize];
        thread.left = thread.left.saturating_sub(ran);
        Some(state.thread)
    }

    /// The slice of the thread on `core` is over: it goes to the end of the line.
    pub(crate) fn rotate(&mut self, now: u64, core: u32, threads: &[Thread], events: &mut Events) {
        let id = self.cores[core as usize].thread;
        self.ready.push_back(id);
        self.release(now, core, threads, events);
    }

    /// `core` is free: the next in line takes it.
    pub(crate) fn release(&mut self, now: u64, core: u32, threads: &[Thread], events: &mut Events) {
        match self.ready.pop_front() {
            Some(next) => self.begin(now, core, next, threads, events),
            None => {
                let state = &mut self.cores[core as usize];
                state.thread = NONE;
                state.version = state.version.wrapping_add(1);
                self.idle.push(core);
            }
        }
    }
}
