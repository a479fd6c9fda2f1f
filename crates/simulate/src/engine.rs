//! The simulation itself.

use std::collections::VecDeque;

use crate::Outcome;
use crate::events::{Event, Events};
use crate::goal::Goal;
use crate::histogram::{Histogram, counted_us};
use crate::server::{STAGES, Server, Topology};
use crate::stalls::Away;
use crate::steps::{Step, Steps};
use crate::threads::{Cores, NONE, Share, Thread};
use crate::trace::{Load, Trace};

/// The part of the requests that is not counted.
const WARM_UP: usize = 10;
/// The client's CPU, among those that are away at times.
const CLIENT: u64 = 1_000;

#[derive(Debug, Clone, Copy)]
struct Under {
    due: u64,
    connection: u32,
    step: u8,
}

struct Queue {
    waiting: VecDeque<u32>,
    idle: Vec<u32>,
    /// Threads that it may still have.
    more: usize,
    /// Whether one of its threads waits for all.
    led: bool,
    /// One has been woken up and does not run yet: until then no other waits.
    led_by_next: bool,
}

/// A goal, and how many requests may still miss it.
struct Patience {
    class: Option<u32>,
    response_us: f64,
    left: usize,
}

impl Patience {
    /// Of a percentile of `of` requests.
    fn new(goal: &Goal, trace: &Trace) -> Self {
        let class = goal.class.map(|class| class as u32);
        let counted = &trace.requests[trace.len() / WARM_UP..];
        let meant = counted
            .iter()
            .filter(|r| class.is_none_or(|c| r.class == c));
        let of = meant.count() as u64;
        Self {
            class,
            response_us: goal.response_us,
            left: of.saturating_sub(Histogram::rank(of, goal.percentile)) as usize,
        }
    }

    /// A request took so long. False: so many have been late that the goal is missed, whatever comes.
    fn lasts(&mut self, class: u32, ns: u64) -> bool {
        if self.class.is_some_and(|meant| meant != class) || counted_us(ns) <= self.response_us {
            return true;
        }
        let lasts = self.left > 0;
        self.left = self.left.saturating_sub(1);
        lasts
    }
}

#[derive(Default)]
struct Lock {
    held: bool,
    waiting: VecDeque<u32>,
}

pub(crate) struct Engine<'a> {
    server: &'a Server,
    load: &'a Load,
    trace: &'a Trace,
    steps: Steps<'a>,
    events: Events,
    cores: Cores,
    threads: Vec<Thread>,
    queues: Vec<Queue>,
    locks: Vec<Lock>,
    requests: Vec<Under>,
    /// Connections without a request, the one that is idle for longest first.
    free: VecDeque<u32>,
    /// Requests that are due and have no connection.
    unsent: VecDeque<u32>,
    now: u64,
    begun: usize,
    done: usize,
    answered: (u64, u64),
    outcome: Outcome,
    /// When the client's CPU is away.
    client_away: Away<'a>,
    /// The goal that the run is about, if it is about one.
    patience: Option<Patience>,
    /// That goal is missed.
    missed: bool,
}

impl<'a> Engine<'a> {
    pub(crate) fn new(server: &'a Server, load: &'a Load, trace: &'a Trace) -> Self {
        let active = match *load {
            Load::Open { connections, .. } => connections,
            Load::Closed { population, .. } => population,
        };
        let steps = Steps::new(server, trace, active.max(1));
        let queues = steps.queues();
        let queue = |&more: &usize| Queue {
            waiting: VecDeque::new(),
            idle: Vec::new(),
            more,
            led: queues.led,
            led_by_next: false,
        };
        let locks = trace
            .classes
            .iter()
            .filter_map(|c| c.lock)
            .max()
            .map_or(0, |n| n + 1);
        Self {
            server,
            load,
            trace,
            events: Events::new(server.cores.max(1)),
            cores: Cores::new(server.cores.max(1), &server.scheduler),
            threads: Vec::new(),
            queues: queues.threads.iter().map(queue).collect(),
            steps,
            locks: (0..locks).map(|_| Lock::default()).collect(),
            requests: Vec::with_capacity(trace.len()),
            free: (0..active.max(1) as u32).collect(),
            unsent: VecDeque::new(),
            now: 0,
            begun: 0,
            done: 0,
            answered: (0, 0),
            outcome: Outcome {
                all: Histogram::default(),
                classes: vec![Histogram::default(); trace.classes.len()],
                throughput_rps: 0.0,
                utilisation: 0.0,
                threads: 0,
            },
            client_away: Away::new(&server.client_stalls, CLIENT),
            patience: None,
            missed: false,
        }
    }

