//! Threads on cores, as the kernel shares them: earliest eligible virtual deadline first.
//!
//! This is what Linux does since 6.6 (kernel/sched/fair.c; Stoica and Abdel-Wahab, *Earliest Eligible Virtual
//! Deadline First*, 1995), for threads of one weight. Every thread has a virtual time, the CPU that it has
//! had. The mean of those that want to run is the time that each of them ought to have had. One that has
//! had no more than that is eligible; of the eligible ones, the one with the earliest deadline runs. A
//! deadline is given for a while of virtual time, and a thread that runs is protected until it has reached
//! the deadline that it had when it began. A thread that wakes up is placed at the mean, with what it was
//! owed when it fell asleep. Who runs is decided anew when a thread sleeps, when one wakes up that is the best
//! or meets others that wait beside one that is protected no longer, and at the ticks of a clock: what is
//! measured as a slice is the time between two of these.

use std::collections::{BTreeSet, VecDeque};

use crate::events::{Event, Events};
use crate::server::Scheduler;
use crate::steps::Step;

/// No thread, no request.
pub(crate) const NONE: u32 = u32::MAX;

#[derive(Debug, Clone)]
pub(crate) struct Thread {
    pub request: u32,
    pub step: Step,
    /// CPU that it still needs, ns.
    pub left: u64,
    /// Whether the blocked time of the step is over.
    pub unblocked: bool,
    /// Jobs it will take until it waits for readiness again.
    pub batch: usize,
    /// Whether others are woken up for its queue only once it runs.
    pub leads: bool,
    /// What the scheduler knows of it.
    pub share: Share,
}

/// A thread's part of the CPU, ns of virtual time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Share {
    /// CPU that it has had, from the mean of the others when it came.
    had: i64,
    deadline: i64,
    /// What it was owed when it fell asleep; below 0 where it had had too much.
    owed: i64,
}

#[derive(Debug, Clone, Copy)]
struct Core {
    thread: u32,
    /// When what it runs was begun, or when it became idle.
    since: u64,
    /// Virtual time of its thread until which that is protected.
    protected: i64,
    /// When it ends what it runs, or is to look at who waits.
    until: u64,
    /// Until when it is away.
    away: u64,
}

/// The cores, and the threads that wait for one.
#[derive(Debug)]
pub(crate) struct Cores {
    cores: Vec<Core>,
    idle: VecDeque<u32>,
    /// Those that wait, by deadline, and among equals by who came first.
    ready: BTreeSet<(i64, u32, u32)>,
    ready_had: i128,
    came: u32,
    /// The mean when no thread wanted to run.
    rested: i64,
    tick: u64,
    preempt: u64,
    /// For how long a deadline is given.
    term: i64,
    pub used: u64,
    /// Threads that lead and have begun to run.
    pub begun: Vec<u32>,
}

impl Cores {
    pub(crate) fn new(cores: usize, scheduler: &Scheduler) -> Self {
        let core = Core {
            thread: NONE,
            since: 0,
            protected: 0,
            until: 0,
            away: 0,
        };
        let ns = |us: f64| (us * 1_000.0).max(1.0) as u64;
        Self {
            cores: vec![core; cores],
            idle: (0..cores as u32).rev().collect(),
            ready: BTreeSet::new(),
            ready_had: 0,
            came: 0,
            rested: 0,
            tick: ns(scheduler.slice_us),
            preempt: ns(scheduler.preempt_us),
            term: ns(scheduler.protect_us) as i64,
            used: 0,
            begun: Vec::new(),
        }
    }

    /// For how long the core has been idle on which a thread would run that wakes up now, ns; `None` where all
    /// are busy.
    pub(crate) fn idle_for(&self, now: u64) -> Option<u64> {
        let core = *self.idle.back()?;
        Some(now.saturating_sub(self.cores[core as usize].since))
    }

    /// What a thread on a core has had until now.
    fn had_on(core: &Core, now: u64, threads: &[Thread]) -> i64 {
        threads[core.thread as usize].share.had + now.saturating_sub(core.since) as i64
    }

