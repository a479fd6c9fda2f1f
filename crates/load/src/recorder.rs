//! Records every request that a thread schedules, and what becomes of it.

mod pending;

use self::pending::NO_SLICE;
pub(crate) use self::pending::PendingRequest;
use crate::clock::duration_ns;
use crate::counts::{Counts, KindCounts, PhaseCounts, SliceCounts};
use crate::durations::Durations;
use crate::error_class::ErrorClass;
use crate::malformed::Why;
use crate::mix::Draw;
use crate::plan::{Pace, Plan};
use crate::shared::SoFar;
use crate::timeline::{self, Span};
use crate::window::Window;

/// A slice of the window while it is being recorded.
#[derive(Debug, Default)]
struct Slice {
    end_ns: u64,
    scheduled: u64,
    answered: u64,
    within: u64,
    prompt_sent: u64,
    /// Response times of requests sent when intended, for which response and service are equal.
    prompt: Durations,
    response: Durations,
    phase: usize,
}

/// Records what one thread measures.
///
/// Times are recorded once, in the slice or the step they belong to; the sums are made at the end.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) window: Window,
    /// In a closed loop a request of the warm-up that is never answered keeps its connection from
    /// sending another one: its failure is counted in the window, or it would not be seen.
    closed_loop: bool,
    /// The longest response that counts as in time.
    objective_ns: u64,
    scheduled: u64,
    sent: u64,
    answered: u64,
    failed: u64,
    /// Replies finished within the window, whichever window their request belongs to.
    pub(crate) finished_in_window: u64,
    /// Time that requests spent in the system within the window, summed.
    occupied_ns: u128,
    /// The same of the time that clients thought.
    thinking_ns: u128,
    spans: Vec<Span>,
    slices: Vec<Slice>,
    /// The slice that requests are being scheduled in, and its end.
    slice: usize,
    slice_end_ns: u64,
    /// Failures of each slice, kept apart from the fields that every request updates.
    slice_failed: Vec<u64>,
    phases: Vec<PhaseCounts>,
    /// Empty without a mix.
    kinds: Vec<KindCounts>,
    pub(crate) connect: Durations,
    late: Durations,
    no_connection: Durations,
    no_connection_zero: u64,
    /// Whole replies, by status.
    statuses: Box<[u64; STATUS_END]>,
    malformed: [u64; Why::ALL.len()],
    /// Replies have no status.
    headless: bool,
}

/// One more than the largest status that a reply can have.
const STATUS_END: usize = 1000;

impl Recorder {
    /// A recorder for a plan; its window is set by [`Recorder::set_window`].
    pub(crate) fn new(plan: &Plan) -> Self {
        let spans = timeline::slices(plan);
        let slice = |span: &Span| Slice {
            phase: span.phase,
            ..Slice::default()
        };
        Self {
            window: Window::default(),
            closed_loop: plan.pace == Pace::Closed,
            objective_ns: plan.objective.map_or(u64::MAX, duration_ns),
            scheduled: 0,
            sent: 0,
            answered: 0,
            failed: 0,
            finished_in_window: 0,
            occupied_ns: 0,
            thinking_ns: 0,
            slices: spans.iter().map(slice).collect(),
            slice: 0,
            slice_end_ns: 0,
            slice_failed: vec![0; spans.len()],
            spans,
            phases: vec![PhaseCounts::default(); timeline::phases(plan).len()],
            kinds: vec![KindCounts::default(); plan.requests.len()],
            connect: Durations::default(),
            late: Durations::default(),
            no_connection: Durations::default(),
            no_connection_zero: 0,
            statuses: Box::new([0; STATUS_END]),
            malformed: [0; Why::ALL.len()],
            headless: plan.unp_bytes.is_some(),
        }
    }

    /// Sets the window; requests that are scheduled before this do not count.
    pub(crate) fn set_window(&mut self, window: Window) {
        self.window = window;
        for (slice, span) in self.slices.iter_mut().zip(&self.spans) {
            slice.end_ns = window.start_ns.saturating_add(span.end_ns);
        }
        self.slice_end_ns = self.slices[0].end_ns;
    }

