//! The loop of a thread: it waits for events until the next request is due.

use anyhow::Result;

use super::state::{SPIN_NS_MAX, Worker};
use crate::clock::{self, now_ns};
use crate::mix::{Draw, Mix};
use crate::plan::Pace;
use crate::schedule::Schedule;
use crate::slot::{Slot, State};
use crate::thread_result::Report;
use crate::window::Window;

impl Worker<'_> {
    /// Runs the load from `anchor_ns` on, and returns the closed books.
    ///
    /// The connections that are still open come with them: who runs the thread closes them.
    pub(crate) fn run(mut self, anchor_ns: u64) -> Result<(Report, Vec<Slot>)> {
        let drain_ns = clock::duration_ns(self.plan.drain);
        self.ledger.open(Window::of(self.plan, anchor_ns));
        while now_ns() < anchor_ns {
            self.poller.wait(anchor_ns.saturating_sub(now_ns()))?;
        }
        self.now_ns = now_ns();
        self.started = true;
        self.begin(anchor_ns)?;
        loop {
            let timeout_ns = self.patience_ns();
            self.handle_events(timeout_ns)?;
            if self.now_ns >= self.next_check_ns {
                self.check()?;
            }
            let drained_ns = self.ledger.window.end_ns.saturating_add(drain_ns);
            if self.at_end.is_some() && (self.now_ns >= drained_ns || self.is_settled()) {
                return Ok(self.finish());
            }
        }
    }

    fn begin(&mut self, anchor_ns: u64) -> Result<()> {
        if let Pace::Open { arrivals, .. } = self.plan.pace {
            let share = (self.share, self.plan.threads);
            let steps = self.plan.steps();
            let schedule = Schedule::new(arrivals, steps, self.plan.seed, share, anchor_ns);
            self.expect_due(schedule.next_due_ns());
            self.schedule = Some(schedule);
        }
        for index in 0..self.slots.len() {
            match self.slots[index].state {
                State::Open => self.ready(index)?,
                State::Down if self.plan.new_connection => self.open_slot(index)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// How long to wait for events. The last stretch before a due request is polled through.
    fn patience_ns(&mut self) -> u64 {
        if self.next_due_ns == u64::MAX {
            return self.next_check_ns.saturating_sub(self.now_ns);
        }
        // The last reading precedes the last write, which took microseconds.
        self.now_ns = now_ns();
        let due_ns = self.next_due_ns.saturating_sub(self.spin_margin_ns);
        due_ns.min(self.next_check_ns).saturating_sub(self.now_ns)
    }

    /// Waits, then serves every event and whatever falls due meanwhile.
    pub(super) fn handle_events(&mut self, timeout_ns: u64) -> Result<()> {
        let before_ns = self.now_ns;
        let events = self.poller.wait(timeout_ns)?;
        self.usage.wakeups += u64::from(events > 0 || timeout_ns > 0);
        if events == 0 {
            self.now_ns = now_ns();
            self.learn_from_idle(before_ns, timeout_ns);
        }
        for index in 0..events {
            let (token, flags) = self.poller.event(index);
            self.serve(token, flags)?;
            if self.now_ns >= self.next_due_ns {
                self.dispatch()?;
            }
        }
        if self.now_ns >= self.next_due_ns {
            self.dispatch()?;
        }
        Ok(())
    }

    /// Keeps the polled stretch as short as the wake-ups of this machine allow.
    fn learn_from_idle(&mut self, before_ns: u64, timeout_ns: u64) {
        if self.next_due_ns == u64::MAX {
            return;
        }
        let idle_ns = self.now_ns - before_ns;
        if timeout_ns == 0 {
            self.usage.spin_ns += idle_ns;
            return;
        }
        let overshoot_ns = idle_ns.saturating_sub(timeout_ns);
        let slowly_less_ns = self.spin_margin_ns - self.spin_margin_ns / 64;
        self.spin_margin_ns = (overshoot_ns * 5 / 4).max(slowly_less_ns).min(SPIN_NS_MAX);
    }

    /// Sends or queues every request that is due.
    fn dispatch(&mut self) -> Result<()> {
        while self.next_due_ns <= self.now_ns {
            let draw = self.draw();
            let mut flight = self.ledger.schedule(self.next_due_ns, draw);
            self.ledger.noticed(&flight, self.now_ns);
            let schedule = self
                .schedule
                .as_mut()
                .expect("only a schedule makes requests due");
            schedule.advance();
            let next_ns = schedule.next_due_ns();
            self.expect_due(next_ns);
            flight.assigned_ns = self.now_ns;
            self.queue.push_back(flight);
            self.serve_queue()?;
            self.now_ns = now_ns();
        }
        Ok(())
    }

    /// Nothing is due from the end of the window on.
    pub(super) fn expect_due(&mut self, due_ns: u64) {
        let within = due_ns < self.ledger.window.end_ns;
        self.next_due_ns = if within { due_ns } else { u64::MAX };
    }

    /// What the next request is to be.
    #[inline]
    pub(super) fn draw(&mut self) -> Draw {
        self.mix.as_mut().map_or_else(Draw::default, Mix::draw)
    }

    /// Brings the next check forward.
    pub(super) fn hasten_check(&mut self, at_ns: u64) {
        self.next_check_ns = self.next_check_ns.min(at_ns);
    }
}
