//! What the threads of a run share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::checker::{ReferenceBodies, reference_bodies};
use crate::plan::Plan;
use crate::slices::Sockets;

/// The plan, the bodies that replies are compared with, and the interrupt.
pub(crate) struct Shared<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) reference_bodies: ReferenceBodies,
    pub(crate) stop: &'a AtomicBool,
    /// Where a run in slices keeps its connections from one to the next.
    pub(crate) sockets: Option<&'a Sockets>,
    /// When the window ends because of an interrupt; 0 until there is one.
    stop_at_ns: AtomicU64,
}

impl<'a> Shared<'a> {
    pub(crate) fn new(plan: &'a Plan, stop: &'a AtomicBool, sockets: Option<&'a Sockets>) -> Self {
        Self {
            plan,
            reference_bodies: reference_bodies(plan),
            stop,
            sockets,
            stop_at_ns: AtomicU64::new(0),
        }
    }

    /// The end of an interrupted window: all threads take what the first one proposes.
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

/// The counts that a thread publishes some times per second, for the progress bar.
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