    /// Counts a request as scheduled; from here on it has exactly one outcome.
    #[inline]
    pub(crate) fn schedule(&mut self, intended_ns: u64, draw: Draw) -> PendingRequest {
        let slice = if self.window.contains(intended_ns) {
            if intended_ns >= self.slice_end_ns {
                self.move_to_slice_of(intended_ns);
            }
            self.scheduled += 1;
            self.slices[self.slice].scheduled += 1;
            if let Some(kind) = self.kinds.get_mut(draw.kind as usize) {
                kind.scheduled += 1;
            }
            self.slice as u16
        } else {
            NO_SLICE
        };
        PendingRequest {
            intended_ns,
            assigned_ns: intended_ns,
            sent_ns: 0,
            number: draw.number,
            slice,
            kind: draw.kind,
        }
    }

    /// Moves on to the slice of a later moment: requests are scheduled in the order of time.
    #[cold]
    fn move_to_slice_of(&mut self, intended_ns: u64) {
        while self.slice + 1 < self.slices.len() && intended_ns >= self.slices[self.slice].end_ns {
            self.slice += 1;
        }
        self.slice_end_ns = self.slices[self.slice].end_ns;
    }

    /// Records how late the generator noticed that a request was due.
    pub(crate) fn noticed(&mut self, pending: &PendingRequest, now_ns: u64) {
        if pending.measured() {
            self.late.record(now_ns.saturating_sub(pending.intended_ns));
        }
    }

    /// Records that a client thought.
    pub(crate) fn thought(&mut self, since_ns: u64, until_ns: u64) {
        self.thinking_ns += u128::from(self.window.overlap_ns(since_ns, until_ns));
    }

    /// Records how late the generator noticed that a client had thought enough.
    pub(crate) fn thought_late(&mut self, until_ns: u64, now_ns: u64) {
        if self.window.contains(until_ns) {
            self.late.record(now_ns.saturating_sub(until_ns));
        }
    }

    /// Records how long a request had waited for a free connection when it got one.
    pub(crate) fn waited(&mut self, pending: &PendingRequest, waited_ns: u64) {
        match (pending.measured(), waited_ns) {
            (false, _) => {}
            (true, 0) => self.no_connection_zero += 1,
            (true, ns) => self.no_connection.record(ns),
        }
    }

    /// Records that a request is written; its `sent_ns` is set.
    #[inline]
    pub(crate) fn sent(&mut self, pending: &PendingRequest) {
        if pending.measured() {
            self.sent += 1;
            let slice = &mut self.slices[pending.slice as usize];
            if pending.sent_ns == pending.intended_ns {
                slice.prompt_sent += 1;
            } else {
                let slip_ns = pending.sent_ns.saturating_sub(pending.intended_ns);
                self.phases[slice.phase].slip.record(slip_ns);
            }
        }
    }

    /// Counts the status of a whole reply.
    #[inline]
    pub(crate) fn replied(&mut self, pending: &PendingRequest, status: u16) {
        if pending.measured()
            && let Some(count) = self.statuses.get_mut(usize::from(status))
        {
            *count += 1;
        }
    }

    /// Counts a connection whose bytes are no reply.
    #[cold]
    pub(crate) fn malformed(&mut self, why: Why, now_ns: u64) {
        self.malformed[why as usize] += u64::from(now_ns >= self.window.start_ns);
    }

    /// Counts the outcome of a request: answered correctly, or the class of its failure.
    #[inline]
    pub(crate) fn finish(
        &mut self,
        pending: &PendingRequest,
        class: Option<ErrorClass>,
        now_ns: u64,
    ) {
        self.occupied_ns += u128::from(self.window.overlap_ns(pending.intended_ns, now_ns));
        if let Some(class) = class {
            self.fail(*pending, class, now_ns);
            return;
        }
        self.finished_in_window += u64::from(self.window.contains(now_ns));
        if !pending.measured() {
            return;
        }
        self.answered += 1;
        let response_ns = now_ns.saturating_sub(pending.intended_ns);
        let slice = &mut self.slices[pending.slice as usize];
        slice.answered += 1;
        slice.within += u64::from(response_ns <= self.objective_ns);
        if pending.sent_ns == pending.intended_ns {
            slice.prompt.record(response_ns);
        } else {
            slice.response.record(response_ns);
            let service_ns = now_ns.saturating_sub(pending.sent_ns);
            self.phases[slice.phase].service.record(service_ns);
        }
        if let Some(kind) = self.kinds.get_mut(pending.kind as usize) {
            kind.answered += 1;
            kind.response.record(response_ns);
        }
    }

