//! What the threads of a run share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::checker::{ReferenceBodies, reference_bodies};
use crate::plan::Plan;
use crate::sockets::Sockets;

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

/// The counts that a thread publishes some times per second, for who looks on.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    answered: AtomicU64,
    failed: AtomicU64,
    occupied_ns: AtomicU64,
}

/// What has come of the window so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SoFar {
    /// Correct replies that have come within it.
    pub answered: u64,
    /// Failures.
    pub failed: u64,
    /// Time that requests have spent in the system, summed, nanoseconds.
    pub occupied_ns: u64,
}

impl Progress {
    pub(crate) fn publish(&self, so_far: SoFar) {
        self.answered.store(so_far.answered, Ordering::Relaxed);
        self.failed.store(so_far.failed, Ordering::Relaxed);
        self.occupied_ns
            .store(so_far.occupied_ns, Ordering::Relaxed);
    }

    /// The sum over all threads. They publish one after the other: it is exact when they have ended.
    pub(crate) fn sum(threads: &[Self]) -> SoFar {
        let sum = |of: fn(&Self) -> &AtomicU64| {
            threads
                .iter()
                .map(|thread| of(thread).load(Ordering::Relaxed))
                .sum()
        };
        SoFar {
            answered: sum(|thread| &thread.answered),
            failed: sum(|thread| &thread.failed),
            occupied_ns: sum(|thread| &thread.occupied_ns),
        }
    }
}