    pub(crate) fn run(mut self) -> Outcome {
        self.serve_all();
        self.outcome
    }

    /// The same, but for a server that misses the goal: then it ends as soon as that is sure.
    pub(crate) fn run_while_kept(mut self, goal: &Goal) -> Option<Outcome> {
        self.patience = Some(Patience::new(goal, self.trace));
        self.serve_all();
        (!self.missed).then_some(self.outcome)
    }

    fn serve_all(&mut self) {
        // Requests that never come would be waited for for ever where cores are away at times.
        if matches!(self.load, Load::Open { rate, .. } if *rate <= 0.0) {
            return;
        }
        let total = self.trace.len();
        let mut arrival = match *self.load {
            Load::Open { .. } => self.gap(0.0, 0),
            Load::Closed {
                population,
                ref think_us,
            } => {
                // Clients begin at different times, as they would have come to be: those that all think equally long
                // and began at once would stay together for ever.
                let apart_us = (think_us.mean() / population.max(1) as f64).max(1.0);
                for client in 0..population.min(total) as u32 {
                    let at = (f64::from(client) * apart_us * 1_000.0) as u64;
                    self.events.at(at, Event::Thought { client });
                }
                f64::INFINITY
            }
        };
        for core in 0..self.server.cores.max(1) as u32 {
            self.stall_next(core, 0);
        }
        let (mut warm_at, mut used_at) = (0, 0);
        let warm = total / WARM_UP;
        let mut sent = self.seen(arrival);
        while self.done < total && !self.missed {
            if self.begun < total && sent <= self.events.next_at() as f64 {
                self.now = sent as u64;
                let request = self.begun;
                self.begin(NONE, arrival as u64);
                arrival = self.gap(arrival, request + 1);
                sent = self.seen(arrival);
            } else {
                let Some((at, event)) = self.events.pop() else {
                    break;
                };
                self.now = at;
                self.on(event);
            }
            while let Some(id) = self.cores.begun.pop() {
                self.led(id);
            }
            if self.done >= warm && warm_at == 0 {
                (warm_at, used_at) = (self.now.max(1), self.cores.used);
            }
            // What comes after the last arrival is an emptying server.
            if self.begun == total && self.answered.1 == 0 {
                self.answered = (self.now, self.done as u64);
                let time = self.now.saturating_sub(warm_at).max(1) as f64;
                self.outcome.throughput_rps = self.done.saturating_sub(warm) as f64 * 1e9 / time;
                let cores = self.server.cores.max(1) as f64;
                self.outcome.utilisation = (self.cores.used - used_at) as f64 / time / cores;
            }
        }
        self.outcome.threads = self.threads.len();
    }

    /// When request `next` of an open loop is due, after one at `at`.
    fn gap(&self, at: f64, next: usize) -> f64 {
        match (self.load, self.trace.requests.get(next)) {
            (Load::Open { rate, .. }, Some(request)) => at + f64::from(request.gap) * 1e9 / rate,
            _ => f64::INFINITY,
        }
    }

    /// When the client does what is due at `at`, ns: later where its CPU is away.
    fn seen(&mut self, at: f64) -> f64 {
        match self.server.client_stalls.per_s > 0.0 && at.is_finite() {
            true => self.client_away.over(at as u64) as f64,
            false => at,
        }
    }

    /// Has stall `stall` of a core come at its time.
    fn stall_next(&mut self, core: u32, stall: u32) {
        let stalls = &self.server.stalls;
        if let Some((from, _)) = stalls.nth(u64::from(stall), u64::from(core)) {
            self.events
                .at(from.max(self.now), Event::Stalled { core, stall });
        }
    }

    /// The next request was due at `due`; of client `client` in a closed loop.
    fn begin(&mut self, client: u32, due: u64) {
        if self.begun == self.trace.len() {
            return;
        }
        let request = self.begun as u32;
        self.begun += 1;
        self.requests.push(Under {
            due,
            connection: client,
            step: 0,
        });
        if client != NONE {
            self.submit(request);
        } else if let Some(connection) = self.free.pop_front() {
            self.requests[request as usize].connection = connection;
            self.submit(request);
        } else {
            self.unsent.push_back(request);
        }
    }