    /// What each of those that want to run ought to have had, and how many they are.
    fn mean(&self, now: u64, threads: &[Thread]) -> (i64, usize) {
        let (mut sum, mut many) = (self.ready_had, self.ready.len());
        for core in self.cores.iter().filter(|c| c.thread != NONE) {
            sum += i128::from(Self::had_on(core, now, threads));
            many += 1;
        }
        match many {
            0 => (self.rested, 0),
            // Nearly always it fits, and a division of this size is many times as fast.
            _ => match i64::try_from(sum) {
                Ok(sum) => (sum.div_euclid(many as i64), many),
                Err(_) => (sum.div_euclid(many as i128) as i64, many),
            },
        }
    }

    fn enqueue(&mut self, id: u32, threads: &[Thread]) {
        let share = &threads[id as usize].share;
        self.came = self.came.wrapping_add(1);
        self.ready.insert((share.deadline, self.came, id));
        self.ready_had += i128::from(share.had);
    }

    /// The eligible one with the earliest deadline.
    fn best(&self, mean: i64, threads: &[Thread]) -> Option<(i64, u32, u32)> {
        let eligible = |entry: &&(i64, u32, u32)| threads[entry.2 as usize].share.had <= mean;
        let found = self.ready.iter().find(eligible);
        found.or_else(|| self.ready.first()).copied()
    }

    /// A thread wakes up.
    pub(crate) fn wake(&mut self, now: u64, id: u32, threads: &mut [Thread], events: &mut Events) {
        let (mean, many) = self.mean(now, threads);
        let share = &mut threads[id as usize].share;
        share.had = if share.owed >= 0 {
            // Its coming moves the mean: what it is owed is measured from where that will be.
            let many = (many as i64).max(1);
            mean - share.owed * (many + 1) / many
        } else {
            // Until the mean had come so far, it had not quite gone.
            share.had.max(mean)
        };
        share.deadline = share.had + self.term;
        if let Some(core) = self.idle.pop_back() {
            self.begin(now, core, id, threads, events);
            return;
        }
        let waited = !self.ready.is_empty();
        self.enqueue(id, threads);
        // A core that is away without a thread looks for one when it is back.
        let runs = |core: &usize| self.cores[*core].thread != NONE;
        let most = |core: &usize| Self::had_on(&self.cores[*core], now, threads);
        let Some(index) = (0..self.cores.len()).filter(runs).max_by_key(most) else {
            return;
        };
        let had = Self::had_on(&self.cores[index], now, threads);
        let mut end = self.next_tick(now, had, self.cores[index].protected);
        // The kernel also looks which thread is the best when any wakes up, if others waited already and
        // the one that runs is protected no longer.
        let looks = waited && had >= self.cores[index].protected;
        if looks || self.gives_way(now, index, id, threads) {
            end = end.min(now + self.preempt);
        }
        self.look_at(index, end, events);
    }

    /// Whether the thread on a core is preempted by one that has woken up.
    fn gives_way(&self, now: u64, index: usize, woken: u32, threads: &[Thread]) -> bool {
        let core = &self.cores[index];
        let (mean, _) = self.mean(now, threads);
        let had = Self::had_on(core, now, threads);
        let best = self.best(mean, threads);
        let Some((deadline, _, best)) = best.filter(|b| b.2 == woken) else {
            return false;
        };
        let eligible = had <= mean;
        let protected = had < core.protected;
        let own = threads[core.thread as usize].share.deadline;
        let own = if had >= own { had + self.term } else { own };
        best == woken && !(eligible && (protected || own < deadline))
    }

    /// The first tick at which a thread that has had so much is protected no longer.
    fn next_tick(&self, now: u64, had: i64, protected: i64) -> u64 {
        let from = now + (protected - had).max(1) as u64;
        from.div_ceil(self.tick) * self.tick
    }

    /// The core is to look at who waits at `end`, if it has not ended before.
    fn look_at(&mut self, index: usize, end: u64, events: &mut Events) {
        let core = &mut self.cores[index];
        let end = end.max(core.away);
        if end < core.until {
            core.until = end;
            events.core_at(end, index as u32);
        }
    }

