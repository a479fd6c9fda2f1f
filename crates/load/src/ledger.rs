//! The books of a thread: every request that was scheduled, and what became of it.

use crate::class::Class;
use crate::spread::Durations;

/// The measured window, nanoseconds of the monotonic clock; its end is not part of it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Window {
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
}

impl Window {
    #[inline]
    pub(crate) fn contains(self, at_ns: u64) -> bool {
        at_ns.wrapping_sub(self.start_ns) < self.end_ns - self.start_ns
    }

    /// How much of a stretch of time lies within.
    #[inline]
    fn overlap_ns(self, from_ns: u64, to_ns: u64) -> u64 {
        to_ns
            .min(self.end_ns)
            .saturating_sub(from_ns.max(self.start_ns))
    }
}

/// A request between its intended start and its outcome.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flight {
    /// When it should have left.
    pub(crate) intended_ns: u64,
    /// When a connection was given to it: later than intended if the generator was late, or if no
    /// connection was free.
    pub(crate) assigned_ns: u64,
    /// When it was written: later than assigned if its connection had to be opened.
    pub(crate) sent_ns: u64,
    /// It was scheduled within the window, so its outcome counts.
    pub(crate) measured: bool,
}

/// What one thread measured.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) window: Window,
    /// In a closed loop a request of the warm-up that is never answered keeps its connection from
    /// making any other: its failure is booked in the window, or nobody would see it.
    closed_loop: bool,
    pub(crate) scheduled: u64,
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    pub(crate) failed: [u64; Class::ALL.len()],
    /// Replies finished within the window, whichever window their request belongs to.
    pub(crate) finished_in_window: u64,
    /// Time that requests spent in the system within the window, summed.
    pub(crate) occupied_ns: u128,
    /// Latencies of requests sent when intended, for which response and service are one.
    prompt: Durations,
    prompt_sent: u64,
    response: Durations,
    service: Durations,
    slip: Durations,
    pub(crate) connect: Durations,
    late: Durations,
    no_connection: Durations,
    no_connection_zero: u64,
}

impl Ledger {
    pub(crate) fn new(closed_loop: bool) -> Self {
        Self {
            window: Window::default(),
            closed_loop,
            scheduled: 0,
            sent: 0,
            answered: 0,
            failed: [0; Class::ALL.len()],
            finished_in_window: 0,
            occupied_ns: 0,
            prompt: Durations::new(),
            prompt_sent: 0,
            response: Durations::new(),
            service: Durations::new(),
            slip: Durations::new(),
            connect: Durations::new(),
            late: Durations::new(),
            no_connection: Durations::new(),
            no_connection_zero: 0,
        }
    }

    /// Enters a request into the books; from here on it has exactly one outcome.
    #[inline]
    pub(crate) fn schedule(&mut self, intended_ns: u64) -> Flight {
        let measured = self.window.contains(intended_ns);
        self.scheduled += u64::from(measured);
        Flight {
            intended_ns,
            assigned_ns: intended_ns,
            sent_ns: 0,
            measured,
        }
    }

    /// How late the generator was in noticing that a request was due.
    pub(crate) fn noticed(&mut self, flight: &Flight, now_ns: u64) {
        if flight.measured {
            self.late.record(now_ns.saturating_sub(flight.intended_ns));
        }
    }

    /// How long a request had waited for a free connection when it got one.
    pub(crate) fn waited(&mut self, flight: &Flight, waited_ns: u64) {
        match (flight.measured, waited_ns) {
            (false, _) => {}
            (true, 0) => self.no_connection_zero += 1,
            (true, ns) => self.no_connection.record(ns),
        }
    }

    /// Books the moment a request is written; `sent_ns` is set.
    #[inline]
    pub(crate) fn sent(&mut self, flight: &Flight) {
        if flight.measured {
            self.sent += 1;
            if flight.sent_ns == flight.intended_ns {
                self.prompt_sent += 1;
            } else {
                self.slip
                    .record(flight.sent_ns.saturating_sub(flight.intended_ns));
            }
        }
    }

    /// Books the outcome of a request: answered correctly, or the class of its failure.
    #[inline]
    pub(crate) fn settle(&mut self, flight: &Flight, class: Option<Class>, now_ns: u64) {
        self.occupied_ns += u128::from(self.window.overlap_ns(flight.intended_ns, now_ns));
        let Some(class) = class else {
            self.finished_in_window += u64::from(self.window.contains(now_ns));
            if flight.measured {
                self.answered += 1;
                let response_ns = now_ns.saturating_sub(flight.intended_ns);
                if flight.sent_ns == flight.intended_ns {
                    self.prompt.record(response_ns);
                } else {
                    self.response.record(response_ns);
                    self.service.record(now_ns.saturating_sub(flight.sent_ns));
                }
            }
            return;
        };
        let mut flight = *flight;
        let before_window = flight.intended_ns < self.window.start_ns;
        if self.closed_loop && before_window && now_ns >= self.window.start_ns {
            flight.measured = true;
            self.scheduled += 1;
            if flight.sent_ns > 0 {
                self.sent(&flight);
            }
        }
        if flight.measured {
            self.failed[class as usize] += 1;
        }
    }

    /// Measured requests without an outcome yet.
    #[inline]
    pub(crate) fn outstanding(&self) -> u64 {
        self.scheduled - self.answered - self.failures()
    }

    /// Measured requests that were not answered correctly.
    pub(crate) fn failures(&self) -> u64 {
        self.failed.iter().sum()
    }

    /// Closes the books.
    ///
    /// # Panics
    /// When a scheduled request has no outcome, or one has two: then no figure can be trusted.
    pub(crate) fn close(mut self) -> Self {
        assert_eq!(
            self.scheduled,
            self.answered + self.failures(),
            "every scheduled request has exactly one outcome"
        );
        self.slip.record_n(0, self.prompt_sent);
        self.no_connection.record_n(0, self.no_connection_zero);
        self.response.merge(&self.prompt);
        self.service.merge(&self.prompt);
        self
    }

    /// Adds another thread's closed books.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.window.end_ns = self.window.end_ns.min(other.window.end_ns);
        self.scheduled += other.scheduled;
        self.sent += other.sent;
        self.answered += other.answered;
        for (sum, n) in self.failed.iter_mut().zip(other.failed) {
            *sum += n;
        }
        self.finished_in_window += other.finished_in_window;
        self.occupied_ns += other.occupied_ns;
        self.response.merge(&other.response);
        self.service.merge(&other.service);
        self.slip.merge(&other.slip);
        self.connect.merge(&other.connect);
        self.late.merge(&other.late);
        self.no_connection.merge(&other.no_connection);
    }

    /// Intended start to done, of closed books.
    pub(crate) fn response(&self) -> &Durations {
        &self.response
    }

    /// Actual send to done.
    pub(crate) fn service(&self) -> &Durations {
        &self.service
    }

    /// Intended start to actual send.
    pub(crate) fn slip(&self) -> &Durations {
        &self.slip
    }

    /// The part of the slip that is the generator's own lateness.
    pub(crate) fn late(&self) -> &Durations {
        &self.late
    }

    /// The part of the slip that was spent waiting for a free connection.
    pub(crate) fn no_connection(&self) -> &Durations {
        &self.no_connection
    }
}
