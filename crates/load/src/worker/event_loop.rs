//! The loop of a thread: it waits for events until the next request is due.
//!
//! Wait, receive and send are inlined into the loop, as in the servers, so that they are calls of one
//! frame (ARCHITECTURE.md, "The frame that loops makes the system calls").

use anyhow::Result;

use super::state::{SPIN_NS_MAX, Worker};
use crate::clock::{self, now_ns};
use crate::mix::{Draw, Mix};
use crate::plan::Pace;
use crate::schedule::Schedule;
use crate::slot::{Slot, State};
use crate::thread_result::ThreadResult;
use crate::window::Window;

impl Worker<'_> {
    /// Runs the load from `anchor_ns` on, and returns its result, with the connections that are
    /// still open: the caller closes them.
    #[inline(never)] // So that the frame has a name, which a test looks for.
    pub(crate) fn run(mut self, anchor_ns: u64) -> Result<(ThreadResult, Vec<Slot>)> {
        let drain_ns = clock::duration_ns(self.plan.drain);
        self.recorder.set_window(Window::of(self.plan, anchor_ns));
        self.follow_window();
        while now_ns() < anchor_ns {
            self.poller.wait(anchor_ns.saturating_sub(now_ns()))?;
        }
        self.now_ns = now_ns();
        self.started = true;
        self.start(anchor_ns)?;
        loop {
            let timeout_ns = self.wait_ns();
            self.handle_events(timeout_ns)?;
            if self.now_ns >= self.next_check_ns {
                self.check()?;
            }
            let drained_ns = self.recorder.window.end_ns.saturating_add(drain_ns);
            if self.at_end.is_some() && (self.now_ns >= drained_ns || self.is_done()) {
                return Ok(self.finish());
            }
        }
    }

    fn start(&mut self, anchor_ns: u64) -> Result<()> {
        if let Pace::Open { arrivals, .. } = self.plan.pace {
            let share = (self.thread, self.plan.threads);
            let steps = self.plan.steps();
            let replay = self.plan.script.as_ref().filter(|s| s.is_replay());
            let schedule = match replay {
                Some(script) => Schedule::replay(script, share, anchor_ns),
                None => Schedule::new(arrivals, steps, self.plan.seed, share, anchor_ns)
                    .shifted(self.plan.phase),
            };
            self.expect_due(schedule.next_due_ns());
            self.schedule = Some(schedule);
        }
        if self.think_ns > 0 {
            self.think_first(anchor_ns);
            return Ok(());
        }
        for index in 0..self.slots.len() {
            // The clients of a closed loop begin on the connections that they keep.
            let begins = self.schedule.is_some() || self.client(index) == index;
            match self.slots[index].state {
                State::Open => self.give_requests(index)?,
                State::Down if self.is_once(index) && begins => self.open_slot(index)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// How long to wait for events: the last part of the time before a request is due is polled.
    fn wait_ns(&mut self) -> u64 {
        if self.next_due_ns == u64::MAX {
            return self.next_check_ns.saturating_sub(self.now_ns);
        }
        // The clock was last read before the last write, which took microseconds.
        self.now_ns = now_ns();
        let due_ns = self.next_due_ns.saturating_sub(self.spin_margin_ns);
        due_ns.min(self.next_check_ns).saturating_sub(self.now_ns)
    }

    /// Waits, then handles every event, and sends the requests that become due meanwhile.
    #[inline(always)]
    fn handle_events(&mut self, timeout_ns: u64) -> Result<()> {
        let before_ns = self.now_ns;
        let events = self.poller.wait(timeout_ns)?;
        self.usage.wakeups += u64::from(events > 0 || timeout_ns > 0);
        if events == 0 {
            self.now_ns = now_ns();
            self.adapt_spin_margin(before_ns, timeout_ns);
        }
        for index in 0..events {
            let (token, flags) = self.poller.event(index);
            self.handle_event(token, flags)?;
            if self.now_ns >= self.next_due_ns {
                self.dispatch()?;
            }
        }
        if self.now_ns >= self.next_due_ns {
            self.dispatch()?;
        }
        Ok(())
    }

    /// The same before the run, while connections are opened.
    #[inline(never)]
    pub(super) fn handle_opening(&mut self, timeout_ns: u64) -> Result<()> {
        self.handle_events(timeout_ns)
    }

    /// Keeps the polling before a due request as short as the wake-ups of this machine allow.
    fn adapt_spin_margin(&mut self, before_ns: u64, timeout_ns: u64) {
        if self.next_due_ns == u64::MAX {
            return;
        }
        let idle_ns = self.now_ns - before_ns;
        if timeout_ns == 0 {
            self.usage.spin_ns += idle_ns;
            return;
        }
        let overshoot_ns = idle_ns.saturating_sub(timeout_ns);
        let reduced_ns = self.spin_margin_ns - self.spin_margin_ns / 64;
        self.spin_margin_ns = (overshoot_ns * 5 / 4).max(reduced_ns).min(SPIN_NS_MAX);
    }

    /// Sends or queues every request that is due.
    #[inline(never)]
    fn dispatch(&mut self) -> Result<()> {
        while self.next_due_ns <= self.now_ns {
            let due_ns = self.next_due_ns;
            let Some(schedule) = self.schedule.as_mut() else {
                return self.end_thoughts();
            };
            schedule.advance();
            let next_ns = schedule.next_due_ns();
            let draw = self.draw();
            let mut pending = self.recorder.schedule(due_ns, draw);
            self.recorder.noticed(&pending, self.now_ns);
            self.expect_due(next_ns);
            pending.assigned_ns = self.now_ns;
            let lane = usize::from(draw.once || self.once_from == 0);
            self.lanes[lane].queue.push_back(pending);
            self.send_queued(lane)?;
            self.now_ns = now_ns();
        }
        Ok(())
    }

    /// Notes when the next request is due; none is from the end of the window on.
    pub(super) fn expect_due(&mut self, due_ns: u64) {
        let within = due_ns < self.recorder.window.end_ns;
        self.next_due_ns = if within { due_ns } else { u64::MAX };
    }

    /// Chooses the next request.
    #[inline]
    pub(super) fn draw(&mut self) -> Draw {
        self.mix.as_mut().map_or_else(Draw::default, Mix::draw)
    }

    /// Lets the next check happen at that time or before.
    pub(super) fn check_no_later_than(&mut self, at_ns: u64) {
        self.next_check_ns = self.next_check_ns.min(at_ns);
    }
}
