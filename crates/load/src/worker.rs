//! A thread of the generator: its loop, from the first connection to the last outcome.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, bail};

use crate::class::Class;
use crate::clock::{self, now_ns};
use crate::judge::Judge;
use crate::ledger::{Flight, Ledger, Window};
use crate::plan::{Pace, Plan};
use crate::poller::Poller;
use crate::run::{Progress, Shared};
use crate::schedule::Schedule;
use crate::slot::{Slot, State};

/// Most connections being opened at once before the run: fewer than the shortest usual backlog, so
/// that no SYN is dropped and retried a second later.
const OPENING_MAX: usize = 100;

/// Bytes received at once.
const RECEIVE_BYTES: usize = 64 * 1024;

/// Longest stretch spent polling before a request is due. Waking from a sleep takes tens of
/// microseconds, on a virtual CPU above all.
const SPIN_NS_MAX: u64 = 100_000;

/// Longest time between two looks at time-outs and at the interrupt.
pub(crate) const TICK_NS_MAX: u64 = 50_000_000;

/// What a thread brings home.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) ledger: Ledger,
    /// Of the window only.
    pub(crate) usage: Usage,
    /// Connections open when fewest were: at the beginning or the end of the window.
    pub(crate) alive: u64,
    /// Connections broken within the window.
    pub(crate) lost: u64,
    /// Connections without a reply in the window.
    pub(crate) silent: u64,
}

/// What the thread has used up.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) wall_ns: u64,
    pub(crate) cpu_ns: u64,
    /// Of that, spent polling for the moment a request is due.
    pub(crate) spin_ns: u64,
    pub(crate) wakeups: u64,
    pub(crate) received_bytes: u64,
    /// Time that closed connections waited for the server's end.
    pub(crate) closing_ns: u64,
}