    fn step_of(&self, request: u32) -> Step {
        let Under {
            connection, step, ..
        } = self.requests[request as usize];
        self.steps.step(request as usize, connection as usize, step)
    }

    /// The request asks for a thread of its next step.
    fn submit(&mut self, request: u32) {
        let step = self.step_of(request);
        let queue = &mut self.queues[step.queue as usize];
        if queue.led_by_next {
            queue.waiting.push_back(request);
            return;
        }
        let id = match queue.idle.pop() {
            Some(id) => id,
            None if queue.more > 0 => {
                queue.more -= 1;
                self.threads.push(Thread {
                    request: NONE,
                    step,
                    left: 0,
                    unblocked: false,
                    batch: 0,
                    leads: false,
                    share: Share::default(),
                });
                self.threads.len() as u32 - 1
            }
            None => {
                queue.waiting.push_back(request);
                return;
            }
        };
        let slept_us = self.server.costs.sleep_us;
        let wake = match self.server.topology {
            // A request passes three threads, and each that slept had to be woken up, by a thread that runs: so it
            // costs that on a busy core, too, and what an idle server showed is of all three.
            Topology::Staged { .. } => slept_us / STAGES + self.wake_us(0.0),
            _ => self.wake_us(slept_us),
        };
        if self.take(id, request, step, wake) {
            let queue = &mut self.queues[step.queue as usize];
            queue.led_by_next = queue.led;
            self.threads[id as usize].leads = queue.led;
            self.cores
                .wake(self.now, id, &mut self.threads, &mut self.events);
        }
    }

    /// The thread that was woken up for its queue runs: another waits in its place, or takes what has come.
    fn led(&mut self, id: u32) {
        let thread = &mut self.threads[id as usize];
        if !std::mem::take(&mut thread.leads) {
            return;
        }
        let at = thread.step.queue as usize;
        self.queues[at].led_by_next = false;
        // One that must wait for a lock first does not lead: the next is asked at once.
        loop {
            let queue = &mut self.queues[at];
            if queue.led_by_next || (queue.idle.is_empty() && queue.more == 0) {
                return;
            }
            let Some(next) = queue.waiting.pop_front() else {
                return;
            };
            self.submit(next);
        }
    }

    /// What it costs that a thread wakes up now: nothing where all cores are awake. A core that was left a
    /// moment ago, by the step before of the same request as a rule, is awake. `slept_us` is for the thread, the
    /// rest for the core.
    fn wake_us(&self, slept_us: f64) -> f64 {
        let costs = &self.server.costs;
        match self.cores.idle_for(self.now) {
            None | Some(0) => 0.0,
            Some(_) if costs.asleep_after_us <= 0.0 => slept_us + costs.wake_us,
            Some(ns) => {
                let asleep = -(-(ns as f64) / 1e3 / costs.asleep_after_us).exp_m1();
                slept_us + costs.wake_us * asleep
            }
        }
    }

