//! What was measured, in exact counts that add up across threads and machines.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::durations::Durations;
use crate::error_class::ErrorClass;

/// Requests that were not answered correctly, by class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ErrorCounts([u64; ErrorClass::ALL.len()]);

impl ErrorCounts {
    pub(crate) fn add(&mut self, class: ErrorClass, n: u64) {
        self.0[class as usize] += n;
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The classes that occurred, with their counts.
    pub(crate) fn occurred(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counted = ErrorClass::ALL.iter().zip(self.0);
        counted
            .filter(|&(_, n)| n > 0)
            .map(|(class, n)| (class.name(), n))
    }

    fn merge(&mut self, other: &Self) {
        for (sum, n) in self.0.iter_mut().zip(other.0) {
            *sum += n;
        }
    }
}

/// A slice of the window, by the intended start of its requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SliceCounts {
    /// From the start of the window.
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    /// The step of the profile that it belongs to.
    pub(crate) phase: usize,
    pub(crate) scheduled: u64,
    pub(crate) answered: u64,
    /// Of them, within the objective; all of them where there is none.
    #[serde(default)]
    pub(crate) within: u64,
    pub(crate) failed: u64,
    /// From the intended start to the end of the reply.
    pub(crate) response: Durations,
}

/// A step of the profile: what is not counted by slice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PhaseCounts {
    pub(crate) failed: ErrorCounts,
    /// From the actual send to the end of the reply.
    pub(crate) service: Durations,
    /// From the intended start to the actual send.
    pub(crate) slip: Durations,
}

/// A kind of request of a mix.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct KindCounts {
    pub(crate) scheduled: u64,
    pub(crate) answered: u64,
    pub(crate) failed: ErrorCounts,
    pub(crate) response: Durations,
}

/// Everything that was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Length of the window, which an interrupt may have ended before its last slice.
    pub(crate) length_ns: u64,
    pub(crate) sent: u64,
    /// Replies finished within the window, including those to requests of the warm-up.
    pub(crate) finished_in_window: u64,
    /// Time that requests spent in the system within the window, summed.
    pub(crate) occupied_ns: u128,
    /// The same of the time that clients thought.
    #[serde(default)]
    pub(crate) thinking_ns: u128,
    pub(crate) slices: Vec<SliceCounts>,
    pub(crate) phases: Vec<PhaseCounts>,
    /// Empty without a mix.
    pub(crate) kinds: Vec<KindCounts>,
    pub(crate) connect: Durations,
    /// The part of the slip that is the generator's own lateness; where clients think, by how much
    /// they thought longer.
    pub(crate) late: Durations,
    /// The part of the slip that was spent waiting for a free connection.
    pub(crate) no_connection: Durations,
    /// Whole replies by status, right and wrong ones.
    #[serde(default)]
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Connections whose bytes were no reply, by the reason.
    #[serde(default)]
    pub(crate) malformed: BTreeMap<String, u64>,
}

impl Counts {
    pub(crate) fn scheduled(&self) -> u64 {
        self.slices.iter().map(|slice| slice.scheduled).sum()
    }

    pub(crate) fn answered(&self) -> u64 {
        self.slices.iter().map(|slice| slice.answered).sum()
    }

    pub(crate) fn failed(&self) -> ErrorCounts {
        let mut failed = ErrorCounts::default();
        self.phases.iter().for_each(|p| failed.merge(&p.failed));
        failed
    }

    /// From the intended start to the end of the reply, of the slices that belong.
    pub(crate) fn response(&self, belongs: impl Fn(&SliceCounts) -> bool) -> Durations {
        let slices = self.slices.iter().filter(|slice| belongs(slice));
        Durations::sum(slices.map(|slice| &slice.response))
    }

    /// From the actual send to the end of the reply.
    pub(crate) fn service(&self) -> Durations {
        Durations::sum(self.phases.iter().map(|phase| &phase.service))
    }

    /// From the intended start to the actual send.
    pub(crate) fn slip(&self) -> Durations {
        Durations::sum(self.phases.iter().map(|phase| &phase.slip))
    }

    /// Adds the counts of another thread or machine.
    ///
    /// # Panics
    /// When its window is not divided in the same way.
    pub(crate) fn merge(&mut self, other: &Self) {
        let parts = |counts: &Self| (counts.slices.len(), counts.phases.len(), counts.kinds.len());
        assert_eq!(
            parts(self),
            parts(other),
            "only counts of the same parts add up"
        );
        self.length_ns = self.length_ns.min(other.length_ns);
        self.sent += other.sent;
        self.finished_in_window += other.finished_in_window;
        self.occupied_ns += other.occupied_ns;
        self.thinking_ns += other.thinking_ns;
        for (sum, slice) in self.slices.iter_mut().zip(&other.slices) {
            sum.scheduled += slice.scheduled;
            sum.answered += slice.answered;
            sum.within += slice.within;
            sum.failed += slice.failed;
            sum.response.merge(&slice.response);
        }
        for (sum, phase) in self.phases.iter_mut().zip(&other.phases) {
            sum.failed.merge(&phase.failed);
            sum.service.merge(&phase.service);
            sum.slip.merge(&phase.slip);
        }
        for (sum, kind) in self.kinds.iter_mut().zip(&other.kinds) {
            sum.scheduled += kind.scheduled;
            sum.answered += kind.answered;
            sum.failed.merge(&kind.failed);
            sum.response.merge(&kind.response);
        }
        self.connect.merge(&other.connect);
        self.late.merge(&other.late);
        self.no_connection.merge(&other.no_connection);
        for (&status, n) in &other.statuses {
            *self.statuses.entry(status).or_default() += n;
        }
        for (why, n) in &other.malformed {
            *self.malformed.entry(why.clone()).or_default() += n;
        }
    }
}