/// The state of the thread.
pub(crate) struct Worker<'a> {
    pub(crate) plan: &'a Plan,
    shared: &'a Shared<'a>,
    progress: &'a Progress,
    share: usize,
    pub(crate) poller: Poller,
    pub(crate) slots: Vec<Slot>,
    pub(crate) judge: Judge,
    pub(crate) ledger: Ledger,
    schedule: Option<Schedule>,
    /// Requests that are due and have no connection, oldest first; the time-out bounds it.
    pub(crate) queue: VecDeque<Flight>,
    /// Slots that may take a request; longest idle first, so that all are used.
    pub(crate) free: VecDeque<usize>,
    /// Slots to be opened again.
    pub(crate) down: Vec<usize>,
    /// Whole requests, as many as one write may carry.
    pub(crate) burst: Vec<u8>,
    pub(crate) request_bytes: usize,
    pub(crate) scratch: Box<[u8]>,
    /// The clock when it was last read.
    pub(crate) now_ns: u64,
    pub(crate) timeout_ns: u64,
    next_due_ns: u64,
    pub(crate) next_retry_ns: u64,
    next_tick_ns: u64,
    next_check_ns: u64,
    spin_margin_ns: u64,
    pub(crate) usage: Usage,
    at_start: Option<(Usage, u64)>,
    at_end: Option<(Usage, u64, u64)>,
    pub(crate) lost: u64,
    /// The run has begun: before that, connections are opened without requests.
    pub(crate) started: bool,
    pub(crate) connecting: usize,
    pub(crate) ever_connected: bool,
    pub(crate) connect_failures: u64,
    pub(crate) last_failure: Option<Class>,
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
            poller: Poller::new().context("epoll is not available")?,
            slots: (0..connections).map(|_| Slot::new(plan.pipeline)).collect(),
            judge: Judge::new(plan, shared.model.clone()),
            ledger: Ledger::new(plan.pace == Pace::Closed),
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
            started: false,
            connecting: 0,
            ever_connected: false,
            connect_failures: 0,
            last_failure: None,
        })
    }

    /// Opens all connections, a bounded number at once. A server that takes only some of them does
    /// not stop the run; one that takes none does.
    pub(crate) fn open_all(&mut self) -> Result<()> {
        if self.plan.new_connection {
            return Ok(());
        }
        let deadline_ns = self.now_ns + self.timeout_ns;
        let mut begun = 0;
        while self.alive() < self.slots.len() as u64 && self.now_ns < deadline_ns {
            while begun < self.slots.len() && self.connecting < OPENING_MAX {
                self.open_slot(begun)?;
                begun += 1;
            }
            self.handle_events(1_000_000)?;
            self.now_ns = now_ns();
            self.retry()?;
            self.give_up_if_hopeless()?;
            if self.shared.stop.load(Ordering::Relaxed) {
                bail!("interrupted before the load began");
            }
        }
        if !self.ever_connected {
            bail!(
                "{}: no connection within {:?}",
                self.plan.target,
                self.plan.timeout
            );
        }
        Ok(())
    }

    /// A target that refuses everything from the start is an error, not a measurement.
    fn give_up_if_hopeless(&self) -> Result<()> {
        if self.last_failure == Some(Class::DescriptorLimit) && !self.started {
            bail!(
                "cannot open {} connections: out of descriptors",
                self.plan.connections
            );
        }
        if !self.ever_connected && self.connect_failures >= self.slots.len() as u64 {
            match self.last_failure {
                Some(Class::Refused) => bail!("{}: connection refused", self.plan.target),
                Some(Class::AddressUnavailable) => bail!("{}: no local address", self.plan.target),
                _ => {}
            }
        }
        Ok(())
    }

    /// Runs the load from `anchor_ns` on, and returns the closed books.
    pub(crate) fn run(mut self, anchor_ns: u64) -> Result<Report> {
        let start_ns = anchor_ns + clock::duration_ns(self.plan.warmup);
        let end_ns = start_ns + clock::duration_ns(self.plan.duration);
        let drain_ns = clock::duration_ns(self.plan.drain);
        self.ledger.window = Window { start_ns, end_ns };
        while now_ns() < anchor_ns {
            self.poller
                .wait(anchor_ns.saturating_sub(now_ns()))
                .context("epoll_wait failed")?;
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
        if let Pace::Open { rate, arrivals } = self.plan.pace {
            let share = (self.share, self.plan.threads);
            let schedule = Schedule::new(arrivals, rate, self.plan.seed, share, anchor_ns);
            self.next_due_ns = schedule.next_due_ns();
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
        let events = self.poller.wait(timeout_ns).context("epoll_wait failed")?;
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
        let idle_ns = self.now_ns - before_ns;
        if timeout_ns == 0 {
            self.usage.spin_ns += idle_ns;
        } else if self.next_due_ns != u64::MAX {
            let overshoot_ns = idle_ns.saturating_sub(timeout_ns);
            let slowly_less_ns = self.spin_margin_ns - self.spin_margin_ns / 64;
            self.spin_margin_ns = (overshoot_ns * 5 / 4).max(slowly_less_ns).min(SPIN_NS_MAX);
        }
    }

    /// Sends or queues every request that is due.
    fn dispatch(&mut self) -> Result<()> {
        while self.next_due_ns <= self.now_ns {
            let mut flight = self.ledger.schedule(self.next_due_ns);
            self.ledger.noticed(&flight, self.now_ns);
            let schedule = self
                .schedule
                .as_mut()
                .expect("only a schedule makes requests due");
            schedule.advance();
            let next_ns = schedule.next_due_ns();
            self.next_due_ns = if next_ns < self.ledger.window.end_ns {
                next_ns
            } else {
                u64::MAX
            };
            flight.assigned_ns = self.now_ns;
            self.queue.push_back(flight);
            self.serve_queue()?;
            self.now_ns = now_ns();
        }
        Ok(())
    }

    /// Everything that need not be done for every event.
    fn check(&mut self) -> Result<()> {
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
            self.at_start = Some((self.read_usage(), self.alive()));
        }
        if self.at_end.is_none() && self.now_ns >= end_ns {
            let heard = self
                .slots
                .iter()
                .filter(|slot| slot.last_reply_ns >= start_ns)
                .count();
            let silent = (self.slots.len() - heard) as u64;
            self.at_end = Some((self.read_usage(), self.alive(), silent));
        }
        let boundary_ns = match (self.at_start, self.at_end) {
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
        if self.next_due_ns >= window.end_ns {
            self.next_due_ns = u64::MAX;
        }
    }

    /// Nothing more can come of waiting.
    fn is_settled(&self) -> bool {
        match self.plan.pace {
            // Requests of the warm-up too: what never answers them is a failure of the window.
            Pace::Closed => self.slots.iter().all(|slot| slot.flights.is_empty()),
            Pace::Open { .. } => self.ledger.outstanding() == 0,
        }
    }

    /// Brings the next check forward.
    pub(crate) fn hasten_check(&mut self, at_ns: u64) {
        self.next_check_ns = self.next_check_ns.min(at_ns);
    }

    fn alive(&self) -> u64 {
        self.slots
            .iter()
            .filter(|slot| slot.state == State::Open)
            .count() as u64
    }

    fn read_usage(&self) -> Usage {
        Usage {
            wall_ns: self.now_ns,
            cpu_ns: clock::thread_cpu_ns(),
            ..self.usage
        }
    }

    /// Counts what is still unanswered as censored, and closes the books.
    fn finish(mut self) -> Report {
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
        let (end, alive_at_end, silent) = self.at_end.expect("a run ends after its window");
        let (start, alive_at_start) = self.at_start.expect("and the window after its start");
        Report {
            ledger: self.ledger.close(),
            usage: Usage {
                wall_ns: end.wall_ns - start.wall_ns,
                cpu_ns: end.cpu_ns - start.cpu_ns,
                spin_ns: end.spin_ns - start.spin_ns,
                wakeups: end.wakeups - start.wakeups,
                received_bytes: end.received_bytes - start.received_bytes,
                closing_ns: end.closing_ns - start.closing_ns,
            },
            alive: alive_at_start.min(alive_at_end),
            lost: self.lost,
            silent,
        }
    }
}