    fn fail(&mut self, mut pending: PendingRequest, class: ErrorClass, now_ns: u64) {
        let before_window = pending.intended_ns < self.window.start_ns;
        if self.closed_loop && before_window && now_ns >= self.window.start_ns {
            pending.slice = 0;
            self.scheduled += 1;
            self.slices[0].scheduled += 1;
            if let Some(kind) = self.kinds.get_mut(pending.kind as usize) {
                kind.scheduled += 1;
            }
            if pending.sent_ns > 0 {
                self.sent(&pending);
            }
        }
        if pending.measured() {
            self.failed += 1;
            let slice = pending.slice as usize;
            self.slice_failed[slice] += 1;
            self.phases[self.slices[slice].phase].failed.add(class, 1);
            if let Some(kind) = self.kinds.get_mut(pending.kind as usize) {
                kind.failed.add(class, 1);
            }
        }
    }

    /// Measured requests without an outcome yet.
    #[inline]
    pub(crate) fn outstanding(&self) -> u64 {
        self.scheduled - self.answered - self.failed
    }

    /// What has come of the window so far.
    pub(crate) fn so_far(&self) -> SoFar {
        SoFar {
            answered: self.finished_in_window,
            failed: self.failed,
            occupied_ns: u64::try_from(self.occupied_ns).unwrap_or(u64::MAX),
        }
    }

    /// The counts of the whole window.
    ///
    /// # Panics
    /// When a scheduled request has no outcome, or one has two: then no figure can be trusted.
    pub(crate) fn into_counts(mut self) -> Counts {
        assert_eq!(
            self.scheduled,
            self.answered + self.failed,
            "every scheduled request has exactly one outcome"
        );
        self.no_connection.record_n(0, self.no_connection_zero);
        let mut phases = self.phases;
        let mut slices = Vec::with_capacity(self.slices.len());
        let parts = self
            .slices
            .into_iter()
            .zip(self.spans)
            .zip(self.slice_failed);
        for ((mut slice, span), failed) in parts {
            let phase = &mut phases[slice.phase];
            phase.service.merge(&slice.prompt);
            phase.slip.record_n(0, slice.prompt_sent);
            slice.response.merge(&slice.prompt);
            slices.push(SliceCounts {
                start_ns: span.start_ns,
                end_ns: span.end_ns,
                phase: slice.phase,
                scheduled: slice.scheduled,
                answered: slice.answered,
                within: slice.within,
                failed,
                response: slice.response,
            });
        }
        let counts = Counts {
            length_ns: self.window.end_ns - self.window.start_ns,
            sent: self.sent,
            finished_in_window: self.finished_in_window,
            occupied_ns: self.occupied_ns,
            thinking_ns: self.thinking_ns,
            slices,
            phases,
            kinds: self.kinds,
            connect: self.connect,
            late: self.late,
            no_connection: self.no_connection,
            statuses: (0u16..)
                .zip(*self.statuses)
                .filter(|&(_, n)| n > 0 && !self.headless)
                .collect(),
            malformed: Why::ALL
                .into_iter()
                .zip(self.malformed)
                .filter(|&(_, n)| n > 0)
                .map(|(why, n)| (why.name().to_owned(), n))
                .collect(),
        };
        assert_eq!(
            (
                counts.scheduled(),
                counts.answered(),
                counts.failed().total()
            ),
            (self.scheduled, self.answered, self.failed),
            "the slices add up to the whole"
        );
        counts
    }
}