    /// The thread takes the step of a request; `false` if it must wait for a lock first.
    fn take(&mut self, id: u32, request: u32, step: Step, more_us: f64) -> bool {
        let waiting = self.queues[step.queue as usize].waiting.len();
        let thread = &mut self.threads[id as usize];
        let mut left = step.burst + (more_us * 1_000.0) as u64;
        if thread.batch == 0 {
            thread.batch = waiting + 1;
            left += (self.server.costs.scan_us * self.server.connections as f64 * 1_000.0) as u64;
        }
        thread.batch -= 1;
        (thread.request, thread.step, thread.left) = (request, step, left);
        thread.unblocked = false;
        let Some(lock) = step.lock else { return true };
        let lock = &mut self.locks[lock as usize];
        if lock.held {
            lock.waiting.push_back(id);
            return false;
        }
        lock.held = true;
        true
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Core { core } => {
                let id = self.cores.ended(self.now, core, &mut self.threads);
                if self.threads[id as usize].left > 0 {
                    self.cores
                        .rotate(self.now, core, &mut self.threads, &mut self.events);
                } else {
                    self.computed(core, id);
                }
            }
            Event::Unblocked { thread } => {
                // That it slept is in the tail.
                let wake = self.wake_us(0.0);
                let state = &mut self.threads[thread as usize];
                state.left = state.step.tail + (wake * 1_000.0) as u64;
                self.cores
                    .wake(self.now, thread, &mut self.threads, &mut self.events);
            }
            Event::Waited { request } => {
                self.requests[request as usize].step += 1;
                self.submit(request);
            }
            Event::Stalled { core, stall } => {
                let (n, cpu) = (u64::from(stall), u64::from(core));
                if let Some((_, until)) = self.server.stalls.nth(n, cpu) {
                    self.cores.stall(
                        self.now,
                        core,
                        until.max(self.now),
                        &mut self.threads,
                        &mut self.events,
                    );
                }
                // Where nothing is left to happen, there is nothing to wait for either.
                if self.begun < self.trace.len() || !self.events.is_empty() {
                    self.stall_next(core, stall + 1);
                }
            }
            Event::Back { core } => {
                self.cores
                    .back(self.now, core, &self.threads, &mut self.events);
            }
            Event::Thought { client } => self.begin(client, self.now),
        }
    }

    /// The thread on `core` has computed what it had to.
    fn computed(&mut self, core: u32, id: u32) {
        let thread = &mut self.threads[id as usize];
        let (step, request) = (thread.step, thread.request);
        if !thread.unblocked {
            thread.unblocked = true;
            if let Some(lock) = step.lock {
                self.unlock(lock);
            }
            if step.blocked > 0 {
                let until = self.now + step.blocked;
                self.events.at(until, Event::Unblocked { thread: id });
                self.cores
                    .release(self.now, core, &mut self.threads, &mut self.events);
                return;
            }
        }
        // The thread goes on with the next request in its queue before others are woken by this one.
        let queue = &mut self.queues[step.queue as usize];
        let next = match queue.led_by_next {
            // What waits is for the one that was woken up, and for those behind it.
            true => None,
            false => queue.waiting.pop_front(),
        };
        match next {
            Some(next) => {
                let step = self.step_of(next);
                if self.take(id, next, step, 0.0) {
                    self.cores
                        .go_on(self.now, core, id, &self.threads, &mut self.events);
                } else {
                    self.cores
                        .release(self.now, core, &mut self.threads, &mut self.events);
                }
            }
            None => {
                self.threads[id as usize].batch = 0;
                self.queues[step.queue as usize].idle.push(id);
                self.cores
                    .release(self.now, core, &mut self.threads, &mut self.events);
            }
        }
        if step.wait > 0 {
            self.events
                .at(self.now + step.wait, Event::Waited { request });
        } else if step.last {
            self.complete(request);
        } else {
            self.requests[request as usize].step += 1;
            self.submit(request);
        }
    }

    fn unlock(&mut self, lock: u32) {
        let lock = &mut self.locks[lock as usize];
        match lock.waiting.pop_front() {
            Some(next) => self
                .cores
                .wake(self.now, next, &mut self.threads, &mut self.events),
            None => lock.held = false,
        }
    }

    fn complete(&mut self, request: u32) {
        let Under {
            due, connection, ..
        } = self.requests[request as usize];
        let drawn = &self.trace.requests[request as usize];
        self.done += 1;
        let seen = self.seen(self.now as f64) as u64;
        if request as usize >= self.trace.len() / WARM_UP {
            let took = seen - due + (self.server.costs.base_us * 1_000.0) as u64;
            self.outcome.all.record(took);
            self.outcome.classes[drawn.class as usize].record(took);
            if let Some(patience) = &mut self.patience {
                self.missed |= !patience.lasts(drawn.class, took);
            }
        }
        if let Load::Closed { think_us, .. } = self.load {
            let chance = f64::from(drawn.chance).clamp(1e-7, 1.0 - 1e-7);
            let think = (think_us.quantile(chance) + self.server.costs.base_us) * 1_000.0;
            let client = connection;
            self.events
                .at(seen + think as u64, Event::Thought { client });
        } else {
            // One that comes on a connection of its own still is one of those that are open at once.
            match self.unsent.pop_front() {
                Some(next) => {
                    self.requests[next as usize].connection = connection;
                    self.submit(next);
                }
                None => self.free.push_back(connection),
            }
        }
    }
}
