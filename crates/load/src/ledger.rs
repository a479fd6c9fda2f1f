//! The books of a thread: every request that was scheduled, and what became of it.

mod flight;

pub(crate) use self::flight::Flight;
use self::flight::NO_SLICE;
use crate::books::{self, Books};
use crate::class::Class;
use crate::clock::duration_ns;
use crate::mix::Draw;
use crate::plan::{Pace, Plan};
use crate::spread::Durations;
use crate::timeline::{self, Stretch};
use crate::window::Window;

/// A slice of the window while it is being written.
#[derive(Debug)]
struct Slice {
    end_ns: u64,
    scheduled: u64,
    answered: u64,
    within: u64,
    prompt_sent: u64,
    /// Latencies of requests sent when intended, for which response and service are one.
    prompt: Durations,
    response: Durations,
    phase: usize,
}

/// What one thread measured.
///
/// Latencies are recorded once, in the slice or the step they belong to; the sums are made when
/// the books are closed.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) window: Window,
    /// In a closed loop a request of the warm-up that is never answered keeps its connection from
    /// making any other: its failure is booked in the window, or nobody would see it.
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
    layout: Vec<Stretch>,
    slices: Vec<Slice>,
    /// The slice that requests are scheduled in, and its end.
    slice: usize,
    slice_end_ns: u64,
    /// Failures of each slice: apart from what every request touches.
    slice_failed: Vec<u64>,
    phases: Vec<books::Phase>,
    /// Empty without a mix.
    kinds: Vec<books::Kind>,
    pub(crate) connect: Durations,
    late: Durations,
    no_connection: Durations,
    no_connection_zero: u64,
}

impl Ledger {
    /// Empty books for a plan; its window is set by [`Ledger::open`].
    pub(crate) fn new(plan: &Plan) -> Self {
        let layout = timeline::slices(plan);
        let slice = |stretch: &Stretch| Slice {
            end_ns: 0,
            scheduled: 0,
            answered: 0,
            within: 0,
            prompt_sent: 0,
            prompt: Durations::new(),
            response: Durations::new(),
            phase: stretch.phase,
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
            slices: layout.iter().map(slice).collect(),
            slice: 0,
            slice_end_ns: 0,
            slice_failed: vec![0; layout.len()],
            layout,
            phases: timeline::phases(plan)
                .iter()
                .map(|_| books::Phase::new())
                .collect(),
            kinds: plan.requests.iter().map(|_| books::Kind::new()).collect(),
            connect: Durations::new(),
            late: Durations::new(),
            no_connection: Durations::new(),
            no_connection_zero: 0,
        }
    }

    /// Fixes the window; requests that are scheduled before this count nowhere.
    pub(crate) fn open(&mut self, window: Window) {
        self.window = window;
        for (slice, stretch) in self.slices.iter_mut().zip(&self.layout) {
            slice.end_ns = window.start_ns.saturating_add(stretch.end_ns);
        }
        self.slice_end_ns = self.slices[0].end_ns;
    }