    /// The core is away from now until `until`: what it runs stands still.
    pub(crate) fn stall(
        &mut self,
        now: u64,
        core: u32,
        until: u64,
        threads: &mut [Thread],
        events: &mut Events,
    ) {
        let state = &mut self.cores[core as usize];
        state.away = until;
        if state.thread == NONE {
            self.idle.retain(|&idle| idle != core);
            events.at(until, Event::Back { core });
            return;
        }
        let ran = now.saturating_sub(state.since);
        self.used += ran;
        let thread = &mut threads[state.thread as usize];
        thread.left = thread.left.saturating_sub(ran);
        thread.share.had += ran as i64;
        let more = state.until.saturating_sub(now);
        (state.since, state.until) = (until, until + more);
        events.core_at(state.until, core);
    }

    /// A core that was away without a thread is back.
    pub(crate) fn back(&mut self, now: u64, core: u32, threads: &[Thread], events: &mut Events) {
        self.next(now, core, threads, events);
    }

    fn begin(&mut self, now: u64, core: u32, id: u32, threads: &[Thread], events: &mut Events) {
        self.cores[core as usize].protected = threads[id as usize].share.deadline;
        if threads[id as usize].leads {
            self.begun.push(id);
        }
        self.go_on(now, core, id, threads, events);
    }

    /// The thread runs on, with new work.
    pub(crate) fn go_on(
        &mut self,
        now: u64,
        core: u32,
        id: u32,
        threads: &[Thread],
        events: &mut Events,
    ) {
        let left = threads[id as usize].left;
        let waits = !self.ready.is_empty();
        let protected = self.cores[core as usize].protected;
        let tick = self.next_tick(now, threads[id as usize].share.had, protected);
        let state = &mut self.cores[core as usize];
        state.thread = id;
        state.since = now;
        state.until = now + left;
        if waits {
            state.until = state.until.min(tick);
        }
        events.core_at(state.until, core);
    }

    /// The thread whose time on `core` is over, with what it still needs.
    pub(crate) fn ended(&mut self, now: u64, core: u32, threads: &mut [Thread]) -> u32 {
        let state = &mut self.cores[core as usize];
        let ran = now.saturating_sub(state.since);
        self.used += ran;
        state.since = now;
        let thread = &mut threads[state.thread as usize];
        thread.left = thread.left.saturating_sub(ran);
        thread.share.had += ran as i64;
        state.thread
    }

    /// The thread on `core` must make room if another has a better claim.
    pub(crate) fn rotate(
        &mut self,
        now: u64,
        core: u32,
        threads: &mut [Thread],
        events: &mut Events,
    ) {
        let id = self.cores[core as usize].thread;
        let share = &mut threads[id as usize].share;
        if share.had >= share.deadline {
            share.deadline = share.had + self.term;
        }
        self.cores[core as usize].thread = NONE;
        self.enqueue(id, threads);
        self.next(now, core, threads, events);
    }

    /// The thread on `core` wants it no longer: the next takes it.
    pub(crate) fn release(
        &mut self,
        now: u64,
        core: u32,
        threads: &mut [Thread],
        events: &mut Events,
    ) {
        let (mean, many) = self.mean(now, threads);
        let id = self.cores[core as usize].thread;
        if id != NONE {
            // The kernel's bound: two terms, or a tick where that is more.
            let most = (2 * self.term).max(self.tick as i64);
            let share = &mut threads[id as usize].share;
            share.owed = (mean - share.had).clamp(-most, most);
            if many <= 1 {
                self.rested = mean;
            }
            self.cores[core as usize].thread = NONE;
        }
        self.next(now, core, threads, events);
    }

    fn next(&mut self, now: u64, core: u32, threads: &[Thread], events: &mut Events) {
        let (mean, _) = self.mean(now, threads);
        match self.best(mean, threads) {
            Some(entry) => {
                self.ready.remove(&entry);
                self.ready_had -= i128::from(threads[entry.2 as usize].share.had);
                self.begin(now, core, entry.2, threads, events);
            }
            None => {
                let state = &mut self.cores[core as usize];
                state.since = now;
                events.core_rests(core);
                self.idle.push_back(core);
            }
        }
    }
}
