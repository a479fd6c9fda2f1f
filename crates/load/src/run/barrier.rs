//! The barrier at which the threads of a run start together, and end together.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::clock::now_ns;

/// Time from when the last thread is ready to the first request.
const LEAD_NS: u64 = 1_000_000;

/// All threads wait here for each other. A thread that cannot start cancels the run for all.
pub(super) struct Barrier {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Threads that have yet to arrive.
    missing: usize,
    cancelled: bool,
    anchor_ns: u64,
    /// The run is over: connections may be closed.
    over: bool,
}

impl Barrier {
    pub(super) fn new(threads: usize) -> Self {
        let state = State {
            missing: threads,
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// Waits for all threads, and returns when the schedule starts; `None` if the run is cancelled.
    pub(super) fn wait(&self) -> Option<u64> {
        let mut state = self.lock();
        state.missing -= 1;
        if state.missing == 0 {
            state.anchor_ns = now_ns() + LEAD_NS;
        }
        self.changed.notify_all();
        let state = self.wait_while(state, |state| state.missing > 0 && !state.cancelled);
        (!state.cancelled).then_some(state.anchor_ns)
    }

    /// Waits until only the caller is missing; `false` if the run is cancelled.
    pub(super) fn wait_for_others(&self) -> bool {
        let waits = |state: &State| state.missing > 1 && !state.cancelled;
        !self.wait_while(self.lock(), waits).cancelled
    }

    /// Waits until the run is over for all threads.
    pub(super) fn wait_for_end(&self) {
        drop(self.wait_while(self.lock(), |state| !state.over));
    }

    /// Ends the waiting of [`Barrier::wait_for_end`].
    pub(super) fn end(&self) {
        self.lock().over = true;
        self.changed.notify_all();
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.lock().cancelled
    }

    /// When the schedule started.
    pub(super) fn anchor_ns(&self) -> u64 {
        self.lock().anchor_ns
    }

    pub(super) fn cancel(&self) {
        let mut state = self.lock();
        state.cancelled = true;
        state.over = true;
        drop(state);
        self.changed.notify_all();
    }

    fn wait_while<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        condition: fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        self.changed
            .wait_while(state, |state| condition(state))
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
