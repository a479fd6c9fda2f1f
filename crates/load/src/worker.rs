//! A thread of the generator: its loop, from the first connection to the last outcome.

mod connection;
mod traffic;
mod window;

use std::collections::VecDeque;

use anyhow::Result;

use self::window::Edge;
pub(crate) use self::window::{Report, Usage};
use crate::class::Class;
use crate::clock::{self, now_ns};
use crate::judge::Judge;
use crate::ledger::{Flight, Ledger, Window};
use crate::mix::{Draw, Mix};
use crate::plan::{Pace, Plan};
use crate::poller::Poller;
use crate::run::{Progress, Shared};
use crate::schedule::Schedule;
use crate::slot::{Slot, State};

/// Bytes received at once.
const RECEIVE_BYTES: usize = 64 * 1024;

/// Longest stretch spent polling before a request is due. Waking from a sleep takes tens of
/// microseconds, on a virtual CPU above all.
const SPIN_NS_MAX: u64 = 100_000;

/// The state of the thread.
pub(crate) struct Worker<'a> {
    plan: &'a Plan,
    shared: &'a Shared<'a>,
    progress: &'a Progress,
    share: usize,
    poller: Poller,
    slots: Vec<Slot>,
    /// One for each kind of request.
    judges: Vec<Judge>,
    /// Chooses each request where they are not all alike.
    mix: Option<Mix>,
    ledger: Ledger,
    schedule: Option<Schedule>,
    /// Requests that are due and have no connection, oldest first; the time-out bounds it.
    queue: VecDeque<Flight>,
    /// Slots that may take a request; longest idle first, so that all are used.
    free: VecDeque<usize>,
    /// Slots to be opened again.
    down: Vec<usize>,
    /// Whole requests, as many as one write may carry.
    burst: Vec<u8>,
    request_bytes: usize,
    scratch: Box<[u8]>,
    /// The clock when it was last read.
    now_ns: u64,
    timeout_ns: u64,
    next_due_ns: u64,
    next_retry_ns: u64,
    next_tick_ns: u64,
    next_check_ns: u64,
    spin_margin_ns: u64,
    usage: Usage,
    at_start: Option<Edge>,
    at_end: Option<Edge>,
    lost: u64,
    /// Connections that were to be kept and that the server closed behind a reply, as announced.
    closed: u64,
    /// The run has begun: before that, connections are opened without requests.
    started: bool,
    connecting: usize,
    ever_connected: bool,
    connect_failures: u64,
    last_failure: Option<Class>,
}

impl<'a> Worker<'a> {
    /// The thread number `share` of the plan.
    pub(crate) fn new(
        shared: &'a Shared<'a>,
        progress: &'a Progress,
        share: usize,
    ) -> Result<Self> {
        let plan = shared.plan;
        let connections =
            plan.connections / plan.threads + usize::from(share < plan.connections % plan.threads);
        let request = plan.request();
        let copies = plan.pipeline.min((RECEIVE_BYTES / request.len()).max(1));
        Ok(Self {
            plan,
            shared,
            progress,
            share,
            poller: Poller::new()?,
            slots: (0..connections).map(|_| Slot::new(plan.pipeline)).collect(),
            judges: Judge::all(plan, &shared.models),
            mix: Mix::new(plan, share),
            ledger: Ledger::new(plan),
            schedule: None,
            queue: VecDeque::new(),
            free: VecDeque::with_capacity(connections),
            down: Vec::with_capacity(connections),
            request_bytes: request.len(),
            burst: request.repeat(copies),
            scratch: vec![0; RECEIVE_BYTES].into_boxed_slice(),
            now_ns: now_ns(),
            timeout_ns: clock::duration_ns(plan.timeout),
            next_due_ns: u64::MAX,
            next_retry_ns: u64::MAX,
            next_tick_ns: 0,
            next_check_ns: 0,
            spin_margin_ns: SPIN_NS_MAX / 2,
            usage: Usage::default(),
            at_start: None,
            at_end: None,
            lost: 0,
            closed: 0,
            started: false,
            connecting: 0,
            ever_connected: false,
            connect_failures: 0,
            last_failure: None,
        })
    }

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
    fn handle_events(&mut self, timeout_ns: u64) -> Result<()> {
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
    fn expect_due(&mut self, due_ns: u64) {
        let within = due_ns < self.ledger.window.end_ns;
        self.next_due_ns = if within { due_ns } else { u64::MAX };
    }

    /// What the next request is to be.
    #[inline]
    fn draw(&mut self) -> Draw {
        self.mix.as_mut().map_or_else(Draw::default, Mix::draw)
    }

    /// Brings the next check forward.
    pub(crate) fn hasten_check(&mut self, at_ns: u64) {
        self.next_check_ns = self.next_check_ns.min(at_ns);
    }
}
