//! The measured window: its two ends, and what a thread has used up between them.

use std::sync::atomic::Ordering;

use anyhow::Result;

use super::state::{Edge, Worker};
use crate::class::Class;
use crate::clock::{self, now_ns};
use crate::plan::Pace;
use crate::slot::{Slot, State};
use crate::thread_result::{Report, Usage};
use crate::window::Window;

/// Longest time between two looks at time-outs and at the interrupt.
const TICK_NS_MAX: u64 = 50_000_000;

impl Worker<'_> {
    /// Everything that need not be done for every event.
    pub(super) fn check(&mut self) -> Result<()> {
        if self.now_ns >= self.next_retry_ns {
            self.retry()?;
        }
        if self.now_ns >= self.next_tick_ns {
            self.obey_stop();
            self.expire()?;
            self.give_up_if_hopeless()?;
            self.progress
                .publish(self.ledger.finished_in_window, self.ledger.failures());
            self.next_tick_ns = self.now_ns + (self.timeout_ns / 20).clamp(1_000_000, TICK_NS_MAX);
        }
        let Window { start_ns, end_ns } = self.ledger.window;
        if self.at_start.is_none() && self.now_ns >= start_ns {
            self.at_start = Some(self.edge());
        }
        if self.at_end.is_none() && self.now_ns >= end_ns {
            self.at_end = Some(self.edge());
        }
        let boundary_ns = match (&self.at_start, &self.at_end) {
            (None, _) => start_ns,
            (_, None) => end_ns,
            _ => end_ns.saturating_add(clock::duration_ns(self.plan.drain)),
        };
        self.next_check_ns = self.next_tick_ns.min(boundary_ns).min(self.next_retry_ns);
        Ok(())
    }

    /// An interrupt ends the window at a moment all threads agree on and none has reached.
    fn obey_stop(&mut self) {
        if !self.shared.stop.load(Ordering::Relaxed) {
            return;
        }
        let end_ns = self.shared.stop_at(self.now_ns + 3 * TICK_NS_MAX);
        let window = &mut self.ledger.window;
        window.end_ns = window.end_ns.min(end_ns).max(window.start_ns.min(end_ns));
        window.start_ns = window.start_ns.min(window.end_ns);
        self.expect_due(self.next_due_ns);
    }

    /// Nothing more can come of waiting.
    pub(super) fn is_settled(&self) -> bool {
        match self.plan.pace {
            // Requests of the warm-up too: what never answers them is a failure of the window.
            Pace::Closed => self.slots.iter().all(|slot| slot.flights.is_empty()),
            Pace::Open { .. } => self.ledger.outstanding() == 0,
        }
    }

    pub(super) fn alive(&self) -> u64 {
        self.slots
            .iter()
            .filter(|slot| slot.state == State::Open)
            .count() as u64
    }

    fn edge(&self) -> Edge {
        let start_ns = self.ledger.window.start_ns;
        let silent = self
            .slots
            .iter()
            .filter(|slot| slot.last_reply_ns < start_ns)
            .count();
        let (wall_ns, cpu_ns) = (self.now_ns, clock::thread_cpu_ns());
        Edge {
            usage: Usage {
                wall_ns,
                cpu_ns,
                ..self.usage
            },
            alive: self.alive(),
            silent: silent as u64,
        }
    }

    /// Counts what is still unanswered as censored, and closes the books.
    pub(super) fn finish(mut self) -> (Report, Vec<Slot>) {
        let now_ns = now_ns();
        for flight in self
            .slots
            .iter()
            .flat_map(|slot| &slot.flights)
            .chain(&self.queue)
        {
            self.ledger.settle(flight, Some(Class::Censored), now_ns);
        }
        self.progress
            .publish(self.ledger.finished_in_window, self.ledger.failures());
        let start = self.at_start.expect("a run ends after its window");
        let end = self.at_end.expect("a run ends after its window");
        let report = Report {
            books: self.ledger.close(),
            usage: end.usage.since(&start.usage),
            alive: start.alive.min(end.alive),
            lost: self.lost,
            closed: self.closed,
            silent: end.silent,
        };
        (report, self.slots)
    }
}
