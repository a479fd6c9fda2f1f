//! What a thread does some times per second: time-outs, interrupts, the two ends of the window.

use std::sync::atomic::Ordering;

use anyhow::Result;

use super::state::{Snapshot, Worker};
use crate::clock::{self, now_ns};
use crate::error_class::ErrorClass;
use crate::plan::Pace;
use crate::slot::{Slot, State};
use crate::thread_result::{ThreadResult, Usage};
use crate::window::Window;

/// Longest time between two checks of time-outs and of the interrupt.
const TICK_NS_MAX: u64 = 50_000_000;

impl Worker<'_> {
    /// Does what need not be done for every event.
    pub(super) fn check(&mut self) -> Result<()> {
        if self.now_ns >= self.next_retry_ns {
            self.retry()?;
        }
        if self.now_ns >= self.next_tick_ns {
            self.apply_interrupt();
            self.apply_timeouts()?;
            self.fail_if_unreachable()?;
            self.progress.publish(self.recorder.so_far());
            self.next_tick_ns = self.now_ns + (self.timeout_ns / 20).clamp(1_000_000, TICK_NS_MAX);
        }
        let Window { start_ns, end_ns } = self.recorder.window;
        if self.at_start.is_none() && self.now_ns >= start_ns {
            self.at_start = Some(self.snapshot());
        }
        if self.at_end.is_none() && self.now_ns >= end_ns {
            self.at_end = Some(self.snapshot());
        }
        let boundary_ns = match (&self.at_start, &self.at_end) {
            (None, _) => start_ns,
            (_, None) => end_ns,
            _ => end_ns.saturating_add(clock::duration_ns(self.plan.drain)),
        };
        self.next_check_ns = self.next_tick_ns.min(boundary_ns).min(self.next_retry_ns);
        Ok(())
    }

    /// After an interrupt the window ends at a moment that all threads agree on and none has
    /// reached.
    fn apply_interrupt(&mut self) {
        if !self.shared.stop.load(Ordering::Relaxed) {
            return;
        }
        let end_ns = self.shared.stop_at(self.now_ns + 3 * TICK_NS_MAX);
        let window = &mut self.recorder.window;
        window.end_ns = window.end_ns.min(end_ns).max(window.start_ns.min(end_ns));
        window.start_ns = window.start_ns.min(window.end_ns);
        self.follow_window();
        self.expect_due(self.next_due_ns);
    }

    /// There is nothing left to wait for.
    pub(super) fn is_done(&self) -> bool {
        match self.plan.pace {
            // This includes requests of the warm-up: one that is never answered counts as a failure
            // of the window.
            Pace::Closed => self.slots.iter().all(|slot| slot.pending.is_empty()),
            Pace::Open { .. } => self.recorder.outstanding() == 0,
        }
    }

    /// Connections that are open.
    pub(super) fn alive(&self) -> u64 {
        self.clients()
            .iter()
            .filter(|slot| slot.state == State::Open)
            .count() as u64
    }

    fn snapshot(&self) -> Snapshot {
        let start_ns = self.recorder.window.start_ns;
        let silent = self
            .clients()
            .iter()
            .filter(|slot| slot.last_reply_ns < start_ns)
            .count();
        let (wall_ns, cpu_ns) = (self.now_ns, clock::thread_cpu_ns());
        Snapshot {
            usage: Usage {
                wall_ns,
                cpu_ns,
                ..self.usage
            },
            alive: self.alive(),
            silent: silent as u64,
        }
    }

    /// Counts what is still unanswered as censored, and makes the result of the thread.
    pub(super) fn finish(mut self) -> (ThreadResult, Vec<Slot>) {
        let now_ns = now_ns();
        for pending in self
            .slots
            .iter()
            .flat_map(|slot| &slot.pending)
            .chain(self.lanes.iter().flat_map(|lane| &lane.queue))
        {
            self.recorder
                .finish(pending, Some(ErrorClass::Censored), now_ns);
        }
        for thought in std::mem::take(&mut self.thinking) {
            self.recorder.thought(thought.since_ns, now_ns);
        }
        self.progress.publish(self.recorder.so_far());
        let start = self.at_start.expect("a run ends after its window");
        let end = self.at_end.expect("a run ends after its window");
        let result = ThreadResult {
            counts: self.recorder.into_counts(),
            usage: end.usage.since(&start.usage),
            alive: start.alive.min(end.alive),
            lost: self.lost,
            closed: self.closed,
            closed_idle: self.closed_idle,
            silent: end.silent,
        };
        (result, self.slots)
    }
}
