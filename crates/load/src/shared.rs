//! What the threads of a run share while it runs.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::judge::{self, Models};
use crate::plan::Plan;

/// What the threads of a run have in common.
pub(crate) struct Shared<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) models: Models,
    pub(crate) stop: &'a AtomicBool,
    /// When the window ends after an interrupt; 0 until there is one.
    stop_at_ns: AtomicU64,
}

impl<'a> Shared<'a> {
    pub(crate) fn new(plan: &'a Plan, stop: &'a AtomicBool) -> Self {
        Self {
            plan,
            models: judge::models(plan),
            stop,
            stop_at_ns: AtomicU64::new(0),
        }
    }

    /// The end of an interrupted window: the first thread's proposal holds for all.
    pub(crate) fn stop_at(&self, proposal_ns: u64) -> u64 {
        let order = Ordering::Relaxed;
        match self
            .stop_at_ns
            .compare_exchange(0, proposal_ns, order, order)
        {
            Ok(_) => proposal_ns,
            Err(agreed_ns) => agreed_ns,
        }
    }
}

/// What a thread lets others see while it runs, a few times a second.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    finished: AtomicU64,
    failed: AtomicU64,
}

impl Progress {
    pub(crate) fn publish(&self, finished: u64, failed: u64) {
        self.finished.store(finished, Ordering::Relaxed);
        self.failed.store(failed, Ordering::Relaxed);
    }

    /// Replies of the window so far.
    pub(crate) fn finished(&self) -> u64 {
        self.finished.load(Ordering::Relaxed)
    }

    /// Failures of the window so far.
    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}