    /// Enters a request into the books; from here on it has exactly one outcome.
    #[inline]
    pub(crate) fn schedule(&mut self, intended_ns: u64, draw: Draw) -> Flight {
        let slice = if self.window.contains(intended_ns) {
            if intended_ns >= self.slice_end_ns {
                self.turn_to(intended_ns);
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
        Flight {
            intended_ns,
            assigned_ns: intended_ns,
            sent_ns: 0,
            number: draw.number,
            slice,
            kind: draw.kind,
        }
    }

    /// Finds the slice of a moment that is behind the present one, as moments come in order.
    #[cold]
    fn turn_to(&mut self, intended_ns: u64) {
        while self.slice + 1 < self.slices.len() && intended_ns >= self.slices[self.slice].end_ns {
            self.slice += 1;
        }
        self.slice_end_ns = self.slices[self.slice].end_ns;
    }

    /// How late the generator was in noticing that a request was due.
    pub(crate) fn noticed(&mut self, flight: &Flight, now_ns: u64) {
        if flight.measured() {
            self.late.record(now_ns.saturating_sub(flight.intended_ns));
        }
    }

    /// How long a request had waited for a free connection when it got one.
    pub(crate) fn waited(&mut self, flight: &Flight, waited_ns: u64) {
        match (flight.measured(), waited_ns) {
            (false, _) => {}
            (true, 0) => self.no_connection_zero += 1,
            (true, ns) => self.no_connection.record(ns),
        }
    }

    /// Books the moment a request is written; `sent_ns` is set.
    #[inline]
    pub(crate) fn sent(&mut self, flight: &Flight) {
        if flight.measured() {
            self.sent += 1;
            let slice = &mut self.slices[flight.slice as usize];
            if flight.sent_ns == flight.intended_ns {
                slice.prompt_sent += 1;
            } else {
                let slip_ns = flight.sent_ns.saturating_sub(flight.intended_ns);
                self.phases[slice.phase].slip.record(slip_ns);
            }
        }
    }

    /// Books the outcome of a request: answered correctly, or the class of its failure.
    #[inline]
    pub(crate) fn settle(&mut self, flight: &Flight, class: Option<Class>, now_ns: u64) {
        self.occupied_ns += u128::from(self.window.overlap_ns(flight.intended_ns, now_ns));
        if let Some(class) = class {
            self.fail(*flight, class, now_ns);
            return;
        }
        self.finished_in_window += u64::from(self.window.contains(now_ns));
        if !flight.measured() {
            return;
        }
        self.answered += 1;
        let response_ns = now_ns.saturating_sub(flight.intended_ns);
        let slice = &mut self.slices[flight.slice as usize];
        slice.answered += 1;
        slice.within += u64::from(response_ns <= self.objective_ns);
        if flight.sent_ns == flight.intended_ns {
            slice.prompt.record(response_ns);
        } else {
            slice.response.record(response_ns);
            let service_ns = now_ns.saturating_sub(flight.sent_ns);
            self.phases[slice.phase].service.record(service_ns);
        }
        if let Some(kind) = self.kinds.get_mut(flight.kind as usize) {
            kind.answered += 1;
            kind.response.record(response_ns);
        }
    }

    fn fail(&mut self, mut flight: Flight, class: Class, now_ns: u64) {
        let before_window = flight.intended_ns < self.window.start_ns;
        if self.closed_loop && before_window && now_ns >= self.window.start_ns {
            flight.slice = 0;
            self.scheduled += 1;
            self.slices[0].scheduled += 1;
            if let Some(kind) = self.kinds.get_mut(flight.kind as usize) {
                kind.scheduled += 1;
            }
            if flight.sent_ns > 0 {
                self.sent(&flight);
            }
        }
        if flight.measured() {
            self.failed += 1;
            let slice = flight.slice as usize;
            self.slice_failed[slice] += 1;
            self.phases[self.slices[slice].phase].failed.add(class, 1);
            if let Some(kind) = self.kinds.get_mut(flight.kind as usize) {
                kind.failed.add(class, 1);
            }
        }
    }

    /// Measured requests without an outcome yet.
    #[inline]
    pub(crate) fn outstanding(&self) -> u64 {
        self.scheduled - self.answered - self.failed
    }

    /// Measured requests that were not answered correctly.
    pub(crate) fn failures(&self) -> u64 {
        self.failed
    }

    /// Closes the books.
    ///
    /// # Panics
    /// When a scheduled request has no outcome, or one has two: then no figure can be trusted.
    pub(crate) fn close(mut self) -> Books {
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
            .zip(self.layout)
            .zip(self.slice_failed);
        for ((mut slice, stretch), failed) in parts {
            let phase = &mut phases[slice.phase];
            phase.service.merge(&slice.prompt);
            phase.slip.record_n(0, slice.prompt_sent);
            slice.response.merge(&slice.prompt);
            slices.push(books::Slice {
                start_ns: stretch.start_ns,
                end_ns: stretch.end_ns,
                phase: slice.phase,
                scheduled: slice.scheduled,
                answered: slice.answered,
                within: slice.within,
                failed,
                response: slice.response,
            });
        }
        let books = Books {
            length_ns: self.window.end_ns - self.window.start_ns,
            sent: self.sent,
            finished_in_window: self.finished_in_window,
            occupied_ns: self.occupied_ns,
            slices,
            phases,
            kinds: self.kinds,
            connect: self.connect,
            late: self.late,
            no_connection: self.no_connection,
        };
        assert_eq!(
            (books.scheduled(), books.answered(), books.failed().total()),
            (self.scheduled, self.answered, self.failed),
            "the slices add up to the whole"
        );
        books
    }
}
