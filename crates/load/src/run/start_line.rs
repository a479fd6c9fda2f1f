//! Where the threads of a run begin together, and leave together.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::clock::now_ns;

/// Time from the last thread's readiness to the first request.
const LEAD_NS: u64 = 1_000_000;

/// Where the threads wait for each other. One that cannot start lets the others go home.
pub(super) struct StartLine {
    standing: Mutex<Standing>,
    changed: Condvar,
}

struct Standing {
    missing: usize,
    abandoned: bool,
    anchor_ns: u64,
    /// The run is over: connections may be closed.
    over: bool,
}

impl StartLine {
    pub(super) fn new(threads: usize) -> Self {
        let standing = Standing {
            missing: threads,
            abandoned: false,
            anchor_ns: 0,
            over: false,
        };
        Self {
            standing: Mutex::new(standing),
            changed: Condvar::new(),
        }
    }

    /// Waits for all threads, and returns when the schedule begins; `None` if a thread is absent.
    pub(super) fn wait(&self) -> Option<u64> {
        let mut standing = self.lock();
        standing.missing -= 1;
        if standing.missing == 0 {
            standing.anchor_ns = now_ns() + LEAD_NS;
        }
        self.changed.notify_all();
        while standing.missing > 0 && !standing.abandoned {
            standing = self
                .changed
                .wait(standing)
                .unwrap_or_else(PoisonError::into_inner);
        }
        (!standing.abandoned).then_some(standing.anchor_ns)
    }

    /// Waits until the caller is the last that is missing; `false` if a thread is absent.
    pub(super) fn others_stand(&self) -> bool {
        let mut standing = self.lock();
        while standing.missing > 1 && !standing.abandoned {
            standing = self
                .changed
                .wait(standing)
                .unwrap_or_else(PoisonError::into_inner);
        }
        !standing.abandoned
    }

    /// Waits until the run is over for all.
    pub(super) fn wait_to_leave(&self) {
        let mut standing = self.lock();
        while !standing.over {
            standing = self
                .changed
                .wait(standing)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn let_leave(&self) {
        self.lock().over = true;
        self.changed.notify_all();
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.lock().abandoned
    }

    /// When the schedule began.
    pub(super) fn anchor_ns(&self) -> u64 {
        self.lock().anchor_ns
    }

    pub(super) fn abandon(&self) {
        let mut standing = self.lock();
        standing.abandoned = true;
        standing.over = true;
        drop(standing);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
